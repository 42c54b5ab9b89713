"""An estimate over the catalogue: shares, differences, coefficients, trends; naive and corrected.

For a notebook as for the command: `estimate("political ~ has_link", days)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from bsky_assets.estimating.correcting import correct
from bsky_assets.estimating.formula import design_of, outcome_of
from bsky_assets.estimating.people import NotCorrected, People, people_of
from bsky_assets.estimating.population import is_outcome, population
from bsky_assets.estimating.regression import LINEAR, fit, fit_corrected
from bsky_assets.labelling.statistics.metrics import Estimate
from bsky_assets.settings import Settings, get_settings
from bsky_assets.sync_day import parse_days

STRATUM = "stratum"
"""A column of posts by which they are predicted, where there is one; otherwise it is the label."""
METHOD = "design-based supervised learning, errors clustered by author"


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
    authors: int
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
    settings: Settings | None = None,
) -> Estimated:
    """Estimate `formula` over the posts of `days` (`2026-03-01..2026-03-07`, or dates).

    `model` is linear or logistic. People's labels are those of the room of `sample`, which need
    not be named where there is one. With `student` the prediction depends on what it says, too.

    Raises:
        NotCorrected: the days have no labels by people that their design carries.
        UnusableFormula: the formula names what is not there.
        NothingToEstimate: there are no labelled posts.
        CannotBeFitted: the posts do not carry it.
        NoStudent: there is none that can be used.
    """
    settings = settings or get_settings()
    chosen = parse_days(days, settings.timezone) if isinstance(days, str) else list(days)
    outcome_of(formula)
    people = people_of(settings, chosen, sample)
    posts = population(settings, chosen)
    if student:
        from bsky_assets.students.scoring import political_groups

        groups = posts["uri"].map(political_groups(settings, chosen, people.sample))
        posts[STRATUM] = posts["label"] + " " + groups.astype(str)
    return estimated(formula, posts, people, chosen, model)


def estimated(
    formula: str, posts: pd.DataFrame, people: People, days: Sequence[date], model: str = LINEAR
) -> Estimated:
    """Estimate `formula` over `posts`, a `population`, with what `people` said of some of them.

    Raises:
        NotCorrected: people's labels of these posts are all of one class, or there are none.
    """
    design = design_of(formula, posts)
    said = posts["uri"].map(people.labels)
    is_coded = said.notna().to_numpy()
    held = is_outcome(design.outcome, said.fillna("")).where(is_coded)
    coded = np.asarray(held, dtype=np.float64)
    if len({*coded[is_coded]}) < 2:
        raise NotCorrected(
            f"the {is_coded.sum()} posts of these days that people coded are all of one class of "
            f"{design.outcome!r}; have more coded"
        )
    predicted = np.asarray(is_outcome(design.outcome, posts["label"]), dtype=np.float64)
    chance = np.asarray(posts["uri"].map(people.chances), dtype=np.float64)
    authors = pd.factorize(posts["author"])[0]
    strata = posts[STRATUM] if STRATUM in posts else posts["label"]
    corrected = correct(coded, chance, strata, predicted, posts["author"])
    right = fit_corrected(model, corrected, design.matrix, authors)
    naive = fit(model, predicted, design.matrix, authors, max(len(posts) - len(design.names), 1))
    return Estimated(
        formula,
        model,
        METHOD,
        tuple(days),
        len(posts),
        len(np.unique(authors)),
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
