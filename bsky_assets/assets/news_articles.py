"""News articles, each once, whichever outlets have it."""

import time

from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.checks import news_articles as checks
from bsky_assets.contracts.details import NewsDetails
from bsky_assets.contracts.news import NewsArticle
from bsky_assets.news.collecting import collect_news
from bsky_assets.orchestration.materialisation import (
    counts_table,
    explained,
    result,
    row_asset,
    sample,
)
from bsky_assets.orchestration.partitions import day_of
from bsky_assets.orchestration.resources import DataDirectory


def news_articles() -> AssetsDefinition:
    """The asset, where BSKY_NEWS_FEEDS names sources."""

    @row_asset(NewsArticle, group="news", kinds={"rss"}, checks=checks.SPECS)
    def asset(
        context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
    ) -> MaterializeResult:
        """Articles from feeds, article lists and files, added only if they are absent.

        An article is known by its canonical address and by its words: agencies' articles in many
        outlets are one. What is dated in the future, or older than the window, is left out. A
        source that is down stops no other and not the day: a check names it.
        """
        started = time.monotonic()
        with explained(), data.published(), duckdb.get_connection() as con:
            day = day_of(context.partition_key)
            partition = collect_news(con, data.lake, data.settings, day)
            rows = sample(con, data.lake, partition, NewsArticle, "source, language", each="source")
        readings = partition.told(NewsDetails).readings
        return result(
            NewsArticle,
            partition,
            started,
            sample=rows,
            metadata={
                "added": counts_table("source", {name: r.added for name, r in readings.items()}),
                "copies": sum(reading.copies for reading in readings.values()),
            },
            checks=checks.evaluate(partition),
        )

    return asset
