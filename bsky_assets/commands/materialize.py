"""`bsky-assets materialize`: materialise sync days through Dagster, without its UI."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.commands.options import DAY, LastDay, days_from
from bsky_assets.console import echo_err

if TYPE_CHECKING:
    from bsky_assets.settings import Settings

ALL = "*"
Source = Literal["stream", "archive", "repos"]


def materialize(
    day: Annotated[str, DAY] = "today",
    to: LastDay = None,
    select: Annotated[
        str,
        typer.Option(
            metavar="ASSETS", help="Names with commas between them, or Dagster's selection syntax."
        ),
    ] = ALL,
    source: Annotated[
        Source,
        typer.Option(
            "--from",
            help="`archive`: fetch the posts of past days from BSKY_ARCHIVE_URL first; they hold "
            "what has not been deleted since. `repos`: those of the accounts in --dids, from "
            "their repositories.",
        ),
    ] = "stream",
    dids: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --from: only posts of the accounts whose DIDs are in it, one a line.",
        ),
    ] = None,
    only_stale: Annotated[
        bool,
        typer.Option(
            "--stale",
            help="Instead: of every stored day what would be made otherwise today, and what "
            "follows it; `bsky-assets schema stale` lists it.",
        ),
    ] = False,
    only_missing: Annotated[
        bool,
        typer.Option(
            "--missing",
            help="Leave out what is stored and as it would be made now: to go on where a "
            "range was interrupted.",
        ),
    ] = False,
) -> None:
    """Materialise a sync day, or several, through Dagster.

    The runs are the same that the UI starts, and are seen there. Of several days
    BSKY_CONCURRENT_DAYS are worked on at a time; one that fails does not stop the others.

    \b
    Examples:
      bsky-assets materialize --day yesterday --select filtered_posts,llm_labels
      bsky-assets materialize --day 2026-03-08 --select 'filtered_posts+'
      bsky-assets materialize --day 2026-03-01 --to 2026-03-31 --missing
      bsky-assets materialize --day 2024-11-05 --from archive
      bsky-assets materialize --day 2024-11-05 --from archive --dids accounts.txt
      bsky-assets materialize --day 2024-11-05 --from repos --dids accounts.txt
    """
    from bsky_assets.commands.running import (
        materialize_day,
        materialize_days,
        materialize_stale,
        selected,
    )
    from bsky_assets.orchestration.instance import open_instance

    settings = get_settings()
    if only_stale:
        materialize_stale(settings)
        return
    days = days_from(day, to, settings.timezone)
    if source == ("stream" if dids else "repos"):
        raise typer.BadParameter(
            "goes with --from archive or repos, and the latter with it; of the stream it is given "
            "to `collect`",
            param_hint="--dids",
        )
    if source != "stream":
        selected(select)  # which is refused before anything is fetched
        _land(settings, source, days, dids)
    with open_instance(settings) as instance:
        if len(days) == 1 and not only_missing:
            materialize_day(instance, days[0], select)
        else:
            materialize_days(settings, days, select, only_missing)


def _land(settings: Settings, source: Source, days: Sequence[date], path: Path | None) -> None:
    """Land what the source has of `days`, of all or of the accounts in a file."""
    from bsky_assets.bluesky.accounts.listed import read_list

    dids = read_list(path, echo_err) if path else []
    if source == "repos":
        _land_panel(settings, dids, days)
    else:
        _land_from_archive(settings, dids, days)


def _land_from_archive(settings: Settings, dids: Sequence[str], days: Sequence[date]) -> None:
    """Land what the archive has of `days`; their raw partitions then take it in."""
    from bsky_assets.bluesky.archive.ingest import ingest_day
    from bsky_assets.contracts import STREAMED, RawFirehosePost

    for day in days:
        posts = ingest_day(settings, day, echo_err, dids).rows[STREAMED[RawFirehosePost].column]
        of = f" of {len(dids):,} accounts" if dids else ""
        echo_err(f"{day}: {posts:,} posts{of} of the archive landed")


def _land_panel(settings: Settings, dids: Sequence[str], days: Sequence[date]) -> None:
    """Land what repositories of accounts have of `days`."""
    from bsky_assets.bluesky.accounts.panel import land_panel
    from bsky_assets.storage.connection import connect

    with connect(settings) as con:
        panel = land_panel(con, settings, dids, days, echo_err)
    for did, reason in panel.lacking.items():
        echo_err(f"{did}: {reason}")
    for day, posts in panel.posts.items():
        echo_err(f"{day}: {posts:,} posts of {len(dids) - len(panel.lacking):,} accounts landed")
