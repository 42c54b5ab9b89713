"""Design-based supervised learning: outcomes that are right on average, however wrong the model is.

A post's outcome is replaced by what is predicted of it, and for those that people coded the
difference between people and prediction is added, over the post's chance of being coded:

    y~ = m + R / pi (y - m)

Where the model was asked about a sample only, the same is done once more: what is found so of the
posts with a label is carried to all by what is predicted of posts without one, from what a student
says of them or from nothing, plus the difference over a post's chance of having a label:

    z = p + S / chi (y~ - p)

Its mean given everything else is y, whatever m is, so that any regression on it is consistent
(Egami, Hinck, Stewart & Wei, NeurIPS 2023). m is the mean of people's answers where the model said
the same, estimated without the post's own author (cross-fitting), by the sample's weights. It makes
intervals narrow where the model is good, and does no harm where it is not: this is the regression
estimator of survey sampling (Särndal, Swensson & Wretman, 1992, ch. 6). Where nobody knows which
posts there are without a label, nothing is carried to them: each labelled post counts for 1 / chi
in what is regressed (the estimator of a domain of unknown size; ibid., ch. 10).
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

    def within(self, inside: npt.NDArray[np.bool_]) -> "Corrected":
        """The same of some of the posts."""
        return Corrected(
            self.outcome[inside], self.is_coded[inside], self.weight[inside], self.unseen[inside]
        )


def correct(
    people: Floats,
    chance: Floats,
    strata: pd.Series,
    predicted: Floats,
    folds: npt.NDArray[np.int_],
    labelled: "Labelled | None" = None,
) -> Corrected:
    """Correct what `predicted` says (0 or 1) by `people`, which is not a number where none coded.

    `chance` is that of a labelled post to be coded. `strata` has what the prediction may depend
    on, the model's label say, and `folds` those of posts (`folds_of`). `labelled` tells which
    posts have a label, None if all do; what `predicted` says of the others is not read.
    """
    is_coded = ~np.isnan(people)
    labelled = labelled or Labelled.every(len(people))
    weight = np.where(is_coded, labelled.weight / np.where(is_coded, chance, 1.0), 0.0)
    means = _predicted_by(pd.factorize(strata)[0], people, weight, folds)
    of_labelled = means + np.where(
        is_coded, (people - means) / np.where(is_coded, chance, 1.0), 0.0
    )
    outcome = carried(of_labelled, means, labelled, folds)
    return Corrected(outcome, is_coded, weight, _unseen(predicted, is_coded))


@dataclass(frozen=True, slots=True)
class Labelled:
    """Which posts have a label of record, where a sample was asked about."""

    weight: Floats
    """One over the chance of having a label, of every post that has one; 0 elsewhere."""
    groups: npt.NDArray[np.int_]
    """Of every post what is known without its label: a student's group, say."""

    @property
    def counts_for(self) -> Floats:
        """How many posts each is regressed for: one, or where there is none without a label, so
        that the others that these stand for are not known, one over the chance of its label."""
        return self.weight if (self.weight > 0).all() else np.ones(len(self.weight))

    @classmethod
    def every(cls, posts: int) -> "Labelled":
        """All of so many posts have one."""
        return cls(np.ones(posts), np.zeros(posts, dtype=int))


def carried(
    values: Floats, expected: Floats, labelled: Labelled, folds: npt.NDArray[np.int_]
) -> Floats:
    """What is known of labelled posts, carried to all: each has `values` or more on average.

    `expected` is what `values` are about, with less noise; from it the other posts' are predicted.
    """
    has_label = labelled.weight > 0
    if has_label.all():
        return values
    known = np.where(has_label, expected, np.nan)
    predicted = _predicted_by(labelled.groups, known, labelled.weight, folds)
    return predicted + labelled.weight * np.where(has_label, values - predicted, 0.0)


def folds_of(authors: pd.Series) -> npt.NDArray[np.int_]:
    """The fold of each post, the same for all of an author."""
    writers, names = pd.factorize(authors)
    each = np.array([crc32(str(name).encode()) % FOLDS for name in names.tolist()], dtype=int)
    return each[writers]


def _predicted_by(
    codes: npt.NDArray[np.int_],
    known: Floats,
    weight: Floats,
    folds: npt.NDArray[np.int_],
) -> Floats:
    """Of each post the mean of what is `known` where its code stands, without its own author's."""
    is_known = ~np.isnan(known)
    means = np.empty(len(known))
    for fold in range(FOLDS):
        inside = folds == fold
        means[inside] = _means(known, weight, codes, is_known & ~inside)[codes[inside]]
    return means


def _means(
    known: Floats, weight: Floats, codes: npt.NDArray[np.int_], learnt: npt.NDArray[np.bool_]
) -> Floats:
    """The mean of what is known where each code stands, drawn a little to the overall mean."""
    kinds = int(codes.max()) + 1
    if not learnt.any():
        return np.full(kinds, 0.5)
    mine = weight[learnt] / weight[learnt].mean()
    overall = float(np.average(known[learnt], weights=mine))
    total = np.bincount(codes[learnt], mine * known[learnt], kinds)
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
