"""Corrected outcomes and their errors, written out post by post."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import root
from scipy.special import expit
from scipy.stats import t as student

from bsky_assets.analysis.estimating.correcting import Corrected, Labelled, correct
from bsky_assets.analysis.estimating.regression import (
    LINEAR,
    LOGISTIC,
    CannotBeFitted,
    Fit,
    fit,
    fit_corrected,
)

POSTS = 60


def sampled(dice: np.random.Generator) -> dict[str, np.ndarray]:
    """Posts of which two thirds have a label and half of these were coded, each by its chance."""
    labelled = dice.random(POSTS) < 0.7
    coded = labelled & (dice.random(POSTS) < 0.5)
    return {
        "people": np.where(coded, dice.integers(0, 2, POSTS), np.nan),
        "chance": np.where(labelled, dice.choice([0.25, 0.5], POSTS), np.nan),
        "label": dice.choice(["left", "right", "none"], POSTS),
        "folds": dice.integers(0, 5, POSTS),
        "weight": np.where(labelled, dice.choice([1.0, 4.0], POSTS), 0.0),
        "groups": dice.integers(0, 2, POSTS),
    }


def mean_of_others(
    known: np.ndarray, weight: np.ndarray, kind: np.ndarray, folds: np.ndarray, post: int
) -> float:
    """What is known of posts of the same kind in other folds, and one post's worth of all these."""
    others = [n for n in range(POSTS) if folds[n] != folds[post] and not np.isnan(known[n])]
    if not others:
        return 0.5
    each = sum(weight[n] for n in others) / len(others)
    overall = sum(weight[n] * known[n] for n in others) / sum(weight[n] for n in others)
    same = [n for n in others if kind[n] == kind[post]]
    counted = sum(weight[n] / each * known[n] for n in same)
    return (counted + overall) / (sum(weight[n] / each for n in same) + 1)


@pytest.mark.parametrize(("seed", "is_sampled"), [*product(range(4), [True, False])])
def test_an_outcome_is_what_is_predicted_and_the_error_over_its_chance(
    seed: int, is_sampled: bool
) -> None:
    day = sampled(np.random.default_rng(seed))
    people, folds = day["people"], day["folds"]
    chance = np.where(np.isnan(day["chance"]), 0.25, day["chance"])
    phase = day["weight"] if is_sampled else np.ones(POSTS)
    coded = ~np.isnan(people)
    weight = np.where(coded, phase / chance, 0)
    first = [mean_of_others(people, weight, day["label"], folds, n) for n in range(POSTS)]
    right = [m + (people[n] - m) / chance[n] if coded[n] else m for n, m in enumerate(first)]
    if is_sampled:
        known = np.where(phase > 0, first, np.nan)
        second = [mean_of_others(known, phase, day["groups"], folds, n) for n in range(POSTS)]
        right = [m + phase[n] * (right[n] - m) if phase[n] else m for n, m in enumerate(second)]
    labelled = Labelled(phase, day["groups"]) if is_sampled else None
    predicted = (day["label"] == "left").astype(float)
    found = correct(people, chance, pd.Series(day["label"]), predicted, folds, labelled)
    assert found.outcome == pytest.approx(np.array(right))
    assert found.weight == pytest.approx(weight)
    assert (found.is_coded == coded).all()
    # Half an error for what the model says, spread over the coded posts of which it says so.
    of_class = {value: (coded & (predicted == value)).sum() for value in (0.0, 1.0)}
    unseen = [0.5 / of_class[predicted[n]] if coded[n] else 0 for n in range(POSTS)]
    assert found.unseen == pytest.approx(np.array(unseen))


def test_where_only_the_own_author_was_coded_any_share_is_as_likely() -> None:
    people = np.array([1.0, np.nan, np.nan])
    found = correct(
        people, np.full(3, 0.5), pd.Series(["a", "a", "b"]), np.zeros(3), np.array([1, 1, 2])
    )
    assert found.outcome == pytest.approx([0.5 + (1 - 0.5) / 0.5, 0.5, 1.0])


@pytest.mark.parametrize("is_counted", [False, True])
@pytest.mark.parametrize("kind", [LINEAR, LOGISTIC])
def test_what_a_sample_did_not_show_is_added_as_errors_of_its_coded_posts(
    kind: str, is_counted: bool
) -> None:
    dice = np.random.default_rng(5)
    matrix = np.column_stack([np.ones(POSTS), dice.random(POSTS)])
    authors, coded = np.arange(POSTS) // 2, np.arange(POSTS) % 3 == 0
    outcome = (dice.random(POSTS) < 0.2 + 0.6 * matrix[:, 1]).astype(float)
    weight = np.where(coded, dice.uniform(2, 4, POSTS), 0)
    unseen = np.where(coded, 0.5 / coded.sum(), 0)
    counts = dice.uniform(1, 3, POSTS) if is_counted else None
    corrected = Corrected(outcome, coded, weight, unseen)
    found = fit_corrected(kind, corrected, matrix, authors, counts)
    plain = fit(kind, outcome, matrix, authors, 18, counts)
    each = np.ones(POSTS) if counts is None else counts

    def mean(b: np.ndarray) -> np.ndarray:
        return matrix @ b if kind == LINEAR else expit(matrix @ b)

    values = root(lambda b: matrix.T @ (each * (outcome - mean(b))), np.zeros(2), tol=1e-12).x
    slope = each if kind == LINEAR else each * mean(values) * (1 - mean(values))
    bread = np.linalg.inv(sum(slope[n] * np.outer(matrix[n], matrix[n]) for n in range(POSTS)))
    more = sum(
        weight[n] ** 2 * unseen[n] * np.outer(matrix[n], matrix[n]) for n in np.flatnonzero(coded)
    )
    assert found.values == pytest.approx(values, abs=1e-6)
    covariance = (plain.covariance + bread @ more @ bread) * 20 / 18
    assert found.covariance == pytest.approx(covariance, rel=1e-5)
    assert found.freedom == 18


def test_an_interval_and_a_p_value_are_students() -> None:
    one = Fit(np.array([0.3, -2.0, 0.0]), np.diag([0.04, 1.0, 0.0]), 7)
    margin = student.ppf(0.975, 7) * 0.2
    found = one.estimate(0)
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.3 - margin, 0.3 + margin))
    assert one.p_value(0) == pytest.approx(2 * student.sf(1.5, 7))
    assert one.p_value(1) == pytest.approx(2 * student.sf(2.0, 7))
    assert one.p_value(2) == 0


@pytest.mark.parametrize("kind", [0.0, 1.0])
def test_a_group_all_of_one_kind_has_no_odds(kind: float) -> None:
    """Its coefficient has no end, and where its search is given up there is no error of it."""
    matrix = np.column_stack([np.ones(8), [0, 0, 0, 0, 1, 1, 1, 1]]).astype(float)
    outcome = np.array([0, 1, 0, 1, kind, kind, kind, kind])
    with pytest.raises(CannotBeFitted, match="has no solution"):
        fit(LOGISTIC, outcome, matrix, np.arange(8), 6)
    outcome[-1] = 1 - kind
    odds = 3 if kind else 1 / 3
    assert fit(LOGISTIC, outcome, matrix, np.arange(8), 6).values == pytest.approx(
        [0, np.log(odds)], abs=1e-9
    )


def test_of_one_author_or_too_few_coded_posts_there_is_no_fit() -> None:
    matrix = np.column_stack([np.ones(8), [0, 0, 0, 0, 1, 1, 1, 1]]).astype(float)
    outcome = np.array([0, 1, 0, 1, 1, 1, 1, 1], dtype=float)
    with pytest.raises(CannotBeFitted, match="of one author"):
        fit(LINEAR, outcome, matrix, np.zeros(8, dtype=int), 6)
    coded = np.arange(8) < 3
    corrected = Corrected(outcome, coded, np.where(coded, 2.0, 0), np.zeros(8))
    assert fit_corrected(LINEAR, corrected, matrix, np.arange(8)).freedom == 1
    corrected = Corrected(outcome, np.arange(8) < 2, np.zeros(8), np.zeros(8))
    with pytest.raises(CannotBeFitted, match="2 coded posts do not carry 2 coefficients"):
        fit_corrected(LINEAR, corrected, matrix, np.arange(8))
