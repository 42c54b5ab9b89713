"""What each side says of the topics that posts are told of."""

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.news_context import news_context
from bsky_assets.contracts.details import ViewsDetails
from bsky_assets.contracts.news import NewsView
from bsky_assets.labelling.views import distil_day
from bsky_assets.orchestration.materialisation import making, row_asset
from bsky_assets.orchestration.resources import DataDirectory


@row_asset(NewsView, group="news", kinds={"openai"}, deps=[news_context], pool="llm_endpoint")
def news_views(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """The argument of each side in a topic of the day, in two sentences, with the articles
    that say so, by the model of record.

    A post is asked about with this in the place of the article. Where a topic has none, it is
    asked about with the article.
    """
    with making(NewsView, context, data, duckdb) as run:
        partition = distil_day(run.con, run.lake, data.settings, run.day)
        rows = run.sample(partition, "side, argument", each="side")
    told = partition.told(ViewsDetails)
    if told.problem:
        context.log.warning(told.problem)
    return run.result(
        partition,
        sample=rows,
        topics=told.topics,
        summed_up=told.summed_up,
        requests=told.requests,
    )
