"""Where the posts come from, and which were left out before the filters."""

from collections.abc import Iterator

from bsky_assets.contracts import ConsolidatedPost, RawFeedPost
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Block, Column, Section, Table, Value
from bsky_assets.storage.lake import Details

_COUNTED = {
    "firehose_posts": "read from the firehose",
    "feed_items": "shown by feeds",
    "in_firehose_and_feed": "in both, counted once",
}


def section(day: StoredDay) -> Section | None:
    """Firehose and feeds, and what consolidation left out."""
    blocks = tuple(_blocks(day))
    return Section("sources", "Sources", blocks) if blocks else None


def _blocks(day: StoredDay) -> Iterator[Block]:
    consolidated, feeds = day.partition(ConsolidatedPost), day.partition(RawFeedPost)
    if found := tuple(_counts(consolidated.details if consolidated else {})):
        columns = (Column("what"), Column("posts", is_number=True))
        yield Table("From raw posts to posts", columns, found)
    if read := feeds.details.get("feeds", {}) if feeds else {}:
        items = Column("items", "Posts that it showed, repeats among them.", is_number=True)
        rows = ((name, feed["items"], feed["problem"] or "none") for name, feed in read.items())
        yield Table("Feeds", (Column("feed"), items, Column("problem")), tuple(rows))


def _counts(counts: Details) -> Iterator[tuple[Value, ...]]:
    for key, name in _COUNTED.items():
        if key in counts:
            yield name, counts[key]
    for reason, count in counts.get("left_out", {}).items():
        yield f"left out: {reason.replace('_', ' ')}", count
