"""`bsky-assets maintain`: what the nightly job does, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo

if TYPE_CHECKING:
    import pyarrow as pa


def maintain(
    now: Annotated[
        bool,
        typer.Option(
            "--now",
            help="Remove replaced files at once, whoever reads them, not two hours later.",
        ),
    ] = False,
) -> None:
    """Honour deletions in every stored day, erase their words, remove replaced files.

    In live mode the job `maintenance` does the same every night.

    \b
    Example:
      bsky-assets maintain
    """
    from bsky_assets.bluesky.collected import all_segments, archive_segments
    from bsky_assets.consolidation.erase import erase_deleted
    from bsky_assets.consolidation.erase_fetched import erase_in_fetched
    from bsky_assets.consolidation.erase_segments import erase_in_segments
    from bsky_assets.consolidation.tombstones import apply_tombstones
    from bsky_assets.labelling.forgetting import forget_words
    from bsky_assets.orchestration.forgetting import forget_again
    from bsky_assets.orchestration.publish import publish
    from bsky_assets.storage.compaction import vacuum_segments
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.files import remove_unfinished
    from bsky_assets.storage.lake import GRACE, Lake

    settings = get_settings()
    lake = Lake.of(settings)
    with connect(settings) as con:

        def forget(posts: pa.Table) -> None:
            forget_words(con, lake, settings, posts)

        left = sum(each.rows for each in apply_tombstones(con, lake, forget))
        erased = sum(each.rows for each in erase_deleted(con, lake, forget))
        streams = all_segments(settings)
        erased += sum(erase_in_segments(con, lake, segments) for segments in streams)
        erased += erase_in_fetched(con, lake, settings.data_dir, archive_segments(settings))
        again = len([*forget_again(con, settings)])
    publish(settings)
    freed = lake.vacuum(timedelta(0) if now else GRACE)
    for segments in streams:
        freed += vacuum_segments(lake, segments)
    freed += remove_unfinished(settings.data_dir.rglob(".*"), datetime.now(UTC) - GRACE)
    echo(
        f"{left:,} rows removed, {erased:,} erased, {again:,} forgotten again, "
        f"{freed:,} bytes freed"
    )
