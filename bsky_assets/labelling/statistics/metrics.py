"""How well two ratings of the same posts agree, with intervals.

Point values are scikit-learn's. The interval of accuracy is Wilson's, which does not shrink to
nothing where all posts agree; the others are percentiles of a bootstrap over posts. These metrics
depend on the confusion matrix alone, so that resampling posts is drawing that matrix anew from a
multinomial distribution. Where posts weigh unlike, since they had unlike chances to be labelled,
the matrix is of weights, and counts as many posts as these are worth (Kish, Survey Sampling, 1965).
Source: Wilson, JASA 22, 1927; Efron & Tibshirani, An Introduction to the Bootstrap, 1993;
Cohen, A Coefficient of Agreement for Nominal Scales, 1960.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bsky_assets.labelling.statistics.weighing import LEVEL as LEVEL
from bsky_assets.labelling.statistics.weighing import wilson

RESAMPLES = 2000

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and the interval of `LEVEL` around it; not a number where it is not defined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def cells(self) -> tuple[str, str]:
        """Value and interval, as two cells of a table."""
        return f"{self.value:.3f}", f"{self.low:.3f} to {self.high:.3f}"


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class of the gold labels against all others."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    """Posts that have it in the gold labels."""


@dataclass(frozen=True, slots=True)
class Scores:
    """How one rating agrees with another, which is taken for true where that matters."""

    posts: int
    accuracy: Estimate
    macro_f1: Estimate
    """The mean of F1 over the classes that either rating has."""
    weighted_f1: Estimate
    """The mean of F1 over the classes, each by its posts in the gold labels."""
    kappa: Estimate
    """Cohen's kappa, not weighted."""
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows are the gold labels, columns the other, both in the order of `per_class`."""

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(score.label for score in self.per_class)


def score(
    gold: Sequence[str],
    predicted: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Scores:
    """Compare `predicted` with `gold`, post by post; `weights` say how many each stands for.

    Numbers of posts, in the confusion matrix too, are of those that were compared.

    Raises:
        ValueError: there is no post, or their numbers differ.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support  # takes a second

    if not gold or len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold and {len(predicted)} other labels")
    weight = np.ones(len(gold)) if weights is None else np.asarray(weights, dtype=float)
    classes = sorted({*gold, *predicted})
    counts = confusion_matrix(gold, predicted, labels=classes)
    weighed = confusion_matrix(gold, predicted, labels=classes, sample_weight=weight)
    shares, worth = weighed / weighed.sum(), float(weight.sum() ** 2 / (weight**2).sum())
    drawn = np.random.default_rng(seed).multinomial(round(worth), shares.ravel(), size=resamples)
    samples = drawn.reshape(-1, *counts.shape).astype(float)
    precision, recall, f1, support = precision_recall_fscore_support(
        gold, predicted, labels=classes, zero_division=0, sample_weight=weight
    )
    kappa = _kappa(gold, predicted, classes, weight)
    return Scores(
        posts=len(gold),
        accuracy=Estimate(*wilson(float(np.trace(weighed) / weighed.sum()), worth)),
        macro_f1=_estimate(float(np.mean(f1)), macro_f1s(samples)),
        weighted_f1=_estimate(float(np.average(f1, weights=support)), weighted_f1s(samples)),
        kappa=_estimate(kappa, kappas(samples)),
        per_class=tuple(
            ClassScore(label, float(p), float(r), float(f), int(n))
            for label, p, r, f, n in zip(
                classes, precision, recall, f1, counts.sum(axis=1), strict=True
            )
        ),
        confusion=tuple(tuple(int(cell) for cell in row) for row in counts),
    )


def _kappa(
    gold: Sequence[str],
    predicted: Sequence[str],
    classes: Sequence[str],
    weight: npt.NDArray[np.float64],
) -> float:
    from sklearn.metrics import cohen_kappa_score

    # Undefined where both use one and the same class throughout: there is nothing to agree on.
    if len(classes) < 2:
        return float("nan")
    return float(cohen_kappa_score(gold, predicted, sample_weight=weight))


def accuracies(confusions: Counts) -> Counts:
    """The accuracy of each confusion matrix in a stack."""
    return np.asarray(np.trace(confusions, axis1=1, axis2=2) / confusions.sum(axis=(1, 2)))


def macro_f1s(confusions: Counts) -> Counts:
    """The macro-F1 of each confusion matrix in a stack, over the classes that occur in it."""
    f1, occurs = _f1s(confusions)
    return np.asarray(f1.sum(axis=1) / occurs.sum(axis=1))


def weighted_f1s(confusions: Counts) -> Counts:
    """The F1 of each confusion matrix in a stack, its classes weighted by their gold labels."""
    f1, _ = _f1s(confusions)
    return np.asarray((f1 * confusions.sum(axis=2)).sum(axis=1) / confusions.sum(axis=(1, 2)))


def _f1s(confusions: Counts) -> tuple[Counts, Counts]:
    """F1 of each class, and whether the class occurs at all."""
    hits = np.diagonal(confusions, axis1=1, axis2=2)
    uses = confusions.sum(axis=1) + confusions.sum(axis=2)
    occurs = uses > 0
    f1: Counts = np.zeros_like(uses)
    np.divide(2 * hits, uses, out=f1, where=occurs)
    return f1, occurs.astype(float)


def kappas(confusions: Counts) -> Counts:
    """Cohen's kappa of each confusion matrix in a stack; not a number where it is undefined."""
    total = confusions.sum(axis=(1, 2))
    by_chance = (confusions.sum(axis=1) * confusions.sum(axis=2)).sum(axis=1) / total**2
    defined = by_chance < 1
    found: Counts = np.full_like(total, np.nan)
    np.divide(accuracies(confusions) - by_chance, 1 - by_chance, out=found, where=defined)
    return found


def rate(hits: int, trials: int) -> Estimate:
    """A share and Wilson's interval."""
    return Estimate(*wilson(hits / trials, trials))


def _estimate(value: float, resampled: Counts) -> Estimate:
    resampled = resampled[~np.isnan(resampled)]
    if np.isnan(value) or resampled.size == 0:
        return Estimate(float(value), float("nan"), float("nan"))
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))
