"""How many posts of each stratum a sample has."""

from collections.abc import Mapping

_LEAST = 5
"""Posts of a stratum that has as many, while there are any left to draw."""


def allocate(
    sizes: Mapping[str, int],
    sample: int,
    weights: Mapping[str, float] | None = None,
) -> dict[str, int]:
    """How many posts to draw from each stratum: by its weight, or the square root of its size.

    A compromise: proportionally, rare labels get no post; equally, most posts speak of few
    (Bankier, Power Allocations, The American Statistician 42, 1988).
    """
    weights = weights or {name: size**0.5 for name, size in sizes.items()}
    drawn: dict[str, int] = {}
    left = min(sample, sum(sizes.values()))
    # First those of which the largest part is drawn: what they cannot give, the others do.
    remaining = sorted(sizes, key=lambda name: (-weights[name] / max(sizes[name], 1), name))
    while remaining:
        total = sum(weights[name] for name in remaining)
        name = remaining.pop(0)
        fair = round(left * weights[name] / total) if remaining else left
        drawn[name] = min(sizes[name], max(fair, min(_LEAST, left)))
        left -= drawn[name]
    return drawn
