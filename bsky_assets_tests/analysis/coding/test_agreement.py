"""Agreement between coders, against the package `krippendorff` and scikit-learn."""

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from bsky_assets.analysis.coding.agreement import ALL_ANSWERS, agreement
from bsky_assets.analysis.coding.size import posts_needed
from bsky_assets.errors import UserError

ANSWERS = ["left", "right", "moderate", "unclear"]
CODED = st.lists(
    st.lists(st.sampled_from([*ANSWERS, None]), min_size=3, max_size=3), min_size=2, max_size=40
)


def said(rows: list[list[str | None]]) -> dict[str, dict[int, str]]:
    return {
        coder: {item: row[n] for item, row in enumerate(rows) if row[n] is not None}  # type: ignore[misc]
        for n, coder in enumerate(["ada", "ben", "cho"])
    }


def matrix(rows: list[list[str | None]], of: str | None = None) -> np.ndarray:
    """Coders by items, as the package wants it."""
    number = {name: n for n, name in enumerate(ANSWERS)}

    def value(answer: str | None) -> float:
        if answer is None:
            return np.nan
        return float(answer == of) if of else number[answer]

    return np.array([[value(row[n]) for row in rows] for n in range(3)])


def alpha_of(values: np.ndarray) -> float:
    return float(krippendorff.alpha(values, level_of_measurement="nominal"))


@settings(max_examples=25, deadline=None)
@given(CODED)
def test_alpha_is_that_of_the_package_krippendorff_whoever_is_missing(
    rows: list[list[str | None]],
) -> None:
    everything = agreement(said(rows), ANSWERS)
    assert [one.answer for one in everything] == [ALL_ANSWERS, *ANSWERS]
    paired = [row for row in rows if sum(answer is not None for answer in row) > 1]
    assume(len({answer for row in paired for answer in row if answer}) > 1)
    assert everything[0].alpha.value == pytest.approx(alpha_of(matrix(rows)), abs=1e-9)
    for one in everything[1:]:
        if len({a == one.answer for row in paired for a in row if a}) > 1:
            expected = alpha_of(matrix(rows, one.answer))
            assert one.alpha.value == pytest.approx(expected, abs=1e-9)


def test_kappa_is_scikit_learns_of_the_items_that_both_coded() -> None:
    rows: list[list[str | None]] = [
        ["left", "left", None],
        ["right", "left", None],
        ["right", "right", "right"],
        ["unclear", None, "left"],
        ["left", "left", "left"],
    ]
    (first, second, kappa), *_ = agreement(said(rows), ANSWERS)[0].kappas
    assert (first, second) == ("ada", "ben")
    both = [(row[0], row[1]) for row in rows if row[0] and row[1]]
    assert kappa.value == pytest.approx(cohen_kappa_score(*zip(*both, strict=True)))


@pytest.mark.scenario
def test_the_interval_of_alpha_holds_the_truth_about_as_often_as_it_says() -> None:
    """Two coders of 120 items who each err in a fifth; the truth is alpha of very many items."""
    dice = np.random.default_rng(5)

    def rows(count: int) -> list[list[str | None]]:
        truth = dice.choice(4, size=count, p=[0.5, 0.3, 0.1, 0.1])
        wrong = dice.random((count, 2)) < 0.2
        given = np.where(wrong, dice.choice(4, size=(count, 2)), truth[:, None])
        return [[ANSWERS[a], ANSWERS[b], None] for a, b in given]

    true = alpha_of(matrix(rows(200_000))[:2])
    found = [agreement(said(rows(120)), [])[0].alpha for _ in range(60)]
    assert 52 <= sum(alpha.low <= true <= alpha.high for alpha in found) <= 60


def test_there_is_no_number_where_there_is_nothing_to_agree_on() -> None:
    (one,) = agreement({"ada": {1: "left"}, "ben": {2: "left"}}, [])
    assert one.items == 0
    assert np.isnan(one.alpha.value)
    (same,) = agreement({"ada": {1: "left", 2: "left"}, "ben": {1: "left", 2: "left"}}, [])
    assert np.isnan(same.alpha.value)


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        ({"margin": 0.05}, 385),  # the number in every textbook
        ({"margin": 0.03}, 1068),
        ({"margin": 0.03, "accuracy": 0.94}, 257),
        ({"margin": 0.03, "share": 0.02, "accuracy": 0.9}, 84),  # the model is of no help
        ({"margin": 0.05, "population": 1000}, 278),
    ],
)
def test_the_posts_needed_are_those_of_the_textbook(asked: dict[str, float], needed: int) -> None:
    assert posts_needed(**asked) == needed  # type: ignore[arg-type]


def test_a_margin_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="margin is 3; it must be between 0 and 1"):
        posts_needed(3)
