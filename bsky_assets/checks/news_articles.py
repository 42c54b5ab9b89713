"""Every source of news was read, and gave articles."""

from collections.abc import Iterator

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec

from bsky_assets.contracts.details import NewsDetails
from bsky_assets.contracts.news import NewsArticle
from bsky_assets.orchestration.materialisation import check
from bsky_assets.storage.partition import Partition

ASSET = NewsArticle.asset

SPECS = [
    AssetCheckSpec(
        "sources_are_read",
        asset=ASSET,
        description="Every source of BSKY_NEWS_FEEDS was read, and had articles.",
    )
]


def evaluate(partition: Partition) -> list[AssetCheckResult]:
    readings = partition.told(NewsDetails).readings
    return [
        check(
            "sources_are_read",
            _problems(partition),
            asset=ASSET,
            severity=AssetCheckSeverity.WARN,
            checked=len(readings),
            nothing="no source can be read for this day: only files have articles of past days",
        )
    ]


def _problems(partition: Partition) -> Iterator[str]:
    for reading in partition.told(NewsDetails).readings.values():
        if reading.problem:
            yield reading.problem
