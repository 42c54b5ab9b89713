"""Which posts are about what is in the news, and what they are told of it."""

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.article_embeddings import article_embeddings
from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.checks import news_context as checks
from bsky_assets.contracts.details import ContextDetails
from bsky_assets.contracts.news import NewsContext
from bsky_assets.news.gate import judge_day
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.materialisation import making, row_asset
from bsky_assets.orchestration.resources import DataDirectory


@row_asset(
    NewsContext, group="news", checks=checks.SPECS, deps=[filtered_posts, article_embeddings]
)
@skips_empty_days(checks.SPECS)
def news_context(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """The article nearest to a post, and whether the post's question tells of it.

    A post is told of an article if a name in the news of the days before is in both and the
    article is near enough, and much nearer than any about something else. `llm_labels` reads
    it where BSKY_NEWS_CONTEXT is on; until then it shows what would be told.
    """
    with making(NewsContext, context, data, duckdb) as run:
        partition = judge_day(run.con, run.lake, data.settings, run.day)
        outcomes = checks.evaluate(run.con, run.lake, data.settings, partition)
        rows = run.sample(partition, "gate, distance, margin", each="gate")
    told = partition.told(ContextDetails)
    if told.problem:
        context.log.warning(told.problem)
    return run.result(
        partition,
        sample=rows,
        checks=outcomes,
        posts=told.posts,
        articles=told.articles,
        names_in_the_news=told.names,
        opened=told.opened,
        if_unclear=told.if_unclear,
    )
