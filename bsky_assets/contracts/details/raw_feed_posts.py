"""What a day of feed posts says of itself: how each feed was read."""

from bsky_assets.contracts.details.base import Details, Part


class FeedReading(Part):
    """One reading of one feed; times are ISO 8601 in UTC."""

    uri: str | None = None
    read_at: str | None = None
    """When it began."""
    pages: int | None = None
    items: int | None = None
    repeats: int | None = None
    """Items that showed a post again."""
    quarantined: int | None = None
    seconds: float | None = None
    indexed_from: str | None = None
    """Time at which the earliest of its posts was indexed."""
    indexed_to: str | None = None
    ended: str | None = None
    """Why it was not read further."""
    problem: str | None = None
    """For a person, where it gave nothing or broke off."""
    reader_version: str | None = None


class FeedDetails(Details):
    """The last reading of each feed."""

    feeds: dict[str, FeedReading] | None = None
    """By name in the settings; None where posts came from elsewhere."""
    note: str | None = None
    """Why nothing was read."""

    @property
    def readings(self) -> dict[str, FeedReading]:
        """Those there are, by feed."""
        return self.feeds or {}
