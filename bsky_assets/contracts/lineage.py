"""The lineage of columns, read off the contracts: what each is made from, and what it touches.

What belongs here: walking what contracts declare. What does not: stored days, which are the
lake's, and how the lineage is shown.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache

from bsky_assets.contracts import ALL, ASIDE
from bsky_assets.contracts.base import Row, columns, contract_version, is_within
from bsky_assets.errors import BadUsage

DAILY_REPORT = "daily_report"
"""It has no contract: it is a page."""

_REPORT_READS = (
    "filtered_posts.passed_filters",
    "filtered_posts.filtered_by_func",
    "filtered_posts.filter_reason",
    "filtered_posts.language",
    "llm_labels.is_label_of_record",
    "llm_labels.is_sociopolitical",
    "llm_labels.political_ideology",
    "llm_labels.was_successfully_labeled",
    "filter_audit.filter",
    "filter_audit.label",
    "filter_audit.stopped",
    "filter_audit.sampled",
    "filter_audit.share",
    "filter_audit.shift",
    "filter_audit.shift_low",
    "filter_audit.shift_high",
    "raw_firehose_posts.record.unknown_fields",
    "raw_feed_posts.record.unknown_fields",
)
"""The columns that the report counts, when a partition is stored or when it is written."""

ROWS = tuple(row for row in ALL if row not in ASIDE)
"""The contracts of the assets, in the order of the lineage."""

_BY_ASSET = {row.asset: row for row in ROWS}


class NoSuchColumn(BadUsage):
    """No contract has a column or an asset of this name."""


@dataclass(frozen=True)
class Touched:
    """What a column touches in one asset."""

    columns: list[str] = field(default_factory=list)
    """Those that hold it or that are made from it, dotted."""
    rows: bool = False
    """Whether it decides which rows there are."""


def meant(name: str, known: Iterable[str]) -> str:
    """What a message about a name that is none of `known` ends with: what was meant, or all."""
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"


def contract_of(asset: str, rows: Sequence[type[Row]] = ROWS) -> type[Row]:
    """The contract of an asset, of those that `rows` are of.

    Raises:
        NoSuchColumn: there is none of this name.
    """
    known = {row.asset: row for row in rows}
    if asset not in known:
        raise NoSuchColumn(f"no asset {asset!r}{meant(asset, known)}")
    return known[asset]


def find(name: str, rows: Sequence[type[Row]] = ROWS) -> set[str]:
    """The columns that hold values and are meant by `name`, each as `asset.column`.

    `name` is a column or struct, dotted, with its asset before it or else of every asset.

    Raises:
        NoSuchColumn: there is none; the message says what comes close.
    """
    every = [f"{row.asset}.{column}" for row in rows for column in _leaves(row)]
    found = {
        full for full in every if is_within(full, name) or is_within(full.partition(".")[2], name)
    }
    if name and found:
        return found
    known = [column.name for row in rows for column in columns(row)]
    asset, _, rest = name.partition(".")
    is_asset = asset in {row.asset for row in rows}
    close = get_close_matches(rest if is_asset else name, dict.fromkeys(known), 3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise NoSuchColumn(f"no contract has a column {name!r}{hint}")


def impact(name: str, rows: Sequence[type[Row]] = ROWS) -> dict[str, Touched]:
    """What the columns meant by `name` touch, by asset in the order of the lineage.

    Raises:
        NoSuchColumn: there is no such column.
    """
    touched_columns = find(name, rows)
    touched: dict[str, Touched] = {}
    for row in rows:
        decides = bool(touched_columns & set(row.rows_from)) or _rows(touched, reads(row))
        held = [
            leaf
            for leaf, sources in _leaves(row).items()
            if f"{row.asset}.{leaf}" in touched_columns or touched_columns & sources
        ]
        touched_columns |= {f"{row.asset}.{leaf}" for leaf in held}
        if held or decides:
            touched[row.asset] = Touched(held, decides)
    decides = _rows(touched, _REPORT_READS)
    if decides or touched_columns & set(_REPORT_READS):
        touched[DAILY_REPORT] = Touched([], decides)
    return touched


def _rows(touched: Mapping[str, Touched], read: Iterable[str]) -> bool:
    """Whether which rows there are of an asset that is read is touched."""
    assets = {name.partition(".")[0] for name in read}
    return any(found.rows for asset, found in touched.items() if asset in assets)


@cache
def lineage_version(row: type[Row]) -> str:
    """Twelve hex digits that change with a contract and with what its rows are made from.

    They cover the layout of every column, as a whole with all its fields, that goes into the
    rows or decides which there are, by whatever way: whoever reads a struct is touched when it
    changes.
    """
    return _version(contract_version(row), reads(row), _with_parents(row))


def report_reads_version() -> str:
    """The same of the columns that the daily report reads."""
    return _version("", frozenset(_REPORT_READS), _BY_ASSET)


def _with_parents(row: type[Row]) -> Mapping[str, type[Row]]:
    """The contracts by asset, with those that `row` and what it is made from name besides."""
    known = dict(_BY_ASSET)
    for parent in row.parents:
        known |= {parent.asset: parent, **_with_parents(parent)}
    return known


def _version(contract: str, read: frozenset[str], known: Mapping[str, type[Row]]) -> str:
    columns_read = sorted(made_from(read, known))
    layouts = [contract, *(f"{name} {_layout(name, known)}" for name in columns_read)]
    return hashlib.sha256(json.dumps(layouts).encode()).hexdigest()[:12]


@cache
def reads(row: type[Row]) -> frozenset[str]:
    """The columns, `asset.column`, that go into rows or decide which there are."""
    return frozenset().union(row.rows_from, *_leaves(row).values())


def made_from(read: frozenset[str], known: Mapping[str, type[Row]] | None = None) -> set[str]:
    """Every top-level column, `asset.column`, that goes into what reads `read`, by any way.

    `known` are the contracts by asset, where there are more than everywhere.
    """
    known = known or _BY_ASSET
    waiting, seen = list(read), set[str]()
    while waiting:
        column = _top(waiting.pop())
        if column not in seen:
            seen.add(column)
            waiting.extend(_sources_of(column, known))
    return seen


def upstream(read: Iterable[str], rows: Sequence[type[Row]] = ROWS) -> list[str]:
    """The assets that the columns `read` are of, in the order of the lineage."""
    assets = {name.partition(".")[0] for name in read}
    return [row.asset for row in rows if row.asset in assets]


def summary(row: type[Row]) -> Iterator[tuple[str, str]]:
    """For a person: each column that is made from others, and what from; structs as a whole.

    A struct that is taken over as it is has one line, one that is put together a line a field.
    """
    if row.rows_from:
        yield "which rows there are", ", ".join(row.rows_from)
    taken: list[str] = []
    for column in columns(row):
        if any(is_within(column.name, name) for name in taken) or not column.sources:
            continue
        if column.nested and not _is_copied(row, column.name, column.sources):
            continue
        if column.nested:
            taken.append(column.name)
        yield column.name, ", ".join(column.sources)


def _is_copied(row: type[Row], name: str, sources: Iterable[str]) -> bool:
    """Whether every field of a struct comes from the field of its name, of the same sources."""
    return all(
        made_from == {f"{source}{leaf.removeprefix(name)}" for source in sources}
        for leaf, made_from in _leaves(row).items()
        if is_within(leaf, name)
    )


@cache
def _leaves(row: type[Row]) -> Mapping[str, frozenset[str]]:
    """The columns that hold values, and what each is made from."""
    return {column.name: frozenset(column.sources) for column in columns(row) if not column.nested}


def _sources_of(top_level: str, known: Mapping[str, type[Row]]) -> set[str]:
    """What goes into a top-level column, and what decides the rows that it is in."""
    asset, _, name = top_level.partition(".")
    row = known[asset]
    found = (sources for leaf, sources in _leaves(row).items() if is_within(leaf, name))
    return set(row.rows_from).union(*found)


def _layout(top_level: str, known: Mapping[str, type[Row]]) -> str:
    asset, _, name = top_level.partition(".")
    return json.dumps(
        [
            (column.name, str(column.type), column.nullable)
            for column in columns(known[asset])
            if is_within(column.name, name)
        ]
    )


def _top(column: str) -> str:
    return ".".join(column.split(".")[:2])
