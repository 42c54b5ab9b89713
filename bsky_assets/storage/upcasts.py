"""Reading a partition that was written under an earlier contract as if it were of today's.

Works on what a file has and what the contract wants, column by column: what is there is read,
what is new is null, what became something else is made as `contracts.changes` says. Anything
else stops the reader.
What does not belong here: rewriting partitions, which is `migrations.rewrite`'s.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from bsky_assets.contracts import Row, arrow_schema, changes, columns
from bsky_assets.contracts.changes import Dropped, Made
from bsky_assets.storage.damage import damage_named
from bsky_assets.storage.places import StoredPath, mapped, read_schema
from bsky_assets.storage.shape import ContractViolation, check, has_shape, shape
from bsky_assets.storage.sql import identifier, read_parquet

_Changes = tuple[Made | Dropped, ...]

_TABLE = "stored"
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][\w.]*)\}")

_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


class Stored(NamedTuple):
    """A file of rows of some contract."""

    day: date
    path: StoredPath
    is_current: bool
    """Whether it says that it was written under today's version of the contract."""


def select(row: type[Row], files: Sequence[Stored], *, sync_day: bool = False) -> str:
    """SQL that reads `files`, at least one, as rows of `row` under today's contract.

    Args:
        row: the contract.
        files: what to read, of any time.
        sync_day: whether a DATE column `sync_day`, the day of the file's folder, comes first.

    Raises:
        ContractViolation: a file cannot be read so; the message names the column.
    """
    groups: dict[tuple[str, ...], list[StoredPath]] = {}
    paths = [file.path for file in files]
    lists = mapped(lambda file: _columns_of(row, file), files, paths)
    for file, names in zip(files, lists, strict=True):
        first = (_day_of_folder(file),) if sync_day else ()
        groups.setdefault(first + names, []).append(file.path)
    options = ("filename = true",) if sync_day else ()
    return " UNION ALL ".join(
        f"SELECT {', '.join(names)} FROM {read_parquet(paths, *options)} AS {_TABLE}"
        for names, paths in groups.items()
    )


def _day_of_folder(file: Stored) -> str:
    """SQL for the day of a file, by the place in its path where the day stands.

    One expression for many files, which DuckDB computes once a file: it leaves out the files of
    days that are not asked for.
    """
    folder, _, name = str(file.path).rpartition("/")
    if not folder.endswith(f"/sync_day={file.day}"):
        raise ValueError(f"{name} is not in a folder of {file.day}")
    at = len(folder) - len(str(file.day)) + 1
    return f"CAST(substr(filename, {at}, {len(str(file.day))}) AS DATE) AS sync_day"


def sql_type(kind: pa.DataType) -> str:
    """The name that DuckDB has for a type of a contract."""
    if pa.types.is_struct(kind):
        parts = ", ".join(f"{identifier(part.name)} {sql_type(part.type)}" for part in kind)
        return f"STRUCT({parts})"
    if pa.types.is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    return _SQL_TYPES[kind]


def differences(row: type[Row], day: date, found: pa.Schema) -> list[str]:
    """In words, what reading a file with the columns `found` as `row` takes; nothing if nothing.

    Raises:
        ContractViolation: it cannot be read so.
    """
    upcast = _Upcast(row, day, found, changes.CHANGES)
    upcast.columns()
    return upcast.told


def _columns_of(row: type[Row], file: Stored) -> tuple[str, ...]:
    """The SELECT list for a file.

    Raises:
        Damaged: it cannot be read.
    """
    with damage_named(row.asset, file.day, file.path):
        size = file.path.stat().st_size if isinstance(file.path, Path) else None
        return _columns(row, file, changes.CHANGES, size)


@lru_cache(maxsize=65_536)
def _columns(row: type[Row], file: Stored, stated: _Changes, size: int | None) -> tuple[str, ...]:
    """The same; files never change, so neither does this within a process but for damage."""
    found = read_schema(file.path)
    if file.is_current:
        check(row, file.day, found)
    if has_shape(row, found):
        return tuple(identifier(name) for name in found.names)
    return tuple(_Upcast(row, file.day, found, stated).columns())


@dataclass(frozen=True)
class _Scope:
    """Where columns of the file can be referred to: the whole row, or one struct of a list."""

    path: str
    reference: str
    kind: pa.StructType


@dataclass
class _Upcast:
    row: type[Row]
    day: date
    found: pa.Schema
    stated: _Changes
    told: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        stated = [change for change in self.stated if self.row.asset in change.assets]
        self.made = [change for change in stated if isinstance(change, Made)]
        self.dropped = [change for change in stated if isinstance(change, Dropped)]
        self.required = {column.name for column in columns(self.row) if not column.nullable}

    def columns(self) -> list[str]:
        """The SELECT list, once it is sure that no column of the file goes unnoticed."""
        whole = _Scope("", _TABLE, pa.struct(list(self.found)))
        columns = [
            f"{self._value((whole,), expected, expected.name)} AS {identifier(expected.name)}"
            for expected in arrow_schema(self.row)
        ]
        for path in _leaves(whole.kind):
            if not self._within(path, self.used):
                self._drop(path)
        return columns

    def _value(self, scopes: tuple[_Scope, ...], expected: pa.Field, path: str) -> str:
        found = self._find(scopes, path)
        if found and shape(found[1]) == shape(expected.type):
            self.used.add(path)
            return found[0]
        for change in self.made:
            if change.column == path and (sql := self._made(scopes, change)):
                self.told.append(f"{path} is made from {change.sql}")
                return f"CAST({sql} AS {sql_type(expected.type)})"
        if found is None:
            return self._absent(scopes, expected, path)
        reference, kind = found
        if pa.types.is_struct(kind) and pa.types.is_struct(expected.type):
            struct = self._struct(scopes, expected.type, path)
            return f"CASE WHEN {reference} IS NOT NULL THEN {struct} END"
        if _is_list_of_structs(kind) and _is_list_of_structs(expected.type):
            item = f"item_{len(scopes)}"
            inner = _Scope(path, item, kind.value_type)
            struct = self._struct((*scopes, inner), expected.type.value_type, path)
            return f"list_transform({reference}, lambda {item}: {struct})"
        raise self._violation(path, f"should be {expected.type}, found {kind}")

    def _absent(self, scopes: tuple[_Scope, ...], expected: pa.Field, path: str) -> str:
        if pa.types.is_struct(expected.type) and self._has_made_within(path):
            return self._struct(scopes, expected.type, path)
        if path in self.required:
            raise self._violation(path, f"should be {expected.type}, found nothing")
        self.told.append(f"{path} is null, being new")
        return f"CAST(NULL AS {sql_type(expected.type)})"

    def _struct(self, scopes: tuple[_Scope, ...], kind: pa.StructType, path: str) -> str:
        parts = (
            f"{identifier(part.name)}: {self._value(scopes, part, f'{path}.{part.name}')}"
            for part in kind
        )
        return f"{{{', '.join(parts)}}}"

    def _made(
        self, scopes: tuple[_Scope, ...], change: Made, outer: tuple[Made, ...] = ()
    ) -> str | None:
        """The SQL of a change with references for its placeholders; None if one is not there."""
        references: dict[str, str] = {}
        for name in _PLACEHOLDER.findall(change.sql):
            reference = self._reference(scopes, name, (*outer, change))
            if reference is None:
                return None
            references[name] = reference
        return _PLACEHOLDER.sub(lambda match: references[match[1]], change.sql)

    def _reference(
        self, scopes: tuple[_Scope, ...], name: str, outer: tuple[Made, ...]
    ) -> str | None:
        if found := self._find(scopes, name):
            self.used.add(name)
            return found[0]
        earlier = (made for made in self.made if made.column == name and made not in outer)
        found_sql = (self._made(scopes, made, outer) for made in earlier)
        return next((f"({sql})" for sql in found_sql if sql), None)

    def _find(self, scopes: tuple[_Scope, ...], path: str) -> tuple[str, pa.DataType] | None:
        """How to refer to a column of the file, and its type."""
        for scope in reversed(scopes):
            prefix = f"{scope.path}." if scope.path else ""
            if path.startswith(prefix):
                return _descend(scope, path.removeprefix(prefix).split("."))
        return None

    def _has_made_within(self, path: str) -> bool:
        return any(change.column.startswith(f"{path}.") for change in self.made)

    def _drop(self, path: str) -> None:
        if not self._within(path, {change.column for change in self.dropped}):
            raise self._violation(
                path,
                "is in the file and not in the contract; say in contracts/changes.py what "
                "became of it",
            )
        self.told.append(f"{path} is dropped")

    @staticmethod
    def _within(path: str, paths: set[str]) -> bool:
        parts = path.split(".")
        return any(".".join(parts[:end]) in paths for end in range(1, len(parts) + 1))

    def _violation(self, path: str, what: str) -> ContractViolation:
        return ContractViolation(f"{self.row.asset} on {self.day}: column {path} {what}")


def _descend(scope: _Scope, parts: Sequence[str]) -> tuple[str, pa.DataType] | None:
    reference, kind = scope.reference, scope.kind
    for part in parts:
        if not pa.types.is_struct(kind) or (index := kind.get_field_index(part)) < 0:
            return None
        reference, kind = f"{reference}.{identifier(part)}", kind.field(index).type
    return reference, kind


def _leaves(kind: pa.DataType, path: str = "") -> Iterator[str]:
    if pa.types.is_struct(kind):
        for part in kind:
            yield from _leaves(part.type, f"{path}.{part.name}" if path else part.name)
    elif _is_list_of_structs(kind):
        yield from _leaves(kind.value_type, path)
    else:
        yield path


def _is_list_of_structs(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and pa.types.is_struct(kind.value_type))
