"""What authors deleted, and which accounts are gone, as the firehose told on a sync day."""

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.raw_firehose_posts import raw_firehose_posts
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.checks import new_fields
from bsky_assets.contracts import RawPostDeletion
from bsky_assets.orchestration.materialisation import counts_table, making, row_asset
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.storage.compaction import compact_firehose_day


@row_asset(
    RawPostDeletion,
    group="ingest",
    kinds={"bluesky"},
    checks=[new_fields.spec(RawPostDeletion)],
    deps=[raw_firehose_posts],
)
def raw_post_deletions(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """Posts deleted by their authors and accounts whose status changed.

    One row is a deletion or a change of status. It comes from the stream that raw_firehose_posts
    reads, so it follows that asset and takes in what it landed.
    """
    with making(RawPostDeletion, context, data, duckdb) as run:
        segments = firehose_segments(data.settings)
        _, partition = compact_firehose_day(run.con, run.lake, segments, run.day)
        counts = dict(run.rows().aggregate("kind || ' ' || status, count(*)").fetchall())
        outcome = new_fields.evaluate(run.con, run.lake, RawPostDeletion, run.day)
        rows = run.sample(
            partition, "kind, status, seq, received_at", each="concat_ws(' ', kind, status)"
        )
    by_status = counts_table("status", counts)
    return run.result(partition, sample=rows, checks=[outcome], by_status=by_status)
