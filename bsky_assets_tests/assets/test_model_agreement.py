"""The asset that compares models, against scikit-learn on the same labels."""

from datetime import UTC, date, datetime
from random import Random

import duckdb
import pytest
from dagster import DagsterInstance, materialize
from sklearn.metrics import cohen_kappa_score

from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.assets.model_agreement import model_agreement
from bsky_assets.contracts import LlmLabel
from bsky_assets.orchestration.of_settings import of_settings
from bsky_assets.orchestration.resources import DataDirectory, duckdb_resource
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from testbed.rows import post_uri, table

DAY = date(2026, 3, 8)
ANSWERS = ("left", "right", "unclear", None)


def chance(number: int) -> float:
    """That the model of record was asked about the post."""
    return 0.1 if number % 3 else 0.8


def label(number: int, model: str, ideology: str | None) -> dict[str, object]:
    return {
        "uri": post_uri("did:plc:a", str(number)),
        "is_label_of_record": model == "first",
        "is_sociopolitical": ideology is not None,
        "political_ideology": ideology,
        "was_successfully_labeled": True,
        "label_timestamp": datetime(2026, 3, 8, 20, tzinfo=UTC),
        "selection_chance": chance(number) if model == "first" else None,
        "text_hash": "00",
        "question_hash": "00",
        "context": [],
        "model": model,
        "prompt_version": "p",
        "schema_version": "s",
        "parameters": "{}",
        "attempts": 1,
        "batch_size": 1,
    }


@pytest.mark.parametrize("models", [["first", "second"], ["first"]])
def test_kappa_and_disputed_posts(settings: Settings, models: list[str]) -> None:
    random = Random(7)
    answers = {model: [random.choice(ANSWERS) for _ in range(200)] for model in models}
    rows = [label(n, model, side) for model in models for n, side in enumerate(answers[model])]
    lake = Lake(settings.lake_dir)
    lake.write(LlmLabel, DAY, table(LlmLabel, rows))

    done = materialize(
        [of_settings(asset, settings) for asset in (llm_labels, model_agreement)],
        selection=[model_agreement],
        partition_key=DAY.isoformat(),
        resources={"data": DataDirectory(settings), "duckdb": duckdb_resource(settings)},
        instance=DagsterInstance.ephemeral(),
    )

    metadata = done.asset_materializations_for_node("model_agreement")[0].metadata
    with duckdb.connect(str(settings.catalogue_path), read_only=True) as con:
        disputed = con.sql("SELECT uri, labels FROM model_agreement").fetchall()
    if len(models) == 1:
        assert disputed == []
        assert "kappa" not in metadata
        return
    first, second = ([side or "none" for side in answers[model]] for model in models)
    assert sorted(disputed) == sorted(
        (post_uri("did:plc:a", str(n)), [a, b])
        for n, (a, b) in enumerate(zip(first, second, strict=True))
        if a != b
    )
    (record,) = metadata["kappa"].records  # type: ignore[union-attr]  # it is a table
    weighed = cohen_kappa_score(first, second, sample_weight=[1 / chance(n) for n in range(200)])
    assert str(record.data["kappa, political_ideology"]).startswith(f"{weighed:.3f} [")
    assert f"{weighed:.3f}" != f"{cohen_kappa_score(first, second):.3f}"
