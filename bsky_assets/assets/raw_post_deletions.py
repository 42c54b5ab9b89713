"""What authors deleted, and which accounts are gone, as the firehose told on a sync day."""

import time

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.raw_firehose_posts import raw_firehose_posts
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.checks import new_fields
from bsky_assets.contracts import RawPostDeletion
from bsky_assets.orchestration.materialisation import (
    counts_table,
    explained,
    result,
    row_asset,
    sample,
)
from bsky_assets.orchestration.partitions import day_of
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
    started = time.monotonic()
    day = day_of(context.partition_key)
    with explained(), data.published(), duckdb.get_connection() as con:
        _, partition = compact_firehose_day(con, data.lake, firehose_segments(data.settings), day)
        by_status = data.lake.relation(con, RawPostDeletion, [day]).aggregate(
            "kind || ' ' || status AS status, count(*) AS rows"
        )
        counts = dict(by_status.fetchall())
        outcome = new_fields.evaluate(con, data.lake, RawPostDeletion, day)
        rows = sample(
            con,
            data.lake,
            partition,
            RawPostDeletion,
            "kind, status, seq, received_at",
            each="concat_ws(' ', kind, status)",
        )
    return result(
        RawPostDeletion,
        partition,
        started,
        sample=rows,
        checks=[outcome],
        metadata={"by_status": counts_table("status", counts)},
    )
