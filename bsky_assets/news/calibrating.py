"""What is near enough, learnt from pairs of post and article that people coded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from pathlib import Path

import duckdb
import pandas as pd

from bsky_assets.contracts import FilteredPost
from bsky_assets.contracts.news import NewsContext
from bsky_assets.errors import UserError
from bsky_assets.news.gate import Gate, keep_gate
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake

LEAST_PRECISION = 0.93
"""Of the coded pairs that the gate lets through: a little more than is wanted of others."""
FEWEST = 20


class TooFewPairs(UserError):
    """There are too few coded pairs to tell what is near enough."""


class UnusablePairs(UserError):
    """The file of coded pairs cannot be read, or it is not clear what it says."""


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


_STORED = """
    SELECT uri, article_id, model, distance, margin, told, record.text AS text
    FROM told_context JOIN told_posts USING (uri) WHERE rank = 1 AND name IS NOT NULL
"""


def pairs_to_code(
    con: duckdb.DuckDBPyConnection, lake: Lake, days: Sequence[date], count: int
) -> pd.DataFrame:
    """At most `count` pairs of `days` that share a name, drawn at random, the same on every run:
    uri, article_id, text of the post, what is told of the article, and is_about, to be filled in.
    """
    _register(con, lake, days)
    pairs: pd.DataFrame = con.sql(
        f"SELECT uri, article_id, text, told, NULL AS is_about FROM ({_STORED}) "
        "ORDER BY sha256(uri || article_id) LIMIT $count",
        params={"count": count},
    ).df()
    return pairs


def calibrate_from(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, coded: Path
) -> tuple[Gate, Measured, str]:
    """Calibrate the gate from the file that `pairs_to_code` made and people filled in, and keep it.

    Returns it, how often it is right about these pairs, and what made the vectors.

    Raises:
        UnusablePairs: the file cannot be read, or its pairs are of several models.
        TooFewPairs: there are too few pairs that are stored still.
    """
    answers = _answers(coded)
    _register(con, lake, lake.days(NewsContext))
    con.register("coded", answers)
    rows = con.sql(
        f"SELECT DISTINCT model, distance, margin, is_about, uri FROM ({_STORED}) "
        "JOIN coded USING (uri, article_id)"
    ).fetchall()
    models = {model for model, *_ in rows}
    if len(models) > 1:
        raise UnusablePairs(f"{coded}: its pairs are of {', '.join(sorted(models))}; keep to one")
    pairs = [Pair(distance, margin, bool(is_about)) for _, distance, margin, is_about, _ in rows]
    gate = calibrate(pairs)
    (model,) = models
    keep_gate(settings, model, gate)
    return gate, measure(gate, pairs), model


def _register(con: duckdb.DuckDBPyConnection, lake: Lake, days: Sequence[date]) -> None:
    lake.relation(con, NewsContext, days).create_view("told_context", replace=True)
    lake.relation(con, FilteredPost, days).create_view("told_posts", replace=True)


def _answers(coded: Path) -> pd.DataFrame:
    """uri, article_id and is_about of the pairs that have an answer."""
    try:
        found = pd.read_csv(coded, dtype=str, keep_default_na=False)
        found = found[["uri", "article_id", "is_about"]]
    except (OSError, ValueError, KeyError) as error:
        raise UnusablePairs(
            f"{coded}: {str(error).splitlines()[0]}; expected CSV with the columns uri, article_id "
            "and is_about, as `bsky-assets news pairs` writes it"
        ) from None
    said = found["is_about"].str.strip().str.lower()
    if wrong := sorted({*said} - {*_SAID, ""}):
        raise UnusablePairs(f"{coded}: is_about: {wrong[0]!r:.40} is neither yes nor no")
    answered: pd.DataFrame = found.assign(is_about=said.map(_SAID))[said != ""]
    return answered


_SAID = {"yes": True, "no": False, "1": True, "0": False, "true": True, "false": False}
