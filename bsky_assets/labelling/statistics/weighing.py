"""Shares of a day of which a sample was labelled: each post weighs one over its chance.

The share is a ratio of two weighted sums over the strata. Its variance is that of the linearised
ratio (Cochran, Sampling Techniques, 1977, ch. 6), and its interval Wilson's for as many posts of a
simple random sample as would have that variance (Korn & Graubard, Survey Methodology 24, 1998). A
share without any variance counts as many posts as its weights are worth (Kish, Survey Sampling,
1965). What does not belong here: what people say of the same posts; see `corrected`.
"""

from collections.abc import Collection, Sequence
from math import sqrt
from statistics import NormalDist

from bsky_assets.contracts.details import SampledStratum

LEVEL = 0.95
_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)

Interval = tuple[float, float, float]
"""A share, and the ends of its interval."""


def wilson(value: float, posts: float) -> Interval:
    """A share of `posts` with its Wilson interval (JASA 22, 1927)."""
    middle = value + _Z**2 / (2 * posts)
    margin = _Z * sqrt(value * (1 - value) / posts + (_Z / (2 * posts)) ** 2)
    ends = ((middle + sign * margin) / (1 + _Z**2 / posts) for sign in (-1, 1))
    low, high = (min(max(end, 0.0), 1.0) for end in ends)
    return value, low, high


def weighted_share(
    strata: Sequence[SampledStratum], part: Collection[str], whole: Collection[str] | None = None
) -> Interval | None:
    """The share of posts with a label of `part` among those with one of `whole`, or among all.

    None where no post of the sample is in the whole.
    """
    known = [stratum for stratum in strata if stratum.labelled]
    weights = [stratum.posts / stratum.labelled for stratum in known]
    parts = [sum(stratum.labels.get(name, 0) for name in part) for stratum in known]
    wholes = [
        stratum.labelled if whole is None else sum(stratum.labels.get(name, 0) for name in whole)
        for stratum in known
    ]
    total = sum(w * n for w, n in zip(weights, wholes, strict=True))
    if not total:
        return None
    value = sum(w * n for w, n in zip(weights, parts, strict=True)) / total
    variance = 0.0
    for stratum, weight, mine, every in zip(known, weights, parts, wholes, strict=True):
        n = stratum.labelled
        mean = (mine - value * every) / n
        square = (mine * (1 - value) ** 2 + (every - mine) * value**2) / n
        spread = (square - mean**2) * n / (n - 1) if n > 1 else square
        variance += weight**2 * n * spread / total**2
    if variance > 0 and 0 < value < 1:
        return wilson(value, value * (1 - value) / variance)
    worth = total**2 / sum(w**2 * n for w, n in zip(weights, wholes, strict=True))
    return wilson(value, worth)
