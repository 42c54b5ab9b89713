"""How far models agree on the posts of a sync day, and which posts they dispute."""

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.contracts import DisputedPost, arrow_schema
from bsky_assets.contracts.details import Details
from bsky_assets.labelling.statistics.agreement import compare
from bsky_assets.labelling.versions import labelling_version
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.labelling import agreement_of_models
from bsky_assets.orchestration.materialisation import making, row_asset
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.storage.inputs import made_from


@row_asset(
    DisputedPost,
    group="labels",
    kinds={"scikitlearn"},
    deps=[llm_labels],
)
@skips_empty_days(())
def model_agreement(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """The posts on which models disagree, and Cohen's kappa for each pair of models.

    With one model in BSKY_LLM_MODELS there is nothing to compare, and no row. Kappa is given for
    the ideology, with `none` for posts that are not sociopolitical, and its 95% interval. Of a
    day of which a sample is labelled, each post weighs one over its chance.
    """
    with making(DisputedPost, context, data, duckdb) as run:
        inputs = made_from(run.lake, DisputedPost, run.day)
        agreement = compare(run.con, run.lake, [run.day])
        disputed = agreement.disputed.cast(arrow_schema(DisputedPost))
        details = Details(labelling_version=labelling_version(DisputedPost))
        partition = run.lake.write(DisputedPost, run.day, disputed, details, made_from=inputs)
        rows = run.sample(partition, "models, labels, uri", each="labels")
    return run.result(partition, sample=rows, **agreement_of_models(agreement))
