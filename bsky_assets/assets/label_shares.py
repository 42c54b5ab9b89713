"""The shares of a sync day's labels: corrected by what people coded, and by the model alone."""

import time

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.assets.student_scores import student_scores
from bsky_assets.contracts import LabelShare
from bsky_assets.contracts.details import ShareDetails
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.materialisation import explained, frame_table, result, row_asset
from bsky_assets.orchestration.partitions import day_of
from bsky_assets.orchestration.resources import DataDirectory

_SHOWN = "label, share_of, corrected, corrected_low, corrected_high, naive, coded, labelled, posts"


@row_asset(
    LabelShare,
    group="labels",
    kinds={"statsmodels"},
    deps=[llm_labels, filtered_posts, student_scores],
)
@skips_empty_days(())
def label_shares(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """Which part of the day's posts is political, and takes which side: corrected by what people
    coded of a designed sample, and beside it by the model's labels alone.

    A model's mistakes do not cancel out, so that the corrected share is the one to publish. Where
    people coded nothing of the day, `method` says so. What was coded later counts once this is
    made anew.
    """
    from bsky_assets.analysis.estimating.shares import write_shares

    started = time.monotonic()
    day = day_of(context.partition_key)
    with explained(), data.published(), duckdb.get_connection() as con:
        partition = write_shares(data.lake, day, data.settings)
        rows = data.lake.relation(con, LabelShare, [day]).filter("stratum = 'all'")
        shown = rows.select(_SHOWN).order("share_of, label").df().round(4)
    told = partition.told(ShareDetails)
    corrected = told.not_corrected or f"by {told.coded:,} posts that people coded"
    return result(
        LabelShare,
        partition,
        started,
        metadata={"shares": frame_table(shown), "corrected": MetadataValue.text(corrected)},
    )
