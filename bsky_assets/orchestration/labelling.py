"""What the assets of labels have in common: `llm_labels` and those of codebooks."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    MaterializeResult,
    MetadataValue,
)
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection
from pydantic import Field

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.details import LabelDetails, ModelRound
from bsky_assets.labelling.statistics.agreement import Agreement, compare
from bsky_assets.orchestration.launcher import launch_partition
from bsky_assets.orchestration.launchpad import OfSettings
from bsky_assets.orchestration.materialisation import frame_table, making
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.reporting.figures import inline_png, labels_figure, shares_figure
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition


class Labelling(OfSettings):
    """Who is asked, and about how many posts at a time."""

    models: list[str] | None = Field(
        None, description="Models to ask; the first is the label of record. None: BSKY_LLM_MODELS."
    )
    batch_size: int | None = Field(
        None, ge=1, le=50, description="Posts a request. None: BSKY_LLM_BATCH_SIZE."
    )

    @classmethod
    def defaults(cls, settings: Settings) -> Mapping[str, Any]:
        """Who is asked by default."""
        return {"models": [*settings.llm_models], "batch_size": settings.llm_batch_size}

    def in_force(self, settings: Settings) -> Settings:
        """The settings, with what this run has of its own."""
        own = {
            "llm_models": tuple(self.models or ()) or None,
            "llm_batch_size": self.batch_size,
        }
        return settings.model_copy(
            update={name: value for name, value in own.items() if value is not None}
        )


def labelled(
    context: AssetExecutionContext,
    config: Labelling,
    data: DataDirectory,
    duckdb: DuckDBResource,
    row: type[Row],
    evaluate: Callable[..., list[AssetCheckResult]],
) -> MaterializeResult:
    """Label the posts of a run's day for the table of `row`, and tell what there is to tell.

    `evaluate` gives the outcomes of the checks of a partition.
    """
    with making(row, context, data, duckdb) as run:
        partition = launch_partition(
            context, run.con, run.lake, row, config.in_force(data.settings)
        )
        outcomes = evaluate(run.con, run.lake, data.settings, partition, row)
        rows = run.sample(partition, _shown(row), each=_kind(row))
        agreed = _agreed(run.con, run.lake, partition, row)
    told = partition.told(LabelDetails)
    return run.result(
        partition,
        sample=rows,
        checks=outcomes,
        labelled=told.labelled,
        failed=told.failed,
        **_sampled(told),
        prompt_version=told.prompt_version,
        requests=sum(model.requests for model in told.models),
        **tokens(told.models),
        **notices(told),
        **agreed,
        **_with_news(told),
        shares=MetadataValue.md(_picture(row, partition)),
    )


def _agreed(
    con: DuckDBPyConnection, lake: Lake, partition: Partition, row: type[Row]
) -> dict[str, MetadataValue]:
    """How far models agree on a codebook; for `llm_labels` that is an asset, model_agreement."""
    if not issubclass(row, CodebookLabel) or row.codebook.answer.type == "text":
        return {}
    return agreement_of_models(compare(con, lake, [partition.day], row))


def _sampled(told: LabelDetails) -> dict[str, MetadataValue]:
    """How the day's sample was drawn, if the labels are those of one."""
    if told.sample is None:
        return {}
    strata = pd.DataFrame(
        {
            "stratum": one.stratum,
            "posts": one.posts,
            "drawn": one.sampled,
            "labelled": one.labelled,
        }
        for one in told.sample.strata
    )
    return {"not_asked": MetadataValue.int(told.not_asked), "sample_design": frame_table(strata)}


def _with_news(told: LabelDetails) -> dict[str, MetadataValue]:
    """How many labels were made with news, if they may be, and why the others were not."""
    if told.news is None:
        return {}
    without = [f"{count:,}: {why}" for why, count in told.news.without.items()]
    said = "; ".join([*without, *filter(None, [told.news.problem])])
    return {
        "labelled_with_news": MetadataValue.int(told.news.given),
        "labelled_without_news": MetadataValue.text(said),
    }


def _shown(row: type[Row]) -> str:
    """Columns of the sample in the UI; of a text that a model wrote, nothing."""
    answer = "is_sociopolitical, political_ideology" if row is LlmLabel else "answer"
    return f"{answer}, model, prompt_version, uri"


def _kind(row: type[Row]) -> str:
    """What rows of a kind have in common: their answer."""
    return "concat_ws(' ', is_sociopolitical, political_ideology)" if row is LlmLabel else "answer"


def _picture(row: type[Row], partition: Partition) -> str:
    drawn = labels_figure(partition) if row is LlmLabel else shares_figure(partition)
    return inline_png(drawn, "Label shares")


def agreement_of_models(agreement: Agreement) -> dict[str, Any]:
    """How far each two models agree; nothing where no two labelled the same posts."""
    if not agreement.pairs:
        return {}
    frame = pd.DataFrame(
        {
            "models": f"{pair.first} and {pair.second}",
            "posts": pair.finest.posts,
            **{f"kappa, {name}": str(scores.kappa) for name, scores in pair.scores.items()},
        }
        for pair in agreement.pairs
    )
    pictures = (base64.b64encode(pair.png()).decode() for pair in agreement.pairs)
    shown = "\n\n".join(f"![Confusion matrix](data:image/png;base64,{one})" for one in pictures)
    return {"kappa": frame_table(frame), "confusion": MetadataValue.md(shown)}


def tokens(models: Sequence[ModelRound]) -> dict[str, MetadataValue]:
    """Tokens of all models; null where a server that was asked does not tell them."""
    told: dict[str, MetadataValue] = {}
    for name in ("prompt_tokens", "completion_tokens"):
        counted = [getattr(model, name) for model in models if model.requests]
        known = None not in counted
        told[name] = MetadataValue.int(sum(counted)) if known else MetadataValue.null()
    return told


def notices(labels: LabelDetails) -> dict[str, MetadataValue]:
    """What whoever runs the endpoint should know of it, if there is anything."""
    told = [f"{model.model}: {notice}" for model in labels.models for notice in model.notices]
    told += [labels.lowered] if labels.lowered else []
    return {"notices": MetadataValue.text("; ".join(told))} if told else {}
