"""Which posts of a sync day are gone from the archive."""

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.assets.raw_firehose_posts import raw_firehose_posts
from bsky_assets.contracts.details import SurvivalDetails
from bsky_assets.contracts.survival import ArchiveSurvival
from bsky_assets.orchestration.materialisation import frame_table, making, row_asset
from bsky_assets.orchestration.resources import DataDirectory

_SHOWN = "divided_by, stratum, posts, gone, share, share_low, share_high"


@row_asset(ArchiveSurvival, group="archive", deps=[raw_firehose_posts, filtered_posts, llm_labels])
def archive_survival(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """Which part of the posts that the stream brought is gone from the archive, by filter,
    label, side, hour and age of the account.

    It is made only where somebody asks for it by name, as it reads the archive. A day that is
    not over, or that was itself made from an archive, has no rows, and says why.
    """
    from bsky_assets.analysis.estimating.survival import write_survival

    with making(ArchiveSurvival, context, data, duckdb) as run:
        partition = write_survival(run.con, run.lake, data.settings, run.day, context.log.info)
        shown = run.rows().select(_SHOWN).df().round(4)
    told = partition.told(SurvivalDetails)
    if told.problem:
        context.log.warning(told.problem)
    return run.result(
        partition,
        shares=frame_table(shown),
        posts=told.posts,
        gone=told.gone,
        left_out=told.left_out,
        without_verdict=told.without_verdict,
    )
