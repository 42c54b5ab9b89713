"""What a language model says of the posts that passed."""

import time
from collections.abc import Sequence

from dagster import (
    AssetExecutionContext,
    Config,
    MaterializeResult,
    MetadataValue,
)
from dagster_duckdb import DuckDBResource
from pydantic import Field

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.checks import llm_labels as checks
from bsky_assets.contracts import LlmLabel
from bsky_assets.contracts.details import LabelDetails, ModelRound
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.launcher import launch_partition
from bsky_assets.orchestration.materialisation import explained, result, row_asset, sample
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.reporting.figures import inline_png, labels_figure
from bsky_assets.settings import Settings


class Labelling(Config):
    """Who is asked, and about how many posts at a time."""

    models: list[str] | None = Field(
        None, description="Models to ask; the first is the label of record. None: BSKY_LLM_MODELS."
    )
    batch_size: int | None = Field(
        None, ge=1, le=50, description="Posts a request. None: BSKY_LLM_BATCH_SIZE."
    )

    def in_force(self, settings: Settings) -> Settings:
        """The settings, with what this run has of its own."""
        own = {
            "llm_models": tuple(self.models or ()) or None,
            "llm_batch_size": self.batch_size,
        }
        return settings.model_copy(
            update={name: value for name, value in own.items() if value is not None}
        )


@row_asset(
    LlmLabel,
    group="labels",
    kinds={"openai"},
    checks=checks.SPECS,
    deps=[filtered_posts],
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

    One row is one label of one post by one model and prompt. `request_id` and `slot` lead to the
    request and the raw answer in the view `llm_answers`, `prompt_version` to the prompt's text in
    `llm_prompts`. Answers are kept as they come: a run that was interrupted goes on where it
    stopped, and a day that is materialised again asks nothing twice.
    """
    started = time.monotonic()
    with explained(), data.published(), duckdb.get_connection() as con:
        partition = launch_partition(
            context, con, data.lake, LlmLabel, config.in_force(data.settings)
        )
        outcomes = checks.evaluate(con, data.lake, data.settings, partition)
        rows = sample(
            con, data.lake, partition, LlmLabel,
            "is_sociopolitical, political_ideology, model, prompt_version, uri",
        )  # fmt: skip
    told = partition.told(LabelDetails)
    return result(
        LlmLabel,
        partition,
        started,
        sample=rows,
        metadata={
            "labelled": told.labelled,
            "failed": told.failed,
            "prompt_version": told.prompt_version,
            "requests": sum(model.requests for model in told.models),
            **tokens(told.models),
            **notices(told.models),
            "shares": MetadataValue.md(inline_png(labels_figure(partition), "Label shares")),
        },
        checks=outcomes,
    )


def tokens(models: Sequence[ModelRound]) -> dict[str, MetadataValue]:
    """Tokens of all models; null where a server that was asked does not tell them."""
    told: dict[str, MetadataValue] = {}
    for name in ("prompt_tokens", "completion_tokens"):
        counted = [getattr(model, name) for model in models if model.requests]
        known = None not in counted
        told[name] = MetadataValue.int(sum(counted)) if known else MetadataValue.null()
    return told


def notices(models: Sequence[ModelRound]) -> dict[str, MetadataValue]:
    """What whoever runs the endpoint should know of it, if there is anything."""
    told = [f"{model.model}: {notice}" for model in models for notice in model.notices]
    return {"notices": MetadataValue.text("; ".join(told))} if told else {}
