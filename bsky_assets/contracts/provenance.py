"""What stored days say of themselves: how they were made, and what is not in them."""

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from bsky_assets.contracts.base import Row


class DayProvenance(Row):
    """A stored partition: one table on one sync day, and what its maker says of it."""

    asset: ClassVar[str] = "day_provenance"
    key: ClassVar[tuple[str, ...]] = ("dataset",)

    dataset: str = Field(description="The table.")
    rows: int = Field(description="Its rows on that day.")
    bytes: int = Field(description="Size of its file.")
    contract: str = Field(description="Version of the contract that it was written with.")
    lineage: str | None = Field(description="Version of the lineage that it was made with.")
    version: str = Field(description="Version of its content.")
    written_at: datetime = Field(description="When its file was written.")
    details: str = Field(description="All that its maker says of it, as JSON.")


class FunnelStep(Row):
    """A filter on a day: how many posts reached it, and what became of them."""

    asset: ClassVar[str] = "filter_funnel"
    key: ClassVar[tuple[str, ...]] = ("filter",)

    filter: str = Field(description="The filter.")
    step: int = Field(description="Its place in the order, from 1.")
    reached: int | None = Field(description="Posts that came to it.")
    stopped: int | None = Field(description="Posts that it stopped.")
    passed: int | None = Field(description="Posts that it let through.")
    filter_version: str | None = Field(description="Version of the filters' configuration.")


class FirehoseGap(Row):
    """A stretch of the firehose that is not there."""

    asset: ClassVar[str] = "firehose_gaps"
    key: ClassVar[tuple[str, ...]] = ("number",)

    number: int = Field(description="Its place among the day's gaps, from 1.")
    host: str | None = Field(description="Host of the stream.")
    reason: str | None = Field(description="Why it is not there.")
    noticed_at: str | None = Field(description="When that was seen.")
    after_number: int | None = Field(description="Number of the last event before it.")
    before_number: int | None = Field(description="Number of the first event after it.")
    after_time: str | None = Field(description="The host's time of the last event before it.")
    before_time: str | None = Field(description="The host's time of the first event after it.")
    missing: int | None = Field(description="Events that are missing, where numbers tell.")


class FeedRead(Row):
    """A feed as it was last read on a day."""

    asset: ClassVar[str] = "feeds_read"
    key: ClassVar[tuple[str, ...]] = ("feed",)

    feed: str = Field(description="The feed's name in the settings.")
    uri: str | None = Field(description="Its AT URI.")
    read_at: str | None = Field(description="When it was read.")
    pages: int | None = Field(description="Pages that it gave.")
    items: int | None = Field(description="Items that it gave.")
    ended: str | None = Field(description="Why reading ended.")
    problem: str | None = Field(description="What went wrong, if anything did.")


PROVENANCE: tuple[type[Row], ...] = (DayProvenance, FunnelStep, FirehoseGap, FeedRead)
"""Tables that are read off what is stored, and stored nowhere else."""
