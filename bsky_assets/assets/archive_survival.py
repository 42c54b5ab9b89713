"""Which posts of a sync day are gone from the archive."""

import time

from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.assets.raw_firehose_posts import raw_firehose_posts
from bsky_assets.contracts.details import SurvivalDetails
from bsky_assets.contracts.survival import ArchiveSurvival
from bsky_assets.orchestration.materialisation import explained, frame_table, result, row_asset
from bsky_assets.orchestration.partitions import day_of
from bsky_assets.orchestration.resources import DataDirectory

_SHOWN = "divided_by, stratum, posts, gone, share, share_low, share_high"


def archive_survival() -> AssetsDefinition:
    """The asset, where BSKY_ARCHIVE_URL names an archive."""

    @row_asset(
        ArchiveSurvival, group="archive", deps=[raw_firehose_posts, filtered_posts, llm_labels]
    )
    def asset(
        context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
    ) -> MaterializeResult:
        """Which part of the posts that the stream brought is gone from the archive, by filter,
        label, side, hour and age of the account.

        It is made only where somebody asks for it by name, as it reads the archive. A day that is
        not over, or that was itself made from an archive, has no rows, and says why.
        """
        from bsky_assets.analysis.estimating.survival import write_survival

        started = time.monotonic()
        day = day_of(context.partition_key)
        with explained(), data.published(), duckdb.get_connection() as con:
            partition = write_survival(con, data.lake, data.settings, day, context.log.info)
            shown = data.lake.relation(con, ArchiveSurvival, [day]).select(_SHOWN).df().round(4)
        told = partition.told(SurvivalDetails)
        if told.problem:
            context.log.warning(told.problem)
        return result(
            ArchiveSurvival,
            partition,
            started,
            metadata={
                "shares": frame_table(shown),
                "posts": told.posts,
                "gone": told.gone,
                "left_out": told.left_out,
                "without_verdict": told.without_verdict,
            },
        )

    return asset
