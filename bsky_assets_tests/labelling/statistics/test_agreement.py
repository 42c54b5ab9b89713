"""Labels of several models, compared post by post."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sklearn.metrics import cohen_kappa_score

from bsky_assets.contracts import LlmLabel
from bsky_assets.labelling.statistics.agreement import Agreement, compare
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.support.labelling import DAY
from testbed.rows import post_uri, table

OF_RECORD = "small"


def label(post: str, model: str, ideology: str | None, **fields: Any) -> dict[str, Any]:
    return {
        "uri": post_uri("ann", post),
        "model": model,
        "is_label_of_record": model == OF_RECORD,
        "was_successfully_labeled": True,
        "is_sociopolitical": ideology is not None,
        "political_ideology": ideology,
        "prompt_version": "now",
        "schema_version": "one",
        "label_timestamp": datetime(2026, 3, 8, 12, tzinfo=UTC),
        **fields,
    }


def compared(folder: Path, rows: list[dict[str, Any]]) -> Agreement:
    lake = Lake(folder)
    lake.write(LlmLabel, DAY, table(LlmLabel, rows))
    with duckdb.connect() as con:
        return compare(con, lake, [DAY])


def test_what_most_models_dispute_comes_first_and_every_two_models_are_a_pair(
    tmp_path: Path,
) -> None:
    said = {
        "a": ("left", "left", "right"),
        "b": ("left", "right", None),
        "c": (None, None, None),
        "d": ("right", "left", "left"),
    }
    models = (OF_RECORD, "large", "other")
    found = compared(
        tmp_path,
        [
            label(post, model, one)
            for post, labels in said.items()
            for model, one in zip(models, labels, strict=True)
        ],
    )
    assert [uri[-1] for uri in found.disputed["uri"].to_pylist()] == ["b", "a", "d"]
    assert found.disputed["models"].to_pylist() == [["large", "other", OF_RECORD]] * 3
    assert found.disputed["labels"].to_pylist()[0] == ["right", "none", "left"]
    pairs = {(pair.first, pair.second): pair for pair in found.pairs}
    assert pairs.keys() == {("large", "other"), ("large", OF_RECORD), ("other", OF_RECORD)}
    politics = pairs["other", OF_RECORD].scores["is_sociopolitical"]
    assert politics.kappa.value == pytest.approx(cohen_kappa_score([1, 0, 0, 1], [1, 1, 0, 1]))
    assert pairs["large", OF_RECORD].finest.accuracy.value == 0.5


def test_posts_weigh_one_over_the_chance_of_their_label_of_record(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        [
            label("a", OF_RECORD, "left", selection_chance=0.25),
            label("a", "large", "left"),
            label("b", OF_RECORD, "left", selection_chance=1.0),
            label("b", "large", "right", selection_chance=0.1),
        ],
    )
    (pair,) = found.pairs
    assert pair.finest.accuracy.value == pytest.approx(4 / 5)
    assert pair.finest.posts == 2


def test_what_was_asked_otherwise_before_or_failed_is_not_compared(tmp_path: Path) -> None:
    later = datetime(2026, 3, 9, tzinfo=UTC)
    found = compared(
        tmp_path,
        [
            *(label(post, OF_RECORD, "left") for post in "abcd"),
            label("a", "large", "right"),
            label("a", "large", "left", label_timestamp=later),  # of other weights
            label("b", "large", "right", prompt_version="before"),
            label("b", "large", "right", schema_version="two"),
            label("c", "large", "right", was_successfully_labeled=False),
            label("d", OF_RECORD, "right", is_label_of_record=False, label_timestamp=later),
            label("d", "large", "left"),
            label("e", "large", "left"),  # not of the sample any more
        ],
    )
    (pair,) = found.pairs
    assert pair.finest.confusion == ((2,),)
    assert found.disputed.num_rows == 0
