"""Rows with a value in every field, and rows in which one column has other values."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from bsky_assets.contracts import Row, arrow_schema, columns
from testbed.rows import NOON

Rows = list[dict[str, Any]]
Change = Callable[[Any, int], Any]
"""What becomes of a value; also told the number of its row."""


def leaves(row: type[Row]) -> list[str]:
    """The columns of a contract that hold values, dotted."""
    return [column.name for column in columns(row) if not column.nested]


def sources(row: type[Row]) -> dict[str, frozenset[str]]:
    """What each of `leaves` says that it is made from."""
    return {column.name: frozenset(column.sources) for column in columns(row) if not column.nested}


def filled(row: type[Row], number: int, **fields: Any) -> dict[str, Any]:
    """A row that has a value of its own everywhere; `fields` replace columns or merge into them."""
    made = {field.name: _value(field.type, field.name, number) for field in arrow_schema(row)}
    return _merged(made, fields)


def _merged(made: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in fields.items():
        nested = isinstance(value, dict) and isinstance(made.get(name), dict)
        made[name] = _merged(made[name], value) if nested else value
    return made


def _value(kind: pa.DataType, name: str, number: int) -> Any:
    if pa.types.is_struct(kind):
        return {part.name: _value(part.type, f"{name}.{part.name}", number) for part in kind}
    if pa.types.is_list(kind):
        return [_value(kind.value_type, name, number)]
    if pa.types.is_boolean(kind):
        return False
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return number
    if pa.types.is_timestamp(kind):
        return NOON + timedelta(minutes=number)
    assert pa.types.is_string(kind), kind
    return f"{name} {number}"


def changed(rows: Iterable[Mapping[str, Any]], path: str, change: Change | None = None) -> Rows:
    """The rows with other values in the column `path`, within every struct of a list too."""
    result = copy.deepcopy([dict(row) for row in rows])
    *outer, last = path.split(".")
    for number, row in enumerate(result):
        for holder in _holders(row, outer):
            holder[last] = (change or other)(holder.get(last), number)
    return result


def _holders(value: Any, path: list[str]) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _holders(item, path)
    elif isinstance(value, dict):
        if path:
            yield from _holders(value.get(path[0]), path[1:])
        else:
            yield value


def other(value: Any, number: int = 0) -> Any:
    """Another value of the same kind; null stays null."""
    if isinstance(value, list):
        return [other(item, number) for item in value]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, datetime):
        return value + timedelta(hours=1)
    return None if value is None else f"other {value}"


def values(row: type[Row], table: pa.Table) -> dict[str, list[str]]:
    """What each of `leaves` holds, row by row."""
    found: dict[str, list[str]] = {}
    rows = table.to_pylist()
    for path in leaves(row):
        found[path] = [repr(_at(line, path.split("."))) for line in rows]
    return found


def _at(value: Any, path: list[str]) -> Any:
    if isinstance(value, list):
        return [_at(item, path) for item in value]
    if not path or value is None:
        return value
    return _at(value[path[0]], path[1:])
