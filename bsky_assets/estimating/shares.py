"""The shares of a day's labels, corrected: what its report and its asset's metadata show first."""

from dataclasses import dataclass
from datetime import date

from bsky_assets.estimating.estimates import Coefficient, estimated
from bsky_assets.estimating.people import NotCorrected, people_of
from bsky_assets.estimating.population import OUTCOMES, population
from bsky_assets.estimating.regression import CannotBeFitted
from bsky_assets.settings import Settings


@dataclass(frozen=True, slots=True)
class DayShares:
    """Shares of all labelled posts of a day."""

    sample: str
    coded: int
    """Posts of the day that people coded."""
    shares: dict[str, Coefficient]
    """By outcome; without those of which the coded posts are all of one class."""


def day_shares(settings: Settings, day: date) -> DayShares:
    """The shares of `day`, from the only sample of it that people coded.

    Raises:
        NotCorrected: there is none, or its design does not carry any share.
        NothingToEstimate: the day has no labelled posts.
    """
    people, posts = people_of(settings, [day]), population(settings, [day])
    shares: dict[str, Coefficient] = {}
    coded = 0
    for outcome in OUTCOMES:
        try:
            found = estimated(outcome, posts, people, [day])
        except (NotCorrected, CannotBeFitted) as why:
            reason = why
        else:
            coded, (shares[outcome],) = found.coded, found.coefficients
    if not shares:
        raise NotCorrected(f"not corrected: {reason}")
    return DayShares(people.sample, coded, shares)
