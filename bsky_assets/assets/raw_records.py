"""Records of every other kind that the firehose brings, an asset a kind, as its contract says."""

from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.raw_firehose_posts import raw_firehose_posts
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.bluesky.kinds import KINDS, TableKind
from bsky_assets.bluesky.kinds.posts import KIND as POSTS
from bsky_assets.checks import new_fields
from bsky_assets.contracts import Row
from bsky_assets.orchestration.materialisation import making, row_asset
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.storage.compaction import compact_day


def _asset(row: type[Row]) -> AssetsDefinition:
    @row_asset(
        row,
        group="ingest",
        kinds={"bluesky"},
        checks=[new_fields.spec(row)],
        deps=[raw_firehose_posts],
        description=row.__doc__,
    )
    def records(
        context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
    ) -> MaterializeResult:
        with making(row, context, data, duckdb) as run:
            segments = firehose_segments(data.settings)
            partition = compact_day(run.con, run.lake, row, segments, run.day)
            outcome = new_fields.evaluate(run.con, run.lake, row, run.day)
            each = "date_trunc('hour', received_at)"
            rows = run.sample(partition, "uri, received_at", each=each)
        return run.result(partition, sample=rows, checks=[outcome])

    return records


raw_records = [
    _asset(kind.row) for kind in KINDS.values() if isinstance(kind, TableKind) and kind != POSTS
]
