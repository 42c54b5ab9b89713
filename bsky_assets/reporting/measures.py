"""What is followed from day to day: how many posts, how many political, which way they lean.

What belongs here: reading these numbers off stored partitions, with their intervals and what is
usual. What does not: where they are shown.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from math import sqrt
from statistics import NormalDist, median

from bsky_assets.contracts.details import FilterDetails, LabelDetails
from bsky_assets.reporting.palette import SIDES
from bsky_assets.storage.lake import Partition

LEVEL = 0.95
_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
LEAST_DAYS = 3
"""With fewer earlier days nothing is usual."""


@dataclass(frozen=True)
class Point:
    """A number on a day; a share has its interval."""

    day: date
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Usual:
    """What earlier days have: the least, the middle and the most."""

    days: int
    low: float
    middle: float
    high: float

    def as_shares(self) -> str:
        """The least and the most, of shares."""
        return f"{self.low:.1%} to {self.high:.1%}"

    def place_of(self, value: float) -> str:
        """Where a number stands among those of the earlier days, in words."""
        if value > self.high:
            return f"more than on any of the {self.days} days before"
        if value < self.low:
            return f"less than on any of the {self.days} days before"
        return f"within the range of the {self.days} days before"


@dataclass(frozen=True)
class Stored:
    """What of a day is stored of the two assets that numbers are read off."""

    day: date
    filtered: Partition | None
    labels: Partition | None


@dataclass(frozen=True)
class Measure:
    """A number that every day has."""

    key: str
    name: str
    definition: str
    colour: str
    is_share: bool
    read: Callable[[Stored], Point | None]


def usual(points: Sequence[Point]) -> Usual | None:
    """What the days of `points` have, if there are enough of them."""
    values = [point.value for point in points]
    if len(values) < LEAST_DAYS:
        return None
    return Usual(len(values), min(values), median(values), max(values))


def share(day: date, part: int, whole: int) -> Point | None:
    """A share with its Wilson interval (JASA 22, 1927); None of nothing."""
    if not whole:
        return None
    value = part / whole
    middle = value + _Z**2 / (2 * whole)
    margin = _Z * sqrt(value * (1 - value) / whole + (_Z / (2 * whole)) ** 2)
    ends = ((middle + sign * margin) / (1 + _Z**2 / whole) for sign in (-1, 1))
    low, high = (min(max(end, 0.0), 1.0) for end in ends)
    return Point(day, value, low, high)


def counts(labels: Partition) -> dict[str, int]:
    """How many posts have each label, `not_sociopolitical` among them."""
    told = labels.told(LabelDetails)
    return {
        name: round(told.shares.get(name, 0.0) * told.labelled)
        for name in (*SIDES, "not_sociopolitical")
    }


def sides(labels: Partition) -> Iterator[tuple[str, Point]]:
    """The share that each side has of the political posts; nothing where there are none."""
    found = counts(labels)
    political = sum(found[side] for side in SIDES)
    for side in SIDES:
        if point := share(labels.day, found[side], political):
            yield side, point


def _posts(stored: Stored) -> Point | None:
    return Point(stored.day, stored.filtered.rows) if stored.filtered else None


def _passed(stored: Stored) -> Point | None:
    return (
        Point(stored.day, stored.filtered.told(FilterDetails).passed) if stored.filtered else None
    )


def _political(stored: Stored) -> Point | None:
    if stored.labels is None:
        return None
    found = counts(stored.labels)
    return share(stored.day, sum(found[side] for side in SIDES), sum(found.values()))


def _side(side: str) -> Callable[[Stored], Point | None]:
    return lambda stored: dict(sides(stored.labels)).get(side) if stored.labels else None


MEASURES = (
    Measure(
        "posts",
        "Posts",
        "Posts received on this day, each counted once, without those deleted since.",
        "neutral",
        False,
        _posts,
    ),
    Measure(
        "passed",
        "Passed the filters",
        "Posts in English that no filter stopped as a bot's, NSFW, spam or hate speech.",
        "political",
        False,
        _passed,
    ),
    Measure(
        "political",
        "Political",
        "Share of the labelled posts that are about politics or a social issue.",
        "political",
        True,
        _political,
    ),
    *(
        Measure(
            side,
            side.capitalize(),
            f"Share of the political posts that {verb}.",
            side,
            True,
            _side(side),
        )
        for side, verb in (
            ("left", "take the side of the left"),
            ("right", "take the side of the right"),
            ("moderate", "take a moderate position"),
            ("unclear", "take no clear side"),
        )
    ),
)
"""In the order in which they are shown."""
