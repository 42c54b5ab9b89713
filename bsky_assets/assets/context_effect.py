"""What news beside posts does to their labels."""

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.news_context import news_context
from bsky_assets.assets.news_views import news_views
from bsky_assets.checks import context_effect as checks
from bsky_assets.contracts.details import ContextEffectDetails
from bsky_assets.contracts.news import ContextEffect
from bsky_assets.labelling.context_effect import measure_context
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.materialisation import frame_table, making, row_asset
from bsky_assets.orchestration.resources import DataDirectory


@row_asset(
    ContextEffect,
    group="news",
    kinds={"openai"},
    checks=checks.SPECS,
    deps=[filtered_posts, news_context, news_views],
    pool="llm_endpoint",
)
@skips_empty_days(checks.SPECS)
def context_effect(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """The same posts, asked about without news and with it: whether labels are right more
    often, and how far the day's shares move.

    A random sample of the day, and the posts of BSKY_LLM_GOLD, go to the model of record both
    ways. With BSKY_NEWS_CONTEXT=proven, `llm_labels` is asked with news only if the lower end
    of the gain's interval on the coded posts is above 0.
    """
    with making(ContextEffect, context, data, duckdb) as run:
        partition = measure_context(run.con, run.lake, run.day, data.settings)
        rows = run.sample(partition, "measure, label", each="measure")
        found = run.rows().order("measure, label").df()
    told = partition.told(ContextEffectDetails)
    shown = found[["measure", "label", "posts", "value_without", "value_with", "difference"]]
    return run.result(
        partition,
        sample=rows,
        checks=checks.evaluate(data.settings, partition),
        effects=frame_table(shown.round(4)),
        sampled=told.sampled,
        with_news=told.with_news,
        coded=told.coded,
        is_proven=told.is_proven,
    )
