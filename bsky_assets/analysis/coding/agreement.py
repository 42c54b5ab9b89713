"""How far coders agree: Krippendorff's alpha, and Cohen's kappa of each pair, by answer.

Alpha is for nominal answers, any number of coders, and items that not all of them coded
(Krippendorff, Content Analysis, 2004, ch. 11; Hayes & Krippendorff, Communication Methods and
Measures 1, 2007). Intervals are percentiles of a bootstrap over items: an item's pairs of answers
add to the coincidences, so that resampling items is adding up some of them more than once.
Kappa and its interval are those of `labelling`'s metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from bsky_assets.labelling.statistics.metrics import LEVEL, RESAMPLES, Estimate, score

ALL_ANSWERS = "all answers"

Answers = Mapping[int, str]
"""One coder's answers, by item."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreed:
    """How far coders agree, on all answers or on whether it is one of them."""

    answer: str
    """ALL_ANSWERS, or the answer that is held against all others."""
    items: int
    """That two coders or more have coded."""
    alpha: Estimate
    kappas: tuple[tuple[str, str, Estimate], ...]
    """Of each pair of coders that coded an item both."""


def agreement(coded: Mapping[str, Answers], answers: Sequence[str]) -> list[Agreed]:
    """Agreement on all answers first, then on each of `answers` against the rest."""
    everything = [_agreed(ALL_ANSWERS, coded)]
    for answer in answers:
        held = {
            coder: {item: str(given == answer) for item, given in mine.items()}
            for coder, mine in coded.items()
        }
        everything.append(_agreed(answer, held))
    return everything


def _agreed(answer: str, coded: Mapping[str, Answers]) -> Agreed:
    counts = _counts(coded)
    pairs = []
    for first, second in combinations(coded, 2):
        both = sorted(coded[first].keys() & coded[second].keys())
        if both:
            one, other = ([coded[coder][item] for item in both] for coder in (first, second))
            pairs.append((first, second, score(one, other).kappa))
    return Agreed(answer, len(counts), _krippendorff_alpha(counts), tuple(pairs))


def _counts(coded: Mapping[str, Answers]) -> Floats:
    """How many coders gave each answer, an item a row; of items that two or more have coded."""
    names = sorted({answer for mine in coded.values() for answer in mine.values()})
    items = sorted({item for mine in coded.values() for item in mine})
    place = {name: number for number, name in enumerate(names)}
    row = {item: number for number, item in enumerate(items)}
    counts = np.zeros((len(items), len(names)))
    for mine in coded.values():
        for item, answer in mine.items():
            counts[row[item], place[answer]] += 1
    return np.asarray(counts[counts.sum(axis=1) > 1])


def _krippendorff_alpha(counts: Floats) -> Estimate:
    """Alpha from how many coders gave each answer (columns) to each item (rows, each two or more).

    It is not a number where all gave one and the same answer: there is nothing to agree on.
    """
    if not len(counts):
        return Estimate(float("nan"), float("nan"), float("nan"))
    coincidences = _coincidences(counts)
    value = float(_alphas(coincidences.sum(axis=0)[None])[0])
    drawn = np.random.default_rng(0).multinomial(
        len(counts), np.full(len(counts), 1 / len(counts)), size=RESAMPLES
    )
    found = _alphas(np.einsum("ri,icd->rcd", drawn.astype(float), coincidences, optimize=True))
    found = found[~np.isnan(found)]
    if np.isnan(value) or not found.size:
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def _coincidences(counts: Floats) -> Floats:
    """Of each item, its ordered pairs of answers, over the number of its coders less one."""
    pairs = counts[:, :, None] * counts[:, None, :]
    each = np.arange(counts.shape[1])
    pairs[:, each, each] -= counts
    return np.asarray(pairs / (counts.sum(axis=1) - 1)[:, None, None])


def _alphas(coincidences: Floats) -> Floats:
    """Alpha of each matrix of coincidences in a stack."""
    values = coincidences.sum(axis=2)
    total = values.sum(axis=1)
    observed = total - np.trace(coincidences, axis1=1, axis2=2)
    expected = (total**2 - (values**2).sum(axis=1)) / (total - 1)
    found: Floats = np.full_like(total, np.nan)
    np.divide(observed, expected, out=found, where=expected > 0)
    return 1 - found
