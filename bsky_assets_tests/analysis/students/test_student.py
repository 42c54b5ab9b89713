"""A student: good where there is something to learn, and unused where there is not."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bsky_assets.analysis.coding.journal import Journal
from bsky_assets.analysis.coding.making import Draw, room_of_draw
from bsky_assets.analysis.estimating import estimate
from bsky_assets.analysis.estimating.estimates import STRATUM, estimated
from bsky_assets.analysis.students.kept import POLITICS, keep, load
from bsky_assets.analysis.students.training import Student, teach
from bsky_assets.errors import UserError
from bsky_assets.labelling.embedding import packaged
from bsky_assets.labelling.embedding.packaged import Packaged
from bsky_assets.settings import Settings
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, by_first_letter
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post
from testbed.studied_days import World, studied

POLITICAL = ("the senate votes on the budget", "a protest against the new law", "the governor won")
OTHER = ("roses in my garden today", "this cake recipe is lovely", "my cat sleeps on the sofa")


def lessons(count: int = 240) -> tuple[list[str], list[str]]:
    """Texts about politics and about other things, two of three about the latter."""
    texts, labels = [], []
    for number in range(count):
        is_political = number % 3 == 0
        choices = POLITICAL if is_political else OTHER
        texts.append(f"{choices[number // 3 % 3]}, says number {number}")
        labels.append(str(is_political))
    return texts, labels


def taught(labels: list[str], texts: list[str], authors: list[str] | None = None) -> Student:
    writers = authors or [f"did:{n // 2}" for n in range(len(texts))]
    days = [n % 2 for n in range(len(texts))]
    return teach(Packaged().embed(texts), labels, writers, days, "model")


def test_a_student_tells_what_it_learnt_about_and_how_sure_it_is() -> None:
    texts, labels = lessons()
    student = taught(labels, texts)
    figures = student.figures
    assert figures.is_useful
    assert figures.accuracy > 0.95
    assert figures.accuracy_on_days
    assert figures.accuracy_on_days > 0.95
    assert figures.majority == pytest.approx(2 / 3, abs=0.01)
    assert figures.log_loss < figures.log_loss_of_shares
    scores = student.scores(
        Packaged().embed(["the president signed the law", "a garden of roses", ""])
    )
    assert scores.sum(axis=1) == pytest.approx(1)
    yes = student.classes.index("True")
    assert scores[0, yes] > 0.5 > scores[1, yes]


def test_labels_that_have_nothing_to_do_with_the_text_give_a_student_that_stays_unused(
    tmp_path: Path,
) -> None:
    texts, labels = lessons()
    np.random.default_rng(1).shuffle(labels)
    student = taught(labels, texts)
    assert not student.figures.is_useful
    settings = Settings(_env_file=None, data_dir=tmp_path)
    keep(settings, POLITICS, student)
    with pytest.raises(UserError, match="no better than the most frequent label") as refused:
        load(settings, POLITICS)
    assert "\n" not in str(refused.value)


def test_what_only_the_author_gives_away_is_not_taken_for_skill() -> None:
    """Each of 24 authors writes always the same words with the same label, given by chance."""
    dice = np.random.default_rng(2)
    words = ["apple", "bridge", "candle", "doctor", "engine", "forest", "guitar", "hammer"]
    said = [" ".join(dice.choice(words, 3, replace=False)) for _ in range(24)]
    label = [str(bool(n % 2)) for n in range(24)]
    texts = [said[n % 24] for n in range(240)]
    labels = [label[n % 24] for n in range(240)]
    known = taught(labels, texts, [f"did:{n}" for n in range(240)])
    assert known.figures.is_useful, "with the same author in both halves it looks skilled"
    unseen = taught(labels, texts, [f"did:{n % 24}" for n in range(240)])
    assert not unseen.figures.is_useful


@pytest.mark.scenario
def test_chance_among_few_authors_of_many_posts_each_is_seldom_taken_for_skill() -> None:
    """60 worlds of 24 authors with ten like posts each, and labels that are left to chance."""
    useful = 0
    for seed in range(60):
        dice = np.random.default_rng(seed)
        vectors = np.repeat(dice.standard_normal((24, 8)), 10, axis=0).astype(np.float32)
        labels = [str(bool(one)) for one in np.repeat(dice.permutation(24) % 2, 10)]
        authors = [f"did:{n // 10}" for n in range(240)]
        useful += teach(vectors, labels, authors, [0] * 240, "model").figures.is_useful
    assert useful <= 8


def test_a_student_is_kept_as_it_is(tmp_path: Path) -> None:
    texts, labels = lessons()
    student = taught(labels, texts)
    settings = Settings(_env_file=None, data_dir=tmp_path)
    keep(settings, POLITICS, student)
    again = load(settings, POLITICS)
    vectors = Packaged().embed(texts)
    assert np.array_equal(again.scores(vectors), student.scores(vectors))
    assert (again.figures, again.data_hash) == (student.figures, student.data_hash)
    assert taught(labels[::-1], texts).data_hash != student.data_hash


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["True"] * 60, "two labels with 10 examples each, and there are {'True': 60}"),
        (["True"] * 55 + ["False"] * 5, "two labels with 10 examples each"),
    ],
)
def test_too_few_labels_teach_nothing(labels: list[str], says: str) -> None:
    with pytest.raises(UserError) as refused:
        taught(labels, [f"text {n}" for n in range(60)])
    assert says in str(refused.value)


def test_posts_of_few_authors_teach_nothing() -> None:
    texts, labels = lessons(60)
    with pytest.raises(UserError, match="posts of 5 authors at least"):
        taught(labels, texts, ["did:one", "did:other"] * 30)


def test_without_the_package_one_line_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    packaged._model.cache_clear()
    with pytest.raises(UserError, match=r"pip install -c constraints.txt -e '.\[embeddings\]'"):
        Packaged().embed(["a text"])
    packaged._model.cache_clear()


def test_a_student_makes_intervals_narrower_and_they_hold() -> None:
    """Weeks by a poor model, with a student that is right in 85% for reasons of its own."""
    held, widths = 0, []
    for seed in range(60):
        dice = np.random.default_rng(seed)
        week = studied(dice, World(), posts=1500, accuracy=0.75)
        people = week.people(250, dice)
        alone = estimated("political", week.posts, people, [DAY]).coefficients[0].corrected
        says = np.where(dice.random(1500) < 0.85, week.truth, 1 - week.truth)
        posts = week.posts.assign(**{STRATUM: week.posts["label"] + says.astype(str)})
        both = estimated("political", posts, people, [DAY]).coefficients[0].corrected
        widths.append((both.high - both.low) / (alone.high - alone.low))
        held += both.low <= World().share() <= both.high
    assert np.mean(widths) < 0.85
    assert held >= 54


def text_of(number: int) -> str:
    """What the model sees by its first letter, and a student by its words."""
    choices = POLITICAL if number % 3 == 0 else OTHER
    return f"{'L' if number % 3 == 0 else 'N'} {choices[number // 3 % 3]} {number}"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    with served(FakeEndpoint(by_first_letter).app()) as url:
        lab = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        lab.filtered(filtered_post(n, text_of(n)) for n in range(300))
        lab.label()
    monkeypatch.setenv("BSKY_DATA_DIR", str(lab.folder))
    return lab


def test_the_command_teaches_says_what_is_unused_and_the_estimate_takes_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    room = room_of_draw(lab.settings, Draw([DAY], 100, ["label"]), ["ada"])
    with Journal(room.journal) as journal:
        for number, item in room.items.items():
            is_left = int((item.uri or "").rsplit("3k", 1)[1]) % 3 == 0
            journal.add_all("ada", {number: "left" if is_left else "not_sociopolitical"})
    asked: dict[str, Any] = {"settings": lab.settings, "student": True}
    with pytest.raises(UserError, match="no student has been taught"):
        estimate("political", [DAY], **asked)
    status, out, error = run(monkeypatch, capsys, "labels", "distil", "--days", str(DAY))
    assert status == 0, error
    assert "political: 300 examples, right in" in out
    assert ": used" in out.splitlines()[0]
    assert "ideology: not taught: a student takes two labels with 10 examples" in out
    found = estimate("political", [DAY], **asked).coefficients[0].corrected
    assert found.low <= 1 / 3 <= found.high
    status, out, error = run(monkeypatch, capsys, "labels", "distil", "--from", "people")
    assert status == 0, error
    assert "political: 100 examples" in out
    with pytest.raises(UserError, match=f"learnt from {room.name}, by which the estimate"):
        estimate("political", [DAY], **asked)
    assert run(monkeypatch, capsys, "labels", "distil", "--from", "elsewhere")[0] == 2
