"""`bsky-assets heal`: fill what is missing of the stream, from an archive and from repositories."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.commands.options import LastDay, days_from
from bsky_assets.console import echo_err, echo_lines

if TYPE_CHECKING:
    from bsky_assets.bluesky.healing import Healed

LISTED = 5
RAW = 'key:"raw_firehose_posts" or key:"raw_post_deletions"'


def heal(
    day: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="Sync day; default: all that lack something."),
    ] = None,
    to: LastDay = None,
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
    from bsky_assets.bluesky.healing import days_lacking, heal_day
    from bsky_assets.commands.running import materialize_day
    from bsky_assets.contracts import RawFirehosePost
    from bsky_assets.orchestration.following import ONLY_LANDED
    from bsky_assets.orchestration.instance import open_instance
    from bsky_assets.storage.connection import connect

    settings = get_settings()
    days = days_from(day, to, settings.timezone) if day else days_lacking(settings)
    if not days:
        echo_err("no stored day has a gap that is not healed, nor a jump of an account")
        return
    for each in days:
        with connect(settings) as con:
            found = heal_day(con, settings, each, echo_err)
        echo_lines(_lines(each, found))
        if found.gaps or found.accounts:
            landed = {name: ONLY_LANDED[name] for name in (RawFirehosePost.asset,)}
            with open_instance(settings) as instance:
                materialize_day(instance, each, RAW, {"ops": landed})


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
