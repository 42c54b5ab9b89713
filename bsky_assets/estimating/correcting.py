"""Design-based supervised learning: outcomes that are right on average, however wrong the model is.

A post's outcome is replaced by what is predicted of it, and for those that people coded the
difference between people and prediction is added, over the post's chance of being coded:

    y~ = m + R / pi (y - m)

Its mean given everything else is y, whatever m is, so that any regression on it is consistent
(Egami, Hinck, Stewart & Wei, NeurIPS 2023). m is the mean of people's answers where the model said
the same, estimated without the post's own author (cross-fitting), by the sample's weights. It makes
intervals narrow where the model is good, and does no harm where it is not: this is the regression
estimator of survey sampling (Särndal, Swensson & Wretman, 1992, ch. 6).
"""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

FOLDS = 5
_PRIOR = 1.0
"""Coded posts' worth of the overall mean that is added to each label's."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Corrected:
    """The outcome of each post, corrected by design."""

    outcome: Floats
    """y~, of every post."""
    is_coded: npt.NDArray[np.bool_]
    weight: Floats
    """One over the chance of being coded, of every post that was; 0 elsewhere."""
    unseen: Floats
    """Of every coded post, the part of an error that its predicted class may have unseen."""


def correct(
    people: Floats, chance: Floats, strata: pd.Series, predicted: Floats, authors: pd.Series
) -> Corrected:
    """Correct what `predicted` says (0 or 1) by `people`, which is not a number where none coded.

    `strata` has what the prediction may depend on, the model's label say.
    """
    is_coded = ~np.isnan(people)
    weight = np.where(is_coded, 1 / np.where(is_coded, chance, 1.0), 0.0)
    folds = authors.map(lambda author: crc32(str(author).encode()) % FOLDS).to_numpy()
    codes = pd.factorize(strata)[0]
    means = np.empty(len(people))
    for fold in range(FOLDS):
        inside = folds == fold
        means[inside] = _means(people, weight, codes, is_coded & ~inside)[codes[inside]]
    difference = np.where(is_coded, people - means, 0.0)
    return Corrected(means + weight * difference, is_coded, weight, _unseen(predicted, is_coded))


def _means(
    people: Floats, weight: Floats, codes: npt.NDArray[np.int_], learnt: npt.NDArray[np.bool_]
) -> Floats:
    """People's mean answer where each code stands, drawn a little to the overall mean."""
    kinds = int(codes.max()) + 1
    if not learnt.any():
        return np.full(kinds, 0.5)
    mine = weight[learnt] / weight[learnt].mean()
    overall = float(np.average(people[learnt], weights=mine))
    total = np.bincount(codes[learnt], mine * people[learnt], kinds)
    posts = np.bincount(codes[learnt], mine, kinds)
    return np.asarray((total + _PRIOR * overall) / (posts + _PRIOR))


def _unseen(predicted: Floats, is_coded: npt.NDArray[np.bool_]) -> Floats:
    """Half an error for each predicted class, spread over its coded posts (Jeffreys' prior).

    In a sample of usual size a class often shows no error at all; without this an interval would
    take that for certainty.
    """
    unseen = np.zeros(len(predicted))
    for value in (0.0, 1.0):
        members = is_coded & (predicted == value)
        if members.any():
            unseen[members] = 0.5 / members.sum()
    return unseen
