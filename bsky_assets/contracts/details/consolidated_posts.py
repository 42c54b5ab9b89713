"""What a day of consolidated posts says of itself."""

from pydantic import Field

from bsky_assets.contracts.details.base import Details


class ConsolidationDetails(Details):
    """What came in, and what of it was left out; all counts are of posts, but for items."""

    firehose_posts: int = 0
    feed_items: int = 0
    """Rows of feeds: a post counts once for each that showed it."""
    shown_by_several_feeds: int = 0
    """Items that repeat a post of another feed."""
    in_firehose_and_feed: int = 0
    revs_from_the_future: int = 0
    """Posts whose revision is ahead of the clock, which therefore decides no order."""
    came_back: int = 0
    """Posts of accounts that were gone at the end of the day, and have come back. One that comes on
    a later day, too, belongs to that."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """By reason."""
