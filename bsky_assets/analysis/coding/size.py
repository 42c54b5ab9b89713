"""How many posts people have to code for an interval of a given width, before any is coded.

The variance of a corrected share is that of what people say less what the model predicts
(`labelling`'s `corrected`). Where a share p is estimated from people alone it is p (1 - p); with a
model that is right in `accuracy` of the posts it is at most 1 - accuracy. The smaller counts.
Source: Cochran, Sampling Techniques, 1977, ch. 4, with its correction for a small population.
"""

from math import ceil
from statistics import NormalDist

from bsky_assets.errors import UserError
from bsky_assets.labelling.statistics.metrics import LEVEL


def posts_needed(
    margin: float, share: float = 0.5, accuracy: float | None = None, population: int | None = None
) -> int:
    """How many posts to code for a 95% interval of ± `margin` around a `share`.

    Raises:
        UserError: a number is not between 0 and 1.
    """
    for name, value in (("margin", margin), ("share", share), ("accuracy", accuracy)):
        if value is not None and not 0 < value < 1:
            raise UserError(f"{name} is {value:g}; it must be between 0 and 1")
    variance = share * (1 - share)
    if accuracy is not None:
        variance = min(variance, 1 - accuracy)
    needed = variance * (NormalDist().inv_cdf((1 + LEVEL) / 2) / margin) ** 2
    return ceil(needed if population is None else needed / (1 + (needed - 1) / population))
