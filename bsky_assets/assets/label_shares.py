"""The shares of a sync day's labels: corrected by what people coded, and by the model alone."""

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.assets.student_scores import student_scores
from bsky_assets.contracts import LabelShare
from bsky_assets.contracts.details import ShareDetails
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.materialisation import frame_table, making, row_asset
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

    with making(LabelShare, context, data, duckdb) as run:
        partition = write_shares(run.lake, run.day, data.settings)
        rows = run.rows().filter("stratum = 'all'").select(_SHOWN)
        shares = frame_table(rows.order("share_of, label").df().round(4))
    told = partition.told(ShareDetails)
    corrected = told.not_corrected or f"by {told.coded:,} posts that people coded"
    return run.result(partition, shares=shares, corrected=MetadataValue.text(corrected))
