"""Shares, sizes of samples and scores against what textbooks and other packages make of them."""

from collections.abc import Sequence
from math import ceil, inf, sqrt

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score
from statsmodels.stats.proportion import proportion_confint

from bsky_assets.contracts.details import SampledStratum
from bsky_assets.labelling.statistics.allocation import allocate
from bsky_assets.labelling.statistics.corrected import Stratum, corrected_share
from bsky_assets.labelling.statistics.metrics import Estimate, score
from bsky_assets.labelling.statistics.paired import difference, posts_needed, shifts
from bsky_assets.labelling.statistics.weighing import weighted_share

Z = float(norm.ppf(0.975))


# --- corrected shares --------------------------------------------------------------------------


def stratum(
    posts: float, cells: tuple[int, int, int, int], weights: Sequence[float] | None = None
) -> Stratum:
    """One of so many posts that both say, the model alone, people alone, and nobody says."""
    both, model, people, nobody = cells
    gold = [True] * both + [False] * model + [True] * people + [False] * nobody
    predicted = [True] * (both + model) + [False] * (people + nobody)
    return Stratum(posts, gold, predicted, weights)


def drawn_variance(dice: np.random.Generator, cells: tuple[int, int, int, int]) -> float:
    """Of the difference between people and model, of rates drawn from Jeffreys' posteriors."""
    both, model, people, nobody = cells
    said, unsaid, times = both + model, people + nobody, 500_000
    share = dice.beta(said + 0.5, unsaid + 0.5, times)
    if not unsaid:
        share = np.ones(times)
    if not said:
        share = np.zeros(times)
    wrongly = dice.beta(model + 0.5, both + 0.5, times)
    missed = dice.beta(people + 0.5, nobody + 0.5, times)
    return float(((1 - share) * missed - share * wrongly).var())


@pytest.mark.parametrize("cells", [(8, 2, 3, 17), (25, 5, 0, 0), (0, 0, 4, 26)])
def test_the_error_of_a_corrected_share_is_that_of_rates_under_jeffreys_prior(
    cells: tuple[int, int, int, int],
) -> None:
    found = corrected_share("x", 0.45, [stratum(120, cells)]).corrected
    value = 0.45 + (cells[2] - cells[1]) / 30
    margin = Z * sqrt(drawn_variance(np.random.default_rng(1), cells) * (1 - 30 / 120))
    assert found.value == pytest.approx(value)
    assert (found.low, found.high) == pytest.approx((value - margin, value + margin), abs=5e-4)


def test_strata_weights_and_a_sampled_day_each_add_their_error() -> None:
    dice = np.random.default_rng(2)
    some, others = (8, 2, 3, 17), (4, 4, 1, 11)
    weights = [1.0, 3.0] * 10
    found = corrected_share("x", 0.5, [stratum(300, some), stratum(900, others, weights)], 400)
    gold = np.array([1] * 4 + [0] * 4 + [1] + [0] * 11)
    predicted = np.array([1] * 8 + [0] * 12)
    value = 0.5 + 0.25 / 30 + 0.75 * ((gold - predicted) * weights).sum() / 40
    variance = 0.25**2 * drawn_variance(dice, some) * (1 - 30 / 300)
    variance += 0.75**2 * drawn_variance(dice, others) * (1 - 20 / 900) * 20 * 100 / 40**2
    margin = Z * sqrt(variance + value * (1 - value) / 400)
    assert found.corrected.value == pytest.approx(value)
    assert found.corrected.low == pytest.approx(value - margin, abs=5e-4)
    assert found.corrected.high == pytest.approx(value + margin, abs=5e-4)
    assert (found.naive, found.sampled) == (0.5, 50)


def test_a_corrected_share_and_its_interval_stay_shares() -> None:
    none = corrected_share("x", 0.02, [stratum(1000, (0, 3, 0, 17))]).corrected
    assert none.value == none.low == 0 < none.high
    every = corrected_share("x", 0.98, [stratum(1000, (17, 0, 3, 0))], inf).corrected
    assert every.value == every.high == 1 > every.low
    with pytest.raises(ValueError, match="no labelled post"):
        corrected_share("x", 0.5, [Stratum(10, [], [])])


# --- sizes of samples --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sample", "drawn"),
    [
        # Roots 30, 15, 5 and 2: of 60 posts d would give 2.3 and gives its 4, since 5 is the least;
        # c gives 5/50 of the other 56, b 15/45 of 50, a the rest.
        (60, {"a": 33, "b": 17, "c": 6, "d": 4}),
        (20, {"a": 6, "b": 5, "c": 5, "d": 4}),
        (3, {"a": 0, "b": 0, "c": 0, "d": 3}),
        (5000, {"a": 900, "b": 225, "c": 25, "d": 4}),
    ],
)
def test_strata_give_by_the_root_of_their_size_and_five_at_least(
    sample: int, drawn: dict[str, int]
) -> None:
    assert allocate({"a": 900, "b": 225, "c": 25, "d": 4}, sample) == drawn


def test_strata_give_by_their_weight_where_it_is_told() -> None:
    assert allocate({"a": 900, "b": 225}, 40, weights={"a": 90, "b": 112.5}) == {"a": 18, "b": 22}
    assert allocate({"a": 7, "b": 0}, 5) == {"a": 5, "b": 0}


@pytest.mark.parametrize(("gain", "differing"), [(0.1, 0.3), (0.05, 0.12), (0.2, 0.1), (0.5, 2.0)])
def test_posts_that_a_gain_takes_are_connors(gain: float, differing: float) -> None:
    """Connor, Biometrics 43, 1987, eq. 3: no fewer differ than are gained, no more than all."""
    share = min(max(differing, gain), 1.0)
    spread = Z * sqrt(share) + norm.ppf(0.8) * sqrt(share - gain**2)
    assert posts_needed(gain, differing) == ceil(spread**2 / gain**2)


# --- two ways ----------------------------------------------------------------------------------


def test_the_largest_shift_comes_first_and_equal_ones_by_name() -> None:
    moved = shifts(["a", "a", "a", "b", "d"], ["b", "b", "c", "b", "e"])
    assert [one.label for one in moved] == ["a", "b", "c", "d", "e"]
    assert [one.posts for one in moved] == [5] * 5


def test_a_difference_of_shares_is_at_most_one_and_its_interval_as_wide_as_asked_for() -> None:
    assert difference(2, 0, 2).high == 1
    assert difference(0, 2, 2).low == -1
    wide, narrow = difference(12, 4, 50), difference(12, 4, 50, level=0.5)
    middle = 8 / 52
    assert (narrow.high - middle) / (wide.high - middle) == pytest.approx(norm.ppf(0.75) / Z)


# --- shares of a sampled day -------------------------------------------------------------------

SAMPLED = [
    SampledStratum(stratum="s", posts=1000, sampled=40, labelled=40,
                   labels={"left": 10, "right": 5, "none": 25}),
    SampledStratum(stratum="t", posts=200, sampled=22, labelled=20,
                   labels={"left": 12, "right": 4, "none": 4}),
    SampledStratum(stratum="u", posts=10, sampled=1, labelled=1, labels={"left": 1}),
    SampledStratum(stratum="v", posts=7, sampled=1, labelled=0, labels={}),
]  # fmt: skip


def ratio(part: set[str], whole: set[str]) -> tuple[float, float]:
    """A ratio and its variance, post by post (Cochran, Sampling Techniques, 1977, ch. 6)."""
    strata = [
        (one.posts / one.labelled, [name for name, n in one.labels.items() for _ in range(n)])
        for one in SAMPLED
        if one.labelled
    ]
    total = sum(weight * (name in whole) for weight, names in strata for name in names)
    value = sum(weight * (name in part) for weight, names in strata for name in names) / total
    variance = 0.0
    for weight, names in strata:
        left = [weight * ((name in part) - value * (name in whole)) / total for name in names]
        # Of a stratum of one post, the square is all that is known.
        variance += len(left) * np.var(left, ddof=1) if len(left) > 1 else left[0] ** 2
    return value, variance


@pytest.mark.parametrize("whole", [None, ("left", "right")])
def test_a_weighed_share_is_the_ratio_of_two_sums_and_its_interval_wilsons(
    whole: tuple[str, ...] | None,
) -> None:
    value, variance = ratio({"left"}, {*(whole or ("left", "right", "none"))})
    posts = value * (1 - value) / variance
    found = weighted_share(SAMPLED, ["left"], whole)
    low, high = proportion_confint(value * posts, posts, method="wilson")
    assert found == pytest.approx((value, low, high))


@pytest.mark.parametrize(("part", "share"), [("unclear", 0.0), ("left", 1.0)])
def test_a_share_without_variance_counts_as_many_posts_as_its_weights_are_worth(
    part: str, share: float
) -> None:
    """Kish: the square of the sum of weights over the sum of their squares."""
    weights = np.repeat([25, 10, 10], [10, 12, 1])
    worth = weights.sum() ** 2 / (weights**2).sum()
    low, high = proportion_confint(share * worth, worth, method="wilson")
    assert weighted_share(SAMPLED, [part], ["left"]) == pytest.approx((share, low, high), abs=1e-12)


def test_strata_that_are_each_of_one_label_leave_no_variance_either() -> None:
    one_each = [
        SampledStratum(stratum=name, posts=30, sampled=10, labelled=10, labels={name: 10})
        for name in ("left", "right")
    ]
    low, high = proportion_confint(10, 20, method="wilson")
    assert weighted_share(one_each, ["left"]) == pytest.approx((0.5, low, high))


def test_of_no_post_there_is_no_share() -> None:
    assert weighted_share(SAMPLED, ["left"], ["unclear"]) is None
    assert weighted_share(SAMPLED[3:], ["left"]) is None


# --- scores ------------------------------------------------------------------------------------


def test_a_post_that_weighs_two_counts_as_two_posts_in_values_and_as_one_in_counts() -> None:
    gold = ["a", "a", "b", "c", "c", "b", "a", "c"]
    predicted = ["a", "b", "b", "c", "a", "c", "a", "c"]
    weights = [1, 2, 3, 1, 2, 1, 3, 2]
    found = score(gold, predicted, weights=weights, resamples=20)
    twice, others = np.repeat(gold, weights), np.repeat(predicted, weights)
    assert found.accuracy.value == pytest.approx(accuracy_score(twice, others))
    assert found.macro_f1.value == pytest.approx(f1_score(twice, others, average="macro"))
    assert found.weighted_f1.value == pytest.approx(f1_score(twice, others, average="weighted"))
    assert found.kappa.value == pytest.approx(cohen_kappa_score(twice, others))
    assert found.posts == 8
    assert found.confusion == ((2, 1, 0), (0, 1, 1), (1, 0, 2))
    assert [one.support for one in found.per_class] == [3, 2, 3]
    worth = 15**2 / sum(weight**2 for weight in weights)
    low, high = proportion_confint(found.accuracy.value * worth, worth, method="wilson")
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx((low, high))


def test_intervals_of_scores_are_those_of_posts_drawn_anew() -> None:
    """400 times 40 posts of 40, as scikit-learn scores them."""
    dice = np.random.default_rng(4)
    gold = np.array(["a", "b", "c", "c"] * 10)
    predicted = np.where(dice.random(40) < 0.7, gold, dice.choice(["a", "b", "c"], 40))
    found = score(list(gold), list(predicted))
    drawn = dice.integers(0, 40, (400, 40))
    kappas = [cohen_kappa_score(gold[one], predicted[one]) for one in drawn]
    low, high = np.quantile(kappas, [0.025, 0.975])
    assert (found.kappa.low, found.kappa.high) == pytest.approx((low, high), abs=0.06)


def test_kappa_of_two_classes_is_cohens() -> None:
    """Of 10 posts 7 the same, where 5 would be by chance: (0.7 - 0.5) / (1 - 0.5)."""
    assert score([*"aaaaabbbbb"], [*"aaaabaabbb"]).kappa.value == pytest.approx(0.4)


def test_where_there_is_one_class_alone_kappa_is_no_number() -> None:
    found = score(["a"] * 5, ["a"] * 5)
    assert np.isnan([found.kappa.value, found.kappa.low, found.kappa.high]).all()
    assert found.macro_f1 == Estimate(1, 1, 1)
