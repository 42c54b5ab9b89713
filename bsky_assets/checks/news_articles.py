"""Every source of news was read, and gave articles."""

from dagster import AssetCheckResult, AssetCheckSpec

from bsky_assets.contracts.details import NewsDetails
from bsky_assets.contracts.news import NewsArticle
from bsky_assets.orchestration.materialisation import check
from bsky_assets.storage.partition import Partition

_READ = AssetCheckSpec(
    "sources_are_read",
    asset=NewsArticle.asset,
    description="Every source of BSKY_NEWS_FEEDS was read, and had articles.",
)
SPECS = [_READ]


def evaluate(partition: Partition) -> list[AssetCheckResult]:
    readings = partition.told(NewsDetails).readings
    return [
        check(
            _READ,
            (reading.problem for reading in readings.values() if reading.problem),
            checked=len(readings),
            nothing="no source can be read for this day: only files have articles of past days",
        )
    ]
