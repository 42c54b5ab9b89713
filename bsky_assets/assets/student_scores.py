"""What a student says of the posts that passed."""

from typing import Any

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.contracts import ScoredPost
from bsky_assets.contracts.details import StudentDetails
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.materialisation import making, row_asset
from bsky_assets.orchestration.resources import DataDirectory


@row_asset(ScoredPost, group="labels", kinds={"scikitlearn"}, deps=[filtered_posts])
@skips_empty_days(())
def student_scores(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """How likely a student, a small classifier, takes each label of a post that passed to be.

    Scores are no labels. They make the strata of the day's sample (BSKY_LLM_SAMPLE) and narrow
    corrected estimates. Without a student that is of use (`bsky-assets labels distil`) there is no
    row, and nothing needs one. A day keeps the scores that it was made with.
    """
    from bsky_assets.analysis.students.scoring import score_day

    with making(ScoredPost, context, data, duckdb) as run:
        partition = score_day(run.con, run.lake, run.day, data.settings)
    told = partition.told(StudentDetails)
    said: dict[str, Any] = {f"student_{name}": student for name, student in told.students.items()}
    said |= {f"unused_{name}": MetadataValue.text(why) for name, why in told.unused.items()}
    return run.result(partition, scored=told.scored, **said)
