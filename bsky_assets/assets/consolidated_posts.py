"""Every post of a sync day once, in one record shape."""

from dagster import AssetDep, AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.checks import consolidated_posts as checks
from bsky_assets.contracts import ConsolidatedPost, RawFeedPost, RawFirehosePost, RawPostDeletion
from bsky_assets.contracts.details import ConsolidationDetails
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.launcher import launch_partition
from bsky_assets.orchestration.materialisation import counts_table, making, row_asset
from bsky_assets.orchestration.partitions import look_back
from bsky_assets.orchestration.resources import DataDirectory


@row_asset(
    ConsolidatedPost,
    group="posts",
    checks=checks.SPECS,
    deps=[
        AssetDep(RawFirehosePost.asset, partition_mapping=look_back),
        AssetDep(RawFeedPost.asset, partition_mapping=look_back),
        AssetDep(RawPostDeletion.asset, partition_mapping=look_back),
    ],
)
@skips_empty_days(checks.SPECS)
def consolidated_posts(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """A post, once, whatever its source: the firehose, a feed, or both.

    Left out, and counted: posts deleted by their authors, posts of accounts that are gone, and
    posts that came up already in the seven days before.
    """
    with making(ConsolidatedPost, context, data, duckdb) as run:
        partition = launch_partition(context, run.con, run.lake, ConsolidatedPost, data.settings)
        outcomes = checks.evaluate(run.con, run.lake, run.day, partition)
        rows = run.sample(
            partition,
            "indexed_at, metadata.source AS source, record.langs AS langs, uri",
            each="concat_ws(' ', metadata.source, record.langs[1])",
        )
    left_out = counts_table("reason", partition.told(ConsolidationDetails).left_out)
    return run.result(partition, sample=rows, checks=outcomes, left_out=left_out)
