"""What is near enough, learnt from pairs of post and article that people coded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from bsky_assets.errors import UserError
from bsky_assets.news.gate import Gate

LEAST_PRECISION = 0.93
"""Of the coded pairs that the gate lets through: a little more than is wanted of others."""
FEWEST = 20


class TooFewPairs(UserError):
    """There are too few coded pairs to tell what is near enough."""


@dataclass(frozen=True)
class Pair:
    """A post and the article that was found for it."""

    distance: float
    margin: float
    is_about: bool
    """Whether people say that the post is about what the article reports."""


@dataclass(frozen=True)
class Measured:
    """How often the gate is right."""

    precision: float
    """Of the pairs that it lets through; 1 where it lets none through."""
    recall: float
    """Of the pairs that belong together."""


def calibrate(pairs: Iterable[Pair]) -> Gate:
    """The gate that lets most pairs through that belong together, of those that are right often.

    Raises:
        TooFewPairs: there are fewer than `FEWEST`, or none that belongs together.
    """
    known = [*pairs]
    if len(known) < FEWEST or not any(pair.is_about for pair in known):
        raise TooFewPairs(
            f"{len(known)} coded pairs are too few to calibrate the gate; code {FEWEST} at least, "
            "of which some belong together"
        )
    distances = sorted({round(pair.distance, 2) for pair in known})
    margins = sorted({round(max(pair.margin, 0.0), 2) for pair in known} | {0.0})
    gates = [Gate(distance, margin) for distance, margin in product(distances, margins)]
    measured: Mapping[Gate, Measured] = {gate: measure(gate, known) for gate in gates}
    right = [gate for gate in gates if measured[gate].precision >= LEAST_PRECISION]
    return max(
        right or gates,
        key=lambda gate: (
            measured[gate].recall if right else measured[gate].precision,
            gate.least_margin,
            -gate.largest_distance,
        ),
    )


def measure(gate: Gate, pairs: Iterable[Pair]) -> Measured:
    """How often `gate` is right about `pairs`."""
    known = [*pairs]
    through = [pair.is_about for pair in known if gate.opens(pair.distance, pair.margin)]
    about = sum(pair.is_about for pair in known)
    return Measured(
        sum(through) / len(through) if through else 1.0, sum(through) / about if about else 1.0
    )
