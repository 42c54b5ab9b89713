"""What is followed from day to day: how many posts, how many political, which way they lean.

What belongs here: reading these numbers off stored partitions, with their intervals and what is
usual. What does not: where they are shown.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from bsky_assets.contracts.details import FilterDetails, LabelDetails
from bsky_assets.labelling.statistics.weighing import weighted_share, wilson
from bsky_assets.reporting.palette import SIDES
from bsky_assets.storage.partition import Partition

LABELS = (*SIDES, "not_sociopolitical")
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
    return Point(day, *wilson(part / whole, whole))


def counts(labels: Partition) -> dict[str, int]:
    """How many posts have each label, `not_sociopolitical` among them; of a sample, about how many
    of all posts that it was drawn from."""
    told = labels.told(LabelDetails)
    posts = told.posts if told.sample else told.labelled
    return {name: round(told.shares.get(name, 0.0) * posts) for name in LABELS}


def part_of(labels: Partition, part: Sequence[str], whole: Sequence[str] = LABELS) -> Point | None:
    """The share of posts with a label of `part` among those with one of `whole`, with its interval;
    of a sample, by its design."""
    sample = labels.told(LabelDetails).sample
    if sample:
        found = weighted_share(sample.strata, part, whole)
        return Point(labels.day, *found) if found else None
    posts = counts(labels)
    return share(labels.day, sum(posts[name] for name in part), sum(posts[n] for n in whole))


def answer_share(labels: Partition, answer: str) -> Point | None:
    """The share of an answer to a codebook among all posts with an answer, likewise."""
    told = labels.told(LabelDetails)
    if told.sample:
        found = weighted_share(told.sample.strata, [answer])
        return Point(labels.day, *found) if found else None
    return share(labels.day, round(told.shares[answer] * told.labelled), told.labelled)


def sides(labels: Partition) -> Iterator[tuple[str, Point]]:
    """The share that each side has of the political posts; nothing where there are none."""
    for side in SIDES:
        if point := part_of(labels, [side], SIDES):
            yield side, point


def _posts(stored: Stored) -> Point | None:
    return Point(stored.day, stored.filtered.rows) if stored.filtered else None


def _passed(stored: Stored) -> Point | None:
    return (
        Point(stored.day, stored.filtered.told(FilterDetails).passed) if stored.filtered else None
    )


def _political(stored: Stored) -> Point | None:
    return part_of(stored.labels, SIDES) if stored.labels else None


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
