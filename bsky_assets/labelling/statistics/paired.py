"""Two ways of labelling the same posts, against labels by people and against each other.

What was answered both ways about a post is a pair, and only pairs that differ say which way is
better. The test is McNemar's, exact: of the posts that only one way has right, about half would be
each way's if both were as good. The interval of a difference between paired shares is Bonett's and
Price's, a Wald interval with one post added to each of the two counts that differ. Source: McNemar,
Psychometrika 12, 1947; Bonett & Price, Journal of Educational and Behavioral Statistics 37, 2012;
recommended by Fagerland, Lydersen & Laake, Statistics in Medicine 33, 2014. Posts needed: Connor,
Biometrics 43, 1987.
What does not belong here: where labels come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist

from bsky_assets.labelling.statistics.metrics import LEVEL, Estimate, rate

POWER = 0.8
"""How likely a gain is seen, where it is said how many posts that takes."""


@dataclass(frozen=True, slots=True)
class Shift:
    """The share of one label, both ways, of the posts that have a label both ways."""

    label: str
    posts: int
    share_without: float
    share_with: float
    shift: Estimate
    """With less without, in shares from -1 to 1."""


@dataclass(frozen=True, slots=True)
class Effect:
    """How often each of two ways is right about the same posts."""

    posts: int
    accuracy_without: Estimate
    accuracy_with: Estimate
    only_with: int
    """Posts that only the way with it has right."""
    only_without: int
    p: float
    """McNemar's exact test, two-sided."""
    gain: Estimate
    """Accuracy with it less accuracy without."""


def effect(right_without: Sequence[bool], right_with: Sequence[bool]) -> Effect:
    """Compare two ways by whether each is right, post by post.

    Raises:
        ValueError: there is no post, or their numbers differ.
    """
    if not right_with or len(right_with) != len(right_without):
        raise ValueError(f"{len(right_without)} answers without and {len(right_with)} with")
    pairs = list(zip(right_without, right_with, strict=True))
    from statsmodels.stats.contingency_tables import mcnemar  # which takes a second to import

    posts, gained, lost = len(pairs), pairs.count((False, True)), pairs.count((True, False))
    table = [[0, lost], [gained, 0]]  # the test does not look at those that are the same
    return Effect(
        posts=posts,
        accuracy_without=rate(sum(right_without), posts),
        accuracy_with=rate(sum(right_with), posts),
        only_with=gained,
        only_without=lost,
        p=float(mcnemar(table, exact=True).pvalue),
        gain=difference(gained, lost, posts),
    )


def difference(gained: int, lost: int, posts: int, level: float = LEVEL) -> Estimate:
    """The difference between two shares of the same `posts`, of which `gained` count for the one
    alone and `lost` for the other alone, with its interval of `level`."""
    added = posts + 2
    one, other = (gained + 1) / added, (lost + 1) / added
    middle = one - other
    margin = NormalDist().inv_cdf((1 + level) / 2) * sqrt((one + other - middle**2) / added)
    value = (gained - lost) / posts
    low, high = max(middle - margin, -1.0), min(middle + margin, 1.0)
    return Estimate(value, float(low), float(high))


def shifts(without: Sequence[str], with_it: Sequence[str]) -> list[Shift]:
    """How the share of each label moves, labels being given post by post; largest shift first."""
    pairs = list(zip(without, with_it, strict=True))
    posts = len(pairs)
    moved = []
    for label in sorted({*without, *with_it}):
        gained = sum(old != label == new for old, new in pairs)
        lost = sum(old == label != new for old, new in pairs)
        before, after = list(without).count(label) / posts, list(with_it).count(label) / posts
        moved.append(Shift(label, posts, before, after, difference(gained, lost, posts)))
    return sorted(moved, key=lambda one: (-abs(one.shift.value), one.label))


def posts_needed(gain: float, differing: float, level: float = LEVEL) -> int:
    """How many posts it takes for a test of `level` to see `gain`, in `POWER` of all cases.

    `differing` is the share of posts that only one way has right; it is at least the gain.
    """
    differing = min(max(differing, gain), 1.0)
    surely, likely = NormalDist().inv_cdf((1 + level) / 2), NormalDist().inv_cdf(POWER)
    spread = surely * sqrt(differing) + likely * sqrt(differing - gain**2)
    posts: int = ceil((spread / gain) ** 2)
    return posts
