"""Searches with a simulated model, of which is known how much a wording can help; and parts."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.contracts.codebooks import read_codebook
from bsky_assets.labelling.optimising import searching
from bsky_assets.labelling.optimising.coded import CannotOptimise
from bsky_assets.labelling.optimising.dividing import divide
from bsky_assets.labelling.optimising.optimise import Outcome, Plan, optimise
from bsky_assets.labelling.optimising.sealed import Seal, judge
from bsky_assets.labelling.optimising.wording import Quotations, reworded, wording_of, write
from bsky_assets.labelling.statistics.paired import Effect, effect
from testbed.simulated_wordings import ADVICE, CODEBOOK, SimulatedModel, coded_posts


def searched(folder: Path, seed: int, gain: float, posts: int) -> Outcome:
    model = SimulatedModel(seed, gain=gain, requests=150)
    coded = coded_posts(posts, seed)
    return optimise(model, CODEBOOK, coded, folder / str(seed), Plan("simulated", 10))


def test_chosen_by_score_a_wording_that_does_not_help_seems_to_and_is_not_promoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`benchmarks/optimise_simulated.py` does this 200 times."""
    monkeypatch.setattr(searching, "ROUNDS", 12)
    outcomes = [searched(tmp_path, seed, 0.0, 160) for seed in range(8)]
    assert sum(one.candidate is not None for one in outcomes) >= 4
    assert sum(one.promoted is not None for one in outcomes) <= 1
    assert all(one.more_needed > 0 for one in outcomes)


def test_a_wording_that_helps_is_found_within_the_budget(tmp_path: Path) -> None:
    outcomes = [searched(tmp_path, seed, 0.2, 300) for seed in range(3)]
    promoted = [one.promoted for one in outcomes if one.promoted]
    assert len(promoted) >= 2
    assert all(ADVICE in read_codebook(path).instructions for path in promoted)


def test_however_often_a_test_may_be_opened_it_is_passed_by_chance_as_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """200 tests of 100 posts, each opened for five wordings that are no better."""
    monkeypatch.setattr("gc.collect", lambda: 0)  # by statsmodels, a tenth of a second each time
    dice = np.random.default_rng(5)
    passed = uncorrected = 0
    for _ in range(200):
        old = dice.random(100) < 0.7
        opened: dict[str, Effect] = {}
        for candidate in "abcde":
            new = np.where(dice.random(100) < 0.4, dice.random(100) < 0.7, old)
            opened[candidate] = effect(old.tolist(), new.tolist())
        verdicts = [judge(opened, candidate, 5) for candidate in opened]
        passed += any(one.is_better for one in verdicts)
        uncorrected += any(one.effect.gain.low > 0 for one in verdicts)
    assert passed <= 0.05 * 200
    assert uncorrected > 2 * passed


def test_an_opening_is_counted_before_its_answers_are_asked_and_holds_for_good(
    tmp_path: Path,
) -> None:
    test, file = coded_posts(50, 0), tmp_path / "openings.json"

    def killed() -> tuple[list[bool], list[bool]]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Seal(file, test, 2).open("new", "old", "model", killed)
    begun = Seal(file, test, 9)
    assert begun.may_open == 2, "set when it was first opened"
    assert begun.begun is not None
    assert begun.begun.candidate == "new"
    better = [False] * 20 + [True] * 30, [True] * 50
    first = begun.open("new", "old", "model", lambda: better)
    assert first.is_better
    assert first.corrected_p == pytest.approx(2 * first.effect.p), "one of two"
    again = Seal(file, test, 2).open("new", "old", "model", killed)
    assert again == first
    Seal(file, test, 2).open("other", "old", "model", lambda: better)
    with pytest.raises(CannotOptimise, match="opened 2 times, as often as it may be"):
        Seal(file, test, 2).open("third", "old", "model", killed)
    others = coded_posts(50, 1)
    assert Seal(file, others, 4).may_open == 4, "a test of other posts is another"


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(80, 200), st.integers(3, 20), st.integers(20, 200))
def test_no_author_day_or_text_is_in_two_parts_and_each_post_stays_where_it_was(
    seed: int, posts: int, days: int, authors: int
) -> None:
    coded = coded_posts(posts, seed, authors=authors, days=days)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "division.json"
        try:
            first = divide(coded[: posts // 2 + 40], file)
        except CannotOptimise:
            return
        try:
            second = divide(coded, file)
        except CannotOptimise:
            second = first
        words = file.read_text()
    for division in (first, second):
        parts = [division.train, division.development, division.test]
        for traits in (
            lambda post: post.author,
            lambda post: post.question.text_hash,
            *[lambda post: post.day] * division.is_by_day,
        ):
            kinds = [{traits(post) for post in part} for part in parts]
            assert len(set().union(*kinds)) == sum(map(len, kinds))
    assert not {*first.test} & {*second.train, *second.development}
    assert "did:plc" not in words


def test_a_wording_that_quotes_a_post_or_is_no_codebook_is_not_taken() -> None:
    post = "The mayor of our town has closed all of the libraries for good this week"
    quotations = Quotations([post])
    assert quotations.are_in(f"Say yes to such as: {post.upper()}!")
    assert not quotations.are_in("Say yes where a mayor has closed the libraries of a town.")
    words = wording_of(CODEBOOK)
    assert reworded(CODEBOOK, words) is CODEBOOK
    same = {**words, "definition of yes": "It is not."}
    assert reworded(CODEBOOK, same) is None, "two labels with one definition"
    assert reworded(CODEBOOK, {**words, "definition of yes": " "}) is None
    assert reworded(CODEBOOK, {**words, "instructions": "x" * 2_001}) is None


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=300))
def test_whatever_a_model_writes_is_read_back_from_the_file_as_it_was(text: str) -> None:
    other = reworded(CODEBOOK, {**wording_of(CODEBOOK), "instructions": text})
    assert other is not None
    with TemporaryDirectory() as folder:
        read = read_codebook(write(other, Path(folder)))
    assert read.instructions == other.instructions
    assert read.answer == other.answer
    assert read.version.startswith(f"{CODEBOOK.version}-")


def test_the_log_has_what_was_tried_with_scores_and_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "ROUNDS", 3)
    model = SimulatedModel(1)
    optimise(model, CODEBOOK, coded_posts(200, 1), tmp_path, Plan("simulated", 10))
    log = [json.loads(line) for line in (tmp_path / "tried.jsonl").read_text().splitlines()]
    searched = [one for one in log if one["part"] != "test"]
    assert {one["part"] for one in searched} == {"train", "development"}
    assert all(
        {"wording", "right", "posts", "prompt_version", "at"} <= one.keys() for one in log[:1]
    )
    assert sum(one["requests"] for one in searched) <= model.budget.spent_requests
    assert sum(one["tokens"] for one in searched) > 0
