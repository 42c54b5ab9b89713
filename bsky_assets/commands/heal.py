"""`bsky-assets heal`: fill what is missing of the stream, from an archive and from repositories."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import stderr, stdout
from bsky_assets.sync_day import parse_day

if TYPE_CHECKING:
    from bsky_assets.bluesky.healing import Healed
    from bsky_assets.settings import Settings

LISTED = 5
RAW = 'key:"raw_firehose_posts" or key:"raw_post_deletions"'


def heal(
    day: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="Sync day; default: all that lack something."),
    ] = None,
    to: Annotated[
        str | None, typer.Option(metavar="DAY", help="Last sync day; default: the same.")
    ] = None,
) -> None:
    """Fill what the firehose lacks, from an archive and repositories; say what is gone.

    A gap is healed only if the archive spans it and has, next to it on both sides, posts that we
    have too. What did not come of one account is had from its repository, if that is signed and
    whole, or else from the archive. What was deleted since is gone: it is counted as far as
    deletions tell. The raw partitions are brought up to date; what follows from them is made by
    `materialize --stale`, or by the sensor `follow_inputs`.

    \b
    Example:
      bsky-assets heal --day yesterday
    """
    from bsky_assets.bluesky.healing import heal_day
    from bsky_assets.commands.running import materialize_day
    from bsky_assets.contracts import RawFirehosePost
    from bsky_assets.orchestration.following import ONLY_LANDED
    from bsky_assets.orchestration.instance import open_instance
    from bsky_assets.storage.connection import connect

    settings = get_settings()
    days = _days(settings, day, to)
    if not days:
        stderr.print("no stored day has a gap that is not healed, nor a jump of an account")
        return
    for each in days:
        with connect(settings) as con:
            found = heal_day(con, settings, each, _tell)
        for line in _lines(each, found):
            stdout.print(line, markup=False, soft_wrap=True)
        if found.gaps or found.accounts:
            landed = {name: ONLY_LANDED[name] for name in (RawFirehosePost.asset,)}
            with open_instance(settings) as instance:
                materialize_day(instance, each, RAW, {"ops": landed})


def _days(settings: Settings, first: str | None, last: str | None) -> list[date]:
    """The days that are named, or all that something is missing of."""
    from bsky_assets.bluesky.healing import days_lacking

    if first is None:
        return days_lacking(settings)
    begin = parse_day(first, settings.timezone)
    end = parse_day(last, settings.timezone) if last else begin
    if end < begin:
        raise typer.BadParameter(f"{end} is before {begin}", param_hint="--to")
    return [begin + timedelta(days=number) for number in range((end - begin).days + 1)]


def _lines(day: date, found: Healed) -> Iterator[str]:
    from bsky_assets.storage.healing import account_lines

    if found.gaps:
        still = [one for one in found.gaps if not one.is_healed]
        posts, gone = (sum(getattr(one, name) for one in found.gaps) for name in ("posts", "gone"))
        yield (
            f"{day}: {len(found.gaps) - len(still):,} of {len(found.gaps):,} gaps healed; "
            f"{posts:,} posts came, {gone:,} are gone"
        )
        for one in still[:LISTED]:
            yield f"  still a gap after {one.after} of {one.host}: {one.reason}"
    if found.gaps_left:
        yield f"{day}: {found.gaps_left:,} gaps are left: set BSKY_ARCHIVE_URL to heal them"
    yield from (f"{day}: {line}" for line in account_lines(found.accounts))


def _tell(line: str) -> None:
    stderr.print(line, markup=False, soft_wrap=True)
