"""The partitions of every asset: one a sync day, today's included.

The sync day itself, with its rules, is in `sync_day`.
"""

import warnings
from datetime import date

from dagster import BetaWarning, DailyPartitionsDefinition, TimeWindowPartitionMapping

from bsky_assets.settings import Settings
from bsky_assets.sync_day import FIRST_DAY, LOOK_BACK_DAYS


def sync_days(settings: Settings) -> DailyPartitionsDefinition:
    return DailyPartitionsDefinition(
        start_date=FIRST_DAY.isoformat(), timezone=settings.sync_timezone, end_offset=1
    )


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
