"""What a language model says of the posts that passed."""

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.student_scores import student_scores
from bsky_assets.checks import llm_labels as checks
from bsky_assets.contracts import LlmLabel
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.labelling import Labelling, labelled
from bsky_assets.orchestration.materialisation import row_asset
from bsky_assets.orchestration.resources import DataDirectory


@row_asset(
    LlmLabel,
    group="labels",
    kinds={"openai"},
    checks=checks.SPECS,
    deps=[filtered_posts, student_scores],
    pool="llm_endpoint",
)
@skips_empty_days(checks.SPECS)
def llm_labels(
    context: AssetExecutionContext,
    config: Labelling,
    data: DataDirectory,
    duckdb: DuckDBResource,
) -> MaterializeResult:
    """Whether a post is about politics or social issues, and if so which side it takes.

    With BSKY_LLM_SAMPLE the model of record is asked about a random sample, and each of its labels
    has the chance with which its post was drawn: weigh by one over it.

    One row is one label of one post by one model and prompt. `request_id` and `slot` lead to the
    request and the raw answer in the view `llm_answers`, `prompt_version` to the prompt's text in
    `llm_prompts`. Answers are kept as they come: a run that was interrupted goes on where it
    stopped, and a day that is materialised again asks nothing twice.
    """
    return labelled(context, config, data, duckdb, LlmLabel, checks.evaluate)
