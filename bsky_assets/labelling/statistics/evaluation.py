"""The model of record against people: scores, and shares corrected for its errors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import inf

import duckdb
import pyarrow as pa

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.errors import UserError
from bsky_assets.labelling.answer_sql import as_people_have_it
from bsky_assets.labelling.asking.answers import IDEOLOGIES, NONE
from bsky_assets.labelling.asking.questions import text_hash
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.labelling.statistics.confusion_figure import confusion_png
from bsky_assets.labelling.statistics.corrected import Share, Stratum, corrected_share
from bsky_assets.labelling.statistics.gold import IDEOLOGY, OTHER, POLITICS, Gold, Variable
from bsky_assets.labelling.statistics.metrics import Estimate, Scores, score
from bsky_assets.labelling.statistics.sampling import Design, load_design
from bsky_assets.storage.lake import Lake

SOCIOPOLITICAL = "sociopolitical"
ALL = "all"


class NothingToCompare(UserError):
    """No post of the file has a label to compare with."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One variable, scored."""

    name: str
    by: str
    """Where the other labels are from: a column of the file, or the model of record."""
    scores: Scores
    accuracy_of_all: Estimate | None
    """Whether posts are sociopolitical, told rightly: the share among all labelled posts, by the
    sample's design. None for other variables and without a design."""
    without_label: int
    """Posts of the file that have a label by people and none to compare it with."""

    def png(self) -> bytes:
        """The confusion matrix as a picture."""
        return confusion_png(
            self.scores.confusion,
            self.scores.classes,
            title=f"{self.name}: {self.scores.posts:,} posts, accuracy {self.scores.accuracy}",
            rows="by people",
            columns=self.by,
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a file of labels by people says of other labels of the same posts."""

    compared: tuple[Compared, ...]
    shares: tuple[Share, ...]
    """Of all labelled posts of `days`; empty where the file has the other labels itself."""
    days: tuple[date, ...]
    is_designed: bool
    """Whether the sample's design is known; if not, it is taken for a simple random one."""
    uris: tuple[str, ...]
    """The posts that were found among the labels of record."""
    is_of_sample: bool = False
    """Whether a sample of the posts was asked about: then each weighs one over its chance."""


@dataclass(frozen=True, slots=True)
class _Record:
    """The label of record of a post."""

    uri: str
    day: date
    label: str
    """With `none` where it is not sociopolitical."""
    weight: float
    """One over the chance that the model was asked about it."""


@dataclass(frozen=True, slots=True)
class _Population:
    """The labels of record of some days, each weighed by one over its chance."""

    labelled: int
    worth: float
    """Posts drawn by plain chance that they are worth; infinite where all were asked about."""
    naive: Mapping[str, float]
    """The share of each label."""


def evaluate(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    ledger: Ledger,
    gold: Gold,
    row: type[Row] = LlmLabel,
) -> Evaluation:
    """Score the labels that `gold` has itself, or else the labels of record of the same posts.

    The labels of record are those of `row`.

    Raises:
        NothingToCompare: no row has both.
    """
    if all(variable.predicted for variable in gold.variables):
        own = (_compare(variable, variable.predicted or ()) for variable in gold.variables)
        return Evaluation(tuple(own), (), (), is_designed=False, uris=())
    records = _records(con, lake, gold, row)
    design = load_design(ledger, gold.samples[0]) if len(gold.samples) == 1 else None
    days = _days(records, design)
    population = _population(con, lake, days, row)
    strata = _strata(records, design)
    sizes = design.sizes if design else {ALL: population.labelled}
    return Evaluation(
        compared=tuple(
            _compare(
                variable,
                _predicted(variable, records, row),
                [record.weight if record else 1.0 for record in records],
                strata if design else None,
                sizes,
                population.worth,
            )
            for variable in gold.variables
        ),
        shares=tuple(_shares(gold, records, strata, sizes, population, row)),
        days=tuple(days),
        is_designed=design is not None,
        uris=tuple(record.uri for record in records if record),
        is_of_sample=population.worth < inf,
    )


def _compare(
    variable: Variable,
    others: Sequence[str | None],
    weights: Sequence[float] | None = None,
    strata: Sequence[str | None] | None = None,
    sizes: Mapping[str, int] | None = None,
    worth: float = inf,
) -> Compared:
    pairs = [
        (mine, other, weights[n] if weights else 1.0, strata[n] if strata else None)
        for n, (mine, other) in enumerate(zip(variable.gold, others, strict=True))
        if mine is not None and other is not None
    ]
    if not pairs:
        raise NothingToCompare(
            f"no row has both {variable.gold_column!r} and a label to compare it with; the file "
            "needs a column of the model's labels, or the URIs or texts of labelled posts"
        )
    gold, predicted, weight, drawn_from = zip(*pairs, strict=True)
    of_all = None
    if sizes and strata and variable.name == POLITICS:
        hits = [
            (mine == other, False, each, stratum)
            for mine, other, each, stratum in zip(gold, predicted, weight, drawn_from, strict=True)
        ]
        parts = _divide(hits, sizes)
        of_all = corrected_share("accuracy", 0.0, parts, worth).corrected if parts else None
    return Compared(
        name=variable.name,
        by=variable.predicted_column or "model of record",
        scores=score(gold, predicted, weights=weight),
        accuracy_of_all=of_all,
        without_label=sum(mine is not None for mine in variable.gold) - len(pairs),
    )


def _records(
    con: duckdb.DuckDBPyConnection, lake: Lake, gold: Gold, row: type[Row]
) -> list[_Record | None]:
    """The label of record for each row of the file, found by URI, or else by text."""
    keys = gold.uris or (gold.texts and tuple(text_hash(text) for text in gold.texts))
    if keys is None:
        raise NothingToCompare(
            "the file has neither a column of the model's labels nor one of URIs or texts, by "
            "which to find them"
        )
    key = "uri" if gold.uris else "text_hash"
    con.register("gold_keys", pa.table({"key": pa.array(keys, pa.string())}))
    found: dict[str, _Record] = {}
    for day in lake.days(row):
        lake.relation(con, row, [day]).create_view("gold_labels", replace=True)
        rows = con.sql(
            f"""
            SELECT {key}, uri, {as_people_have_it(row)}, 1 / coalesce(selection_chance, 1)
            FROM gold_labels
            WHERE is_label_of_record AND was_successfully_labeled
                AND {key} IN (SELECT key FROM gold_keys)
            ORDER BY uri
            """
        ).fetchall()
        for value, uri, label, weight in rows:
            found.setdefault(value, _Record(uri, day, label, weight))
    return [found.pop(value, None) for value in keys]  # a post that stands twice counts once


def _predicted(
    variable: Variable, records: Sequence[_Record | None], row: type[Row]
) -> list[str | None]:
    if row is not LlmLabel:
        return [record.label if record else None for record in records]
    if variable.name == OTHER:
        raise NothingToCompare(
            f"the values in {variable.gold_column!r} are not those of is_sociopolitical or "
            "political_ideology; name a column to compare them with by --predicted"
        )
    if variable.name == IDEOLOGY:
        return [record.label if record else None for record in records]
    return [str(record.label != NONE).lower() if record else None for record in records]


def _days(records: Sequence[_Record | None], design: Design | None) -> list[date]:
    if design:
        return [date.fromisoformat(day) for day in design.days]
    return sorted({record.day for record in records if record})


def _population(
    con: duckdb.DuckDBPyConnection, lake: Lake, days: Sequence[date], row: type[Row]
) -> _Population:
    lake.relation(con, row, days).create_view("gold_population", replace=True)
    rows = con.sql(
        f"""
        SELECT {as_people_have_it(row)}, count(*), sum(weight), sum(weight ** 2),
            bool_or(weight > 1)
        FROM (SELECT *, 1 / coalesce(selection_chance, 1) AS weight FROM gold_population)
        WHERE is_label_of_record AND was_successfully_labeled GROUP BY ALL
        """
    ).fetchall()
    labelled, total = (sum(row[place] for row in rows) for place in (1, 2))
    is_sample = any(is_part for *_, is_part in rows)
    worth = total**2 / sum(squared for *_, squared, _ in rows) if is_sample else inf
    naive = {label: weight / total for label, _, weight, *_ in rows}
    return _Population(labelled, worth, naive)


def _strata(records: Sequence[_Record | None], design: Design | None) -> list[str | None]:
    """The stratum of each row; None for what is not of the sample."""
    if design is None:
        return [ALL if record else None for record in records]
    return [design.posts.get(record.uri) if record else None for record in records]


def _shares(
    gold: Gold,
    records: Sequence[_Record | None],
    strata: Sequence[str | None],
    sizes: Mapping[str, int],
    population: _Population,
    row: type[Row],
) -> Iterator[Share]:
    """The shares that the file can correct; none where a stratum has no labelled post yet."""
    is_political, naive = row is LlmLabel, population.naive
    people = labels_by_people(gold) if is_political else gold.variables[0].gold
    for target in (SOCIOPOLITICAL, *IDEOLOGIES) if is_political else sorted(naive):
        rows = [
            (_is(target, label), _is(target, record.label), record.weight, stratum)
            for label, record, stratum in zip(people, records, strata, strict=True)
            if record and stratum and _is_known(target, label)
        ]
        if parts := _divide(rows, sizes):
            share = 1 - naive.get(NONE, 0) if target == SOCIOPOLITICAL else naive.get(target, 0)
            yield corrected_share(target, share, parts, population.worth)


def _divide(
    rows: Sequence[tuple[bool, bool, float, str | None]], sizes: Mapping[str, int]
) -> list[Stratum]:
    """The rows (by people, by the model, weight, stratum) by stratum; nothing if one has none.

    `sizes` counts labelled posts; each stratum is as large as these are taken to stand for.
    """
    parts = []
    for name, labelled in sizes.items():
        chosen = [row for row in rows if row[3] == name]
        if not chosen:
            return []
        gold, predicted, weights, _ = zip(*chosen, strict=True)
        parts.append(Stratum(labelled * sum(weights) / len(weights), gold, predicted, weights))
    return parts


def labels_by_people(gold: Gold) -> list[str | None]:
    """One label a row, made of both variables: an ideology, `none`, SOCIOPOLITICAL where only
    that is known, or None."""
    by_name = {variable.name: variable.gold for variable in gold.variables}
    rows = len(gold.variables[0].gold)
    politics = by_name.get(POLITICS, (None,) * rows)
    ideology = by_name.get(IDEOLOGY, (None,) * rows)
    return [
        NONE if political == "false" else leaning or (political and SOCIOPOLITICAL)
        for political, leaning in zip(politics, ideology, strict=True)
    ]


def _is_known(target: str, label: str | None) -> bool:
    return label is not None and (target == SOCIOPOLITICAL or label != SOCIOPOLITICAL)


def _is(target: str, label: str | None) -> bool:
    return label not in (NONE, None) if target == SOCIOPOLITICAL else label == target
