"""Shares of a day's posts, corrected by a sample that people labelled.

A model's errors bias whatever is counted from its labels, and more labels do not help. With a
sample whose chances of selection are known, the bias can be estimated and taken off: the share
by the model, plus the mean difference between people and model in the sample, each stratum by
its share of the posts. This is the difference estimator of survey sampling (Särndal, Swensson &
Wretman, Model Assisted Survey Sampling, 1992, ch. 6), known for machine labels as
prediction-powered inference (Angelopoulos et al., Science 382, 2023) and design-based supervised
learning (Egami et al., NeurIPS 2023). It is unbiased however wrong the model is.

The interval is a normal one whose variance comes from the stratum's rates of wrong labels under
Jeffreys' prior, instead of their sample variance: in a sample of usual size a stratum often shows
no error at all, and the usual interval would take that for certainty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import NormalDist

import numpy as np

from bsky_assets.labelling.statistics.metrics import LEVEL, Estimate

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Stratum:
    """A stratum of the design: how many posts it has, and what was found in its sample."""

    posts: float
    gold: Sequence[bool]
    predicted: Sequence[bool]
    """By the model, of the same posts as `gold`."""
    weights: Sequence[float] | None = None
    """How many posts each of these stands for, up to a factor; None: all of as many."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of all posts."""

    label: str
    naive: float
    """By the model's labels alone."""
    corrected: Estimate
    sampled: int


def corrected_share(
    label: str, naive: float, strata: Sequence[Stratum], worth: float = inf
) -> Share:
    """The share of posts with `label`, from the model's share `naive` of all posts.

    Where the model was asked about a sample, `naive` is weighed by its design, and `worth` is the
    number of posts drawn by plain chance that it is worth; the error of that sample is added, as
    large as if nothing were gained by its strata.

    Raises:
        ValueError: a stratum has no labelled post, so that nothing is known of its errors.
    """
    total = sum(stratum.posts for stratum in strata)
    value, variance = naive, 0.0
    for stratum in strata:
        if not stratum.gold:
            raise ValueError("a stratum has no labelled post")
        weight = stratum.posts / total
        gold = np.asarray(stratum.gold, dtype=float)
        predicted = np.asarray(stratum.predicted, dtype=float)
        each = np.ones(len(gold)) if stratum.weights is None else np.asarray(stratum.weights)
        unequal = len(gold) * float((each**2).sum()) / float(each.sum()) ** 2
        unseen = max(0.0, 1 - len(gold) / stratum.posts)
        value += weight * float(np.average(gold - predicted, weights=each))
        variance += weight**2 * unseen * _variance(gold, predicted) * unequal
    value = min(max(value, 0.0), 1.0)
    variance += value * (1 - value) / worth
    margin = _Z * float(np.sqrt(variance))
    return Share(
        label,
        naive,
        Estimate(value, max(value - margin, 0.0), min(value + margin, 1.0)),
        sum(len(stratum.gold) for stratum in strata),
    )


def _variance(gold: np.ndarray, predicted: np.ndarray) -> float:
    """Variance of the mean difference, from the rates of false positives and negatives."""
    positives, negatives = int(predicted.sum()), int((1 - predicted).sum())
    false_positive = _beta(int((predicted * (1 - gold)).sum()), positives)
    false_negative = _beta(int(((1 - predicted) * gold).sum()), negatives)
    if not positives:
        return false_negative[1]
    if not negatives:
        return false_positive[1]
    share = _beta(positives, positives + negatives)
    rest = (1 - share[0], share[1])
    return (
        _variance_of_product(share, false_positive)
        + _variance_of_product(rest, false_negative)
        + 2 * share[1] * false_positive[0] * false_negative[0]
    )


def _beta(hits: int, trials: int) -> tuple[float, float]:
    """Mean and variance of a rate under Jeffreys' prior."""
    a, b = hits + 0.5, trials - hits + 0.5
    return a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))


def _variance_of_product(x: tuple[float, float], y: tuple[float, float]) -> float:
    """Of independent variables, from the mean and variance of each."""
    return (x[1] + x[0] ** 2) * (y[1] + y[0] ** 2) - (x[0] * y[0]) ** 2
