"""News articles, each once, whichever outlets have it."""

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.checks import news_articles as checks
from bsky_assets.contracts.details import NewsDetails
from bsky_assets.contracts.news import NewsArticle
from bsky_assets.news.collecting import collect_news
from bsky_assets.orchestration.materialisation import counts_table, making, row_asset
from bsky_assets.orchestration.resources import DataDirectory


@row_asset(NewsArticle, group="news", kinds={"rss"}, checks=checks.SPECS)
def news_articles(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """Articles from feeds, article lists and files, added only if they are absent.

    An article is known by its canonical address and by its words: agencies' articles in many
    outlets are one. What is dated in the future, or older than the window, is left out. A
    source that is down stops no other and not the day: a check names it.
    """
    with making(NewsArticle, context, data, duckdb) as run:
        partition = collect_news(run.con, run.lake, data.settings, run.day)
        rows = run.sample(partition, "source, language", each="source")
    readings = partition.told(NewsDetails).readings
    return run.result(
        partition,
        sample=rows,
        checks=checks.evaluate(partition),
        added=counts_table("source", {name: r.added for name, r in readings.items()}),
        copies=sum(reading.copies for reading in readings.values()),
    )
