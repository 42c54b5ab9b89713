"""An estimate over the catalogue: shares, differences, coefficients, trends; naive and corrected.

For a notebook as for the command: `estimate("political ~ has_link", days)`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from bsky_assets.analysis.estimating.correcting import (
    Corrected,
    Floats,
    Labelled,
    carried,
    correct,
    folds_of,
)
from bsky_assets.analysis.estimating.formula import design_of, outcome_of
from bsky_assets.analysis.estimating.outcomes import BUILT_IN, Outcomes, is_one_of, outcomes_of
from bsky_assets.analysis.estimating.people import NotCorrected, People, people_of
from bsky_assets.analysis.estimating.population import population
from bsky_assets.analysis.estimating.regression import LINEAR, fit, fit_corrected
from bsky_assets.labelling.day import row_of
from bsky_assets.labelling.statistics.metrics import Estimate
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import parse_days

STRATUM = "stratum"
"""A column of posts by which they are predicted, where there is one; otherwise it is the label."""
_CHANCE = "chance"
"""A column of posts with their chance of having a label, null where they have none; without it all
have one."""
GROUP = "student_group"
"""A column of posts by which those without a label are predicted, where there is one."""
METHOD = "design-based supervised learning, errors clustered by author"


_MOST_CHANGED = 0.05
"""Of the labelled posts: so many may have come or gone since some were drawn for people."""


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One coefficient, by the model's labels alone and corrected by people's."""

    name: str
    naive: Estimate
    naive_p: float
    corrected: Estimate
    corrected_p: float


@dataclass(frozen=True, slots=True)
class Estimated:
    """What was estimated, and from what."""

    formula: str
    model: str
    method: str
    days: tuple[date, ...]
    posts: int
    """All that are spoken of; estimated where a codebook was asked of a sample where another has an
    answer, so that nobody knows how many there are."""
    authors: int
    """Of the posts that are known."""
    labelled: int
    """Of these posts, those with a label of record: all, unless a sample was asked about."""
    coded: int
    """Of these posts, those that people coded."""
    sample: str
    coefficients: tuple[Coefficient, ...]

    def frame(self) -> pd.DataFrame:
        """A row a coefficient, for a notebook."""
        return pd.DataFrame(
            {
                "name": each.name,
                "corrected": each.corrected.value,
                "low": each.corrected.low,
                "high": each.corrected.high,
                "p": each.corrected_p,
                "naive": each.naive.value,
                "naive_low": each.naive.low,
                "naive_high": each.naive.high,
                "naive_p": each.naive_p,
            }
            for each in self.coefficients
        )


def estimate(
    formula: str,
    days: Sequence[date] | str,
    *,
    model: str = LINEAR,
    sample: str | None = None,
    student: bool = False,
    codebook: str | None = None,
    settings: Settings | None = None,
) -> Estimated:
    """Estimate `formula` over the posts of `days` (`2026-03-01..2026-03-07`, or dates).

    `model` is linear or logistic. People's labels are those of the room of `sample`, which need
    not be named where there is one. With `student` the prediction depends on what it says, too.
    With `codebook` it is about the labels of one of yours, whose answers are the outcomes.

    Raises:
        NotCorrected: the days have no labels by people that their design carries.
        UnusableFormula: the formula names what is not there.
        NothingToEstimate: there are no labelled posts.
        CannotBeFitted: the posts do not carry it.
        NoStudent: there is none that can be used.
        CannotBeEstimated: people cannot code the codebook's answers.
        UserError: there is no such codebook.
    """
    settings = settings or get_settings()
    chosen = parse_days(days, settings.timezone) if isinstance(days, str) else list(days)
    row = row_of(Lake.of(settings), codebook)
    outcomes = outcomes_of(row)
    outcome_of(formula, outcomes)
    people = people_of(settings, chosen, sample, row.asset)
    posts = population(settings, chosen, row)
    if student:
        add_student(posts, settings, chosen, people.sample)
    return estimated(formula, posts, people, chosen, model, outcomes)


def add_student(posts: pd.DataFrame, settings: Settings, days: Sequence[date], sample: str) -> None:
    """Let what is predicted of `posts` depend on what the student says of them, too.

    `sample` is what people coded, from which the student must not have learnt.

    Raises:
        NoStudent: there is none that can be used.
    """
    from bsky_assets.analysis.students.scoring import political_groups

    posts[GROUP] = posts["uri"].map(political_groups(settings, days, sample)).astype(str)
    posts[STRATUM] = posts["label"] + " " + posts[GROUP]


def estimated(
    formula: str,
    posts: pd.DataFrame,
    people: People,
    days: Sequence[date],
    model: str = LINEAR,
    outcomes: Outcomes = BUILT_IN,
) -> Estimated:
    """Estimate `formula` over `posts`, a `population`, with what `people` said of some of them.

    Raises:
        NotCorrected: people's labels of these posts are all of one class, or there are none, or
            they were drawn from another sample than is labelled.
    """
    design, labelled = design_of(formula, posts, outcomes), labelled_of(posts)
    answers = outcomes.answers[design.outcome]
    check_drawn(people, labelled)
    folds = folds_of(posts["author"])
    predicted, coded, corrected = by_people(posts, people, answers, labelled, folds)
    is_coded = corrected.is_coded
    if len({*coded[is_coded]}) < 2:
        raise NotCorrected(
            f"the {is_coded.sum()} posts of these days that people coded are all of one class of "
            f"{design.outcome!r}; have more coded"
        )
    authors, names = pd.factorize(posts["author"])
    counts = labelled.counts_for
    right = fit_corrected(model, corrected, design.matrix, authors, counts)
    by_model = carried(predicted, predicted, labelled, folds)
    freedom = max(int((labelled.weight > 0).sum()) - len(design.names), 1)
    naive = fit(model, by_model, design.matrix, authors, freedom, counts)
    return Estimated(
        formula,
        model,
        METHOD,
        tuple(days),
        round(counts.sum()),
        len(names),
        int((labelled.weight > 0).sum()),
        int(is_coded.sum()),
        people.sample,
        tuple(
            Coefficient(
                name,
                naive.estimate(number),
                naive.p_value(number),
                right.estimate(number),
                right.p_value(number),
            )
            for number, name in enumerate(design.names)
        ),
    )


def by_people(
    posts: pd.DataFrame,
    people: People,
    answers: Collection[str],
    labelled: Labelled,
    folds: npt.NDArray[np.int_],
) -> tuple[Floats, Floats, Corrected]:
    """Whether each post has one of `answers`: as the model has it, as people who coded it do (not a
    number elsewhere), and the first corrected by the second."""
    said = posts["uri"].map(people.labels).where(labelled.weight > 0)
    predicted, coded = is_one_of(answers, posts["label"]), is_one_of(answers, said)
    chance = np.asarray(posts["uri"].map(people.chances), dtype=np.float64)
    strata = posts[STRATUM] if STRATUM in posts else posts["label"]
    return predicted, coded, correct(coded, chance, strata, predicted, folds, labelled)


def check_drawn(people: People, labelled: Labelled) -> None:
    """See that people's posts were drawn from the sample that is labelled now.

    Raises:
        NotCorrected: the sample is another.
    """
    have = int((labelled.weight > 0).sum())
    if people.drawn_from is None or (labelled.weight == 1).all():
        return
    if abs(have - people.drawn_from) > _MOST_CHANGED * people.drawn_from:
        raise NotCorrected(
            f"{people.sample} was drawn from {people.drawn_from:,} labelled posts, and {have:,} of "
            "these days are labelled now: the day's sample is another; draw posts for people anew"
        )


def labelled_of(posts: pd.DataFrame) -> Labelled:
    """Which of `posts` have a label, and what is known of those that have none."""
    if _CHANCE not in posts:
        return Labelled.every(len(posts))
    weight = np.nan_to_num(1 / np.asarray(posts[_CHANCE], dtype=np.float64))
    known = posts[GROUP] if GROUP in posts else pd.Series("", index=posts.index)
    return Labelled(weight, pd.factorize(known)[0])
