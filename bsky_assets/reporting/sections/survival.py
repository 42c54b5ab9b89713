"""What to expect of a day from an archive: how much is gone of one that the stream brought."""

from collections.abc import Iterator

from bsky_assets.contracts import RawFirehosePost
from bsky_assets.contracts.details import SurvivalDetails
from bsky_assets.contracts.survival import ArchiveSurvival
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Block, Column, Share, Table, Text
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.partition import Partition

_SHOWN = ("all", "verdict", "label", "side")


def expected_losses(day: StoredDay) -> Iterator[Block]:
    """The latest day that was measured; nothing where there is none, or the day is the stream's."""
    raw = day.partition(RawFirehosePost)
    found = _latest(day) if raw and raw.told(StreamDetails).archive else None
    if found is None:
        return
    told = found.told(SurvivalDetails)
    when = (told.as_of or "")[:10]
    yield Text(
        (
            f"What to expect: of {told.posts:,} posts that the stream brought on {found.day}, "
            f"{told.gone:,} were gone from the archive of {told.host} on {when}. "
            f"{told.without_verdict:,} had left the filtered posts by then: not known below.",
        )
    )
    rows = day.lake.relation(day.con, ArchiveSurvival, [found.day]).filter(
        f"divided_by IN {_SHOWN}"
    )
    shares = rows.select("divided_by, stratum, posts, share, share_low, share_high").order(
        f"list_position({[*_SHOWN]}, divided_by), stratum"
    )
    columns = (
        Column("by"),
        Column("part"),
        Column("posts", is_number=True),
        Column("gone", "Share of them, with its 95% interval.", is_number=True),
    )
    cells = ((by, part, posts, Share(*share)) for by, part, posts, *share in shares.fetchall())
    yield Table(f"Gone of the posts of {found.day}", columns, tuple(cells))


def _latest(day: StoredDay) -> Partition | None:
    for known in reversed(day.lake.days(ArchiveSurvival)):
        found = day.lake.whole(ArchiveSurvival, known)
        if isinstance(found, Partition) and found.rows:
            return found
    return None
