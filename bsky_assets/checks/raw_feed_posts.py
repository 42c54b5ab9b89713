"""Every feed of the settings was read to its end, and brought nothing unheard of."""

from collections.abc import Iterator

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec
from duckdb import DuckDBPyConnection

from bsky_assets.checks import new_fields
from bsky_assets.contracts import RawFeedPost
from bsky_assets.contracts.details import FeedDetails
from bsky_assets.orchestration.materialisation import check
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

ASSET = RawFeedPost.asset

SPECS = [
    AssetCheckSpec(
        "feeds_are_complete",
        asset=ASSET,
        description="Every feed of the settings was read, and gave posts.",
    ),
    new_fields.spec(RawFeedPost),
]


def evaluate(
    con: DuckDBPyConnection, lake: Lake, partition: Partition, settings: Settings
) -> list[AssetCheckResult]:
    severity = AssetCheckSeverity.WARN
    return [
        check(
            "feeds_are_complete",
            _problems(partition, settings),
            asset=ASSET,
            severity=severity,
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
