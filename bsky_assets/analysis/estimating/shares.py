"""The shares of a day's labels, by the model alone and corrected by what people coded.

What its report and its asset's metadata show first, and the table `label_shares`. A side's share is
told of all posts, and of the political ones: the ratio of two corrected shares, whose error is that
of the linearised ratio (Cochran, Sampling Techniques, 1977, ch. 6).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from bsky_assets.analysis.estimating.correcting import (
    Corrected,
    Labelled,
    carried,
    folds_of,
)
from bsky_assets.analysis.estimating.estimates import (
    GROUP,
    add_student,
    by_people,
    check_drawn,
    labelled_of,
)
from bsky_assets.analysis.estimating.outcomes import BUILT_IN, is_one_of
from bsky_assets.analysis.estimating.people import NotCorrected, People, people_of
from bsky_assets.analysis.estimating.population import population
from bsky_assets.analysis.estimating.regression import LINEAR, Fit, fit, fit_corrected
from bsky_assets.contracts import LabelShare, LlmLabel, ScoredPost, arrow_schema
from bsky_assets.contracts.details import LabelDetails, ShareDetails, StudentDetails
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import IDEOLOGIES
from bsky_assets.labelling.sample import group_names
from bsky_assets.labelling.statistics.metrics import Estimate
from bsky_assets.settings import Settings
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

POLITICAL = "political"
ALL = "all"
_SHARES = [*((name, ALL) for name in BUILT_IN.answers), *((name, POLITICAL) for name in IDEOLOGIES)]
METHOD = "design-based supervised learning"

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LabelledShare:
    """The share of one label in one stratum of a day."""

    label: str
    share_of: str
    """What it is a share of: all posts, or the political ones."""
    stratum: str
    posts: int
    labelled: int
    coded: int
    """Posts that people coded."""
    naive: Estimate
    corrected: Estimate | None
    method: str
    """How it was corrected, or why it was not."""


@dataclass(frozen=True, slots=True)
class DayShares:
    """Shares of all posts of a day that its labels speak of."""

    sample: str | None
    """That people coded; None where they coded none of this day that serves."""
    student: bool
    """Whether a student's scores served."""
    coded: int
    """Posts of the day that people coded."""
    rows: tuple[LabelledShare, ...]

    @property
    def shares(self) -> dict[str, LabelledShare]:
        """Those of all posts, by label; where people coded, without those not corrected."""
        return {
            row.label: row
            for row in self.rows
            if (row.share_of, row.stratum) == (ALL, ALL) and row.corrected
        }


def day_shares(settings: Settings, day: date) -> DayShares:
    """The corrected shares of `day`, from the only sample of it that people coded.

    Raises:
        NotCorrected: there is none, or its design does not carry any share.
        NothingToEstimate: the day has no labelled posts.
    """
    people, posts = people_of(settings, [day]), population(settings, [day])
    found = _shares(settings, day, posts, people, "", strata=False)
    if not found.shares:
        raise NotCorrected(found.rows[0].method)
    return found


def write_shares(lake: Lake, day: date, settings: Settings) -> Partition:
    """Make the partition of `label_shares` of `day`; no row where it has no labelled post."""
    inputs = made_from(lake, LabelShare, day)
    labels = lake.current(LlmLabel, day)
    has_labels = labels is not None and labels.told(LabelDetails).labelled > 0
    rows: list[dict[str, Any]] = []
    details = ShareDetails()
    if has_labels:
        posts = population(settings, [day])
        people, why = _people(settings, day)
        found = _shares(settings, day, posts, people, why, strata=True)
        rows = [_row(share, found) for share in found.rows]
        details = ShareDetails(
            people_sample=found.sample,
            coded=found.coded,
            not_corrected=None if found.shares else found.rows[0].method,
        )
    table = pa.Table.from_pylist(rows, schema=arrow_schema(LabelShare))
    return lake.write(LabelShare, day, table, details, made_from=inputs)


def _people(settings: Settings, day: date) -> tuple[People | None, str]:
    try:
        return people_of(settings, [day]), ""
    except UserError as why:
        return None, str(why)


def _row(share: LabelledShare, found: DayShares) -> dict[str, Any]:
    corrected = share.corrected
    return {
        "label": share.label,
        "share_of": share.share_of,
        "stratum": share.stratum,
        "posts": share.posts,
        "labelled": share.labelled,
        "coded": share.coded,
        "corrected": corrected and corrected.value,
        "corrected_low": corrected and max(corrected.low, 0.0),
        "corrected_high": corrected and min(corrected.high, 1.0),
        "naive": share.naive.value,
        "naive_low": max(share.naive.low, 0.0),
        "naive_high": min(share.naive.high, 1.0),
        "method": share.method,
        "people_sample": found.sample,
    }


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What is known of one label, of every post of the day."""

    by_model: Floats
    corrected: Corrected | None
    classes: dict[bool, Mask] = field(default_factory=dict)
    """The coded posts that have the label, and those that have it not."""


def _shares(
    settings: Settings,
    day: date,
    posts: pd.DataFrame,
    people: People | None,
    why: str,
    *,
    strata: bool,
) -> DayShares:
    """The shares of `day`; `why` says why there are no `people`."""
    has_scores = _add_scores(posts, settings, day, people)
    labelled = labelled_of(posts)
    if people:
        try:
            check_drawn(people, labelled)
        except NotCorrected as reason:
            people, why = None, f"not corrected: {reason}"
    folds = folds_of(posts["author"])
    outcomes = {name: _outcome(name, posts, people, labelled, folds) for name in BUILT_IN.answers}
    method = f"{METHOD}, with a student's scores" if has_scores else METHOD
    making = _Making(outcomes, labelled, pd.factorize(posts["author"])[0], method, why)
    parts = [(ALL, np.ones(len(posts), dtype=bool))]
    parts += _strata(posts) if strata else []
    coded = making.coded
    return DayShares(
        people.sample if people else None,
        has_scores,
        int(coded.sum()),
        tuple(row for name, inside in parts for row in making.rows(name, inside)),
    )


def _add_scores(posts: pd.DataFrame, settings: Settings, day: date, people: People | None) -> bool:
    """Let predictions depend on the stored scores of the day, if there are any that may serve."""
    from bsky_assets.analysis.students.kept import NoStudent

    scored = Lake.of(settings).current(ScoredPost, day)
    if scored is None or not scored.told(StudentDetails).students:
        return False
    try:
        add_student(posts, settings, [day], people.sample if people else "")
    except NoStudent:
        return False  # it learnt from what people coded here
    return True


def _outcome(
    name: str,
    posts: pd.DataFrame,
    people: People | None,
    labelled: Labelled,
    folds: npt.NDArray[np.int_],
) -> _Outcome:
    answers = BUILT_IN.answers[name]
    predicted = is_one_of(answers, posts["label"])
    by_model = carried(predicted, predicted, labelled, folds)
    if people is None:
        return _Outcome(by_model, None)
    _, coded, corrected = by_people(posts, people, answers, labelled, folds)
    return _Outcome(by_model, corrected, {True: coded == 1, False: coded == 0})


def _strata(posts: pd.DataFrame) -> list[tuple[str, Mask]]:
    """The parts of the day that are told of by themselves: sources, and a student's groups."""
    found = [
        (f"source {name}", np.asarray(posts["source"] == name, dtype=bool))
        for name in sorted(posts["source"].dropna().unique())
    ]
    if GROUP in posts:
        found += [
            (title, np.asarray(posts[GROUP] == str(number), dtype=bool))
            for number, title in enumerate(group_names())
        ]
    return [(name, inside) for name, inside in found if inside.any()]


@dataclass(frozen=True, slots=True)
class _Making:
    """What rows are made of."""

    outcomes: dict[str, _Outcome]
    labelled: Labelled
    authors: npt.NDArray[np.int_]
    method: str
    why: str

    @property
    def coded(self) -> Mask:
        """Which posts people coded."""
        corrected = self.outcomes[POLITICAL].corrected
        none = np.zeros(len(self.authors), dtype=bool)
        return none if corrected is None else corrected.is_coded

    def rows(self, stratum: str, inside: Mask) -> Iterator[LabelledShare]:
        """The shares of one stratum: of each label, and of each side among political posts."""
        has_label = (self.labelled.weight > 0) & inside
        if not has_label.any():
            return
        counts = (int(inside.sum()), int(has_label.sum()), int((self.coded & inside).sum()))
        authors = pd.factorize(self.authors[inside])[0]
        for label, share_of in _SHARES:
            naive = self._naive(label, share_of, inside, authors)
            if naive is None:
                continue  # no post is political
            corrected, method = self._corrected(label, share_of, inside, authors)
            yield LabelledShare(label, share_of, stratum, *counts, naive, corrected, method)

    def _naive(
        self, label: str, share_of: str, inside: Mask, authors: npt.NDArray[np.int_]
    ) -> Estimate | None:
        mine = self.outcomes[label].by_model[inside]
        freedom = max(int((self.labelled.weight[inside] > 0).sum()) - 1, 1)
        if share_of == ALL:
            return _mean(mine, authors, freedom).estimate(0)
        whole = self.outcomes[POLITICAL].by_model[inside]
        if whole.mean() <= 0:
            return None
        ratio = float(mine.mean() / whole.mean())
        rest = _mean(mine - ratio * whole, authors, freedom)
        return _around(ratio, rest, float(whole.mean()))

    def _corrected(
        self, label: str, share_of: str, inside: Mask, authors: npt.NDArray[np.int_]
    ) -> tuple[Estimate | None, str]:
        own, political = self.outcomes[label], self.outcomes[POLITICAL]
        if own.corrected is None or political.corrected is None:
            return None, self.why
        if not authors.any():
            return None, "not corrected: all posts are of one author"
        if not all((mask & inside).any() for mask in own.classes.values()):
            coded = int((self.coded & inside).sum())
            return None, f"not corrected: the {coded} posts that people coded are all of one class"
        mine = own.corrected.within(inside)
        ones = np.ones((len(mine.outcome), 1))
        if share_of == ALL:
            return fit_corrected(LINEAR, mine, ones, authors).estimate(0), self.method
        whole = political.corrected.within(inside)
        level = float(whole.outcome.mean())
        if level <= 0:
            return None, "not corrected: no political posts are left once errors are taken off"
        ratio = float(mine.outcome.mean() / level)
        rest = Corrected(
            mine.outcome - ratio * whole.outcome, mine.is_coded, mine.weight, mine.unseen
        )
        return _around(ratio, fit_corrected(LINEAR, rest, ones, authors), level), self.method


def _mean(outcome: Floats, authors: npt.NDArray[np.int_], freedom: int) -> Fit:
    """The mean; of one author's posts it may be any, since they say nothing of others'."""
    if not authors.any():
        return Fit(np.array([outcome.mean()]), np.array([[np.inf]]), freedom)
    return fit(LINEAR, outcome, np.ones((len(outcome), 1)), authors, freedom)


def _around(ratio: float, rest: Fit, level: float) -> Estimate:
    """The ratio, with the error of what it leaves over."""
    one = rest.estimate(0)
    margin = (one.high - one.value) / level
    return Estimate(ratio, ratio - margin, ratio + margin)
