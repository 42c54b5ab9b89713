"""Where the posts come from, and which were left out before the filters."""

from collections.abc import Iterator

from bsky_assets.contracts import ConsolidatedPost, RawFeedPost
from bsky_assets.contracts.details import ConsolidationDetails, FeedDetails
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Block, Column, Section, Table, Value


def section(day: StoredDay) -> Section | None:
    """Firehose and feeds, and what consolidation left out."""
    blocks = tuple(_blocks(day))
    return Section("sources", "Sources", blocks) if blocks else None


def _blocks(day: StoredDay) -> Iterator[Block]:
    consolidated, feeds = day.partition(ConsolidatedPost), day.partition(RawFeedPost)
    if consolidated and (found := tuple(_counts(consolidated.told(ConsolidationDetails)))):
        columns = (Column("what"), Column("posts", is_number=True))
        yield Table("From raw posts to posts", columns, found)
    if read := feeds.told(FeedDetails).readings if feeds else {}:
        items = Column("items", "Posts that it showed, repeats among them.", is_number=True)
        rows = ((name, feed.items, feed.problem or "none") for name, feed in read.items())
        yield Table("Feeds", (Column("feed"), items, Column("problem")), tuple(rows))


def _counts(told: ConsolidationDetails) -> Iterator[tuple[Value, ...]]:
    yield "read from the firehose", told.firehose_posts
    yield "shown by feeds", told.feed_items
    yield "in both, counted once", told.in_firehose_and_feed
    for reason, count in told.left_out.items():
        yield f"left out: {reason.replace('_', ' ')}", count
