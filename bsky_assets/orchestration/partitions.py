"""The partitions of every asset: one a sync day, today's included.

The sync day itself, with its rules, is in `sync_day`.
"""

import warnings
from contextlib import suppress
from datetime import date

from dagster import BetaWarning, DailyPartitionsDefinition, TimeWindowPartitionMapping

from bsky_assets.bluesky.collected import all_segments
from bsky_assets.contracts.lineage import ROWS
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.objects import UnusableObjectStorage
from bsky_assets.sync_day import FIRST_DAY, LOOK_BACK_DAYS, today


def sync_days(settings: Settings) -> DailyPartitionsDefinition:
    return DailyPartitionsDefinition(
        start_date=(settings.first_day or FIRST_DAY).isoformat(),
        timezone=settings.sync_timezone,
        end_offset=1,
    )


def first_day(settings: Settings) -> date:
    """BSKY_FIRST_DAY, or else the first day of which anything is stored or has landed.

    Raises:
        UnusableObjectStorage: it cannot be told.
    """
    lake = Lake.of(settings)
    stored = {day for row in ROWS for day in lake.days(row)}
    for segments in all_segments(settings):
        stored.update(segments.days())
    chosen = settings.first_day or min(stored, default=FIRST_DAY)
    return min(max(chosen, FIRST_DAY), today(settings.timezone))


def from_first_day(settings: Settings) -> Settings:
    """`settings` whose BSKY_FIRST_DAY is the first day of partitions."""
    with suppress(UnusableObjectStorage):  # whoever cannot reach it now may do so later
        return settings.model_copy(update={"first_day": first_day(settings)})
    return settings


with warnings.catch_warnings():
    # Dagster calls the last argument beta; without it the first week could not be materialised.
    warnings.simplefilter("ignore", BetaWarning)
    look_back = TimeWindowPartitionMapping(
        start_offset=-LOOK_BACK_DAYS, end_offset=0, allow_nonexistent_upstream_partitions=True
    )
"""A day and those before it in which a post may have come up already."""


def day_of(partition_key: str) -> date:
    """The sync day that a partition key names."""
    return date.fromisoformat(partition_key)
