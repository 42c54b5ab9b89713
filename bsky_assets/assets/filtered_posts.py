"""Every consolidated post with the verdict of the filters."""

from dagster import AssetDep, AssetExecutionContext, MaterializeResult, MetadataValue
from dagster_duckdb import DuckDBResource

from bsky_assets.checks import filtered_posts as checks
from bsky_assets.contracts import ConsolidatedPost, FilteredPost, RawModerationLabel
from bsky_assets.contracts.details import FilterDetails
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.launcher import launch_partition
from bsky_assets.orchestration.materialisation import counts_table, making, row_asset
from bsky_assets.orchestration.partitions import look_back
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.reporting.figures import funnel_figure, inline_png


@row_asset(
    FilteredPost,
    group="posts",
    kinds={"fasttext"},
    checks=checks.SPECS,
    deps=[
        AssetDep(ConsolidatedPost.asset, partition_mapping=look_back),
        AssetDep(RawModerationLabel.asset, partition_mapping=look_back),
    ],
)
@skips_empty_days(checks.SPECS)
def filtered_posts(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """Every consolidated post with a verdict: passed, or the first filter that stopped it and why.

    The filters are asked in order: English, bot, NSFW, spam, hate speech. A post that one stops
    is not shown to the next, whose verdict stays null. Known examples are put to every filter
    first; if one is judged wrongly, the day is not filtered.
    """
    with making(FilteredPost, context, data, duckdb) as run:
        partition = launch_partition(context, run.con, run.lake, FilteredPost, data.settings)
        rows = run.sample(
            partition,
            "passed_filters, filtered_by_func, filter_reason, language, uri",
            each="filtered_by_func",
        )
    told = partition.told(FilterDetails)
    return run.result(
        partition,
        sample=rows,
        checks=checks.evaluate(data.lake, partition),
        passed=told.passed,
        stopped=counts_table("filter", {step.filter: step.stopped for step in told.funnel}),
        funnel=MetadataValue.md(inline_png(funnel_figure(partition), "Filter funnel")),
        languages=counts_table("language", told.languages),
    )
