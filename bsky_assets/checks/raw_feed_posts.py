"""Every feed of the settings was read to its end, and brought nothing unheard of."""

from collections.abc import Iterator

from dagster import AssetCheckResult, AssetCheckSpec
from duckdb import DuckDBPyConnection

from bsky_assets.checks import new_fields
from bsky_assets.contracts import RawFeedPost
from bsky_assets.contracts.details import FeedDetails
from bsky_assets.orchestration.materialisation import check
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

COMPLETE = AssetCheckSpec(
    "feeds_are_complete",
    asset=RawFeedPost.asset,
    description="Every feed of the settings was read, and gave posts.",
)
SPECS = [COMPLETE, new_fields.spec(RawFeedPost)]


def evaluate(
    con: DuckDBPyConnection, lake: Lake, partition: Partition, settings: Settings
) -> list[AssetCheckResult]:
    return [
        check(
            COMPLETE,
            _problems(partition, settings),
            checked=len(settings.feeds),
            nothing="BSKY_FEEDS names no feed",
        ),
        new_fields.evaluate(con, lake, RawFeedPost, partition.day),
    ]


def _problems(partition: Partition, settings: Settings) -> Iterator[str]:
    read = partition.told(FeedDetails).readings
    for name in settings.feeds:
        if name not in read:
            yield f"{name}: not collected on this day"
        elif problem := read[name].problem:
            yield f"{name}: {problem}"
