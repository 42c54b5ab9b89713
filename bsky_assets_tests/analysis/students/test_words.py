"""The student that learns from words alone: measured, kept and used like the others."""

import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

from bsky_assets.analysis.students.kept import POLITICS, keep, load
from bsky_assets.analysis.students.scoring import score_day
from bsky_assets.analysis.students.training import Student
from bsky_assets.analysis.students.words import teach_words, vectors_of
from bsky_assets.contracts import ScoredPost
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, by_first_letter
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post

POLITICAL = ("the senate votes on the budget", "a protest against the new law", "the governor won")
OTHER = ("roses in my garden today", "this cake recipe is lovely", "my cat sleeps on the sofa")


def text_of(number: int) -> str:
    choices = POLITICAL if number % 3 == 0 else OTHER
    return f"{choices[number // 3 % 3]}, says number {number}"


TEXTS = [text_of(n) for n in range(240)]
LABELS = [str(n % 3 == 0) for n in range(240)]


def taught(texts: list[str], labels: list[str], authors: list[str] | None = None) -> Student:
    writers = authors or [f"did:{n // 2}" for n in range(len(texts))]
    return teach_words(texts, labels, writers, [n % 2 for n in range(len(texts))], "model")


def scores(student: Student, texts: list[str]) -> np.ndarray:
    assert student.words
    return student.scores(vectors_of(student.words, texts))


def test_it_tells_what_it_learnt_is_kept_as_it_is_and_has_no_word_of_a_post(tmp_path: Path) -> None:
    student = taught(TEXTS, LABELS)
    assert student.figures.is_useful
    assert student.figures.accuracy > 0.95
    found = scores(student, ["the governor won the budget", "roses, a cake, my cat", ""])
    assert found.sum(axis=1) == pytest.approx(1)
    assert found[0, 1] > 0.5 > found[1, 1]
    settings = Settings(_env_file=None, data_dir=tmp_path)
    for each in (taught(TEXTS[:120], LABELS[:120]), student):
        keep(settings, POLITICS, each)
    assert np.array_equal(scores(load(settings, POLITICS), TEXTS), scores(student, TEXTS))
    (file,) = (tmp_path / "students").glob("*.bin")
    assert b"senate" not in file.read_bytes()
    file.unlink()
    with pytest.raises(UserError, match="no student has been taught"):
        load(settings, POLITICS)


@pytest.mark.scenario
def test_what_has_nothing_to_do_with_the_words_or_only_with_the_author_is_no_skill() -> None:
    labels = LABELS.copy()
    np.random.default_rng(1).shuffle(labels)
    assert not taught(TEXTS, labels).figures.is_useful
    dice = np.random.default_rng(2)
    words = ["apple", "bridge", "candle", "doctor", "engine", "forest", "guitar", "hammer"]
    said = [" ".join(dice.choice(words, 3, replace=False)) for _ in range(24)]
    texts, labels = [said[n % 24] for n in range(240)], [str(bool(n % 2)) for n in range(240)]
    assert taught(texts, labels, [f"did:{n}" for n in range(240)]).figures.is_useful
    assert not taught(texts, labels, [f"did:{n % 24}" for n in range(240)]).figures.is_useful


def test_the_command_teaches_it_and_a_day_is_scored_without_any_embeddings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with served(FakeEndpoint(by_first_letter).app()) as url:
        lab = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        lab.filtered(filtered_post(n, f"{'N' if n % 3 else 'L'} {text_of(n)}") for n in range(300))
        lab.label()
    monkeypatch.setenv("BSKY_DATA_DIR", str(lab.folder))
    status, out, error = run(
        monkeypatch, capsys, "labels", "distil", "--by", "fasttext", "--days", str(DAY)
    )
    assert (status, "political: 300 examples" in out) == (0, True), error
    with duckdb.connect() as con:
        score_day(con, lab.lake, DAY, lab.settings)
        rows = lab.lake.relation(con, ScoredPost, [DAY]).to_arrow_table().to_pylist()
    said = {int(row["uri"].rsplit("3k", 1)[1]): row["political"] > 0.5 for row in rows}
    assert said == {n: n % 3 == 0 for n in range(300)}
