"""How a row model states everything that is known of a table.

A contract is a pydantic model whose fields carry a description and, where a column is
derived, what it is made from (`From`, `Copied`). Its Arrow schema, version, DuckDB view, Dagster
table schema and column lineage all come from it and from nowhere else.
What does not belong here: any particular table.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from inspect import get_annotations
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from bsky_assets.contracts.arrival import Arrival

SCALARS: dict[type, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    date: pa.date32(),
    datetime: pa.timestamp("us", tz="UTC"),
}
"""The types of columns that are neither lists nor structs."""


@dataclass(frozen=True, init=False)
class From:
    """The columns whose values go into a column: `asset.column` names, dotted into structs."""

    columns: tuple[str, ...]
    into: str
    """The field of the struct that is made from them; empty for the whole column."""

    def __init__(self, *columns: str, into: str = "") -> None:
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "into", into)


@dataclass(frozen=True, init=False)
class Copied:
    """The columns that a column takes over as they are, each field from the field of its name."""

    columns: tuple[str, ...]

    def __init__(self, *columns: str) -> None:
        object.__setattr__(self, "columns", columns)


class Struct(BaseModel):
    """A nested record: the type of a struct column."""

    # What validates is built when a row is first made of a model: most processes make none.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Row(Struct):
    """A row of one asset. Subclasses name the asset and say what one row is."""

    asset: ClassVar[str]
    key: ClassVar[tuple[str, ...]]
    """Columns (dotted into structs) that are unique together within a sync day."""
    rows_from: ClassVar[tuple[str, ...]] = ()
    """Upstream columns, `asset.column`, that decide which rows there are, and which of several
    versions of one is taken, whether or not their values go into any column."""
    parents: ClassVar[tuple[type["Row"], ...]] = ()
    """Contracts that `rows_from` names and that only some data directories have."""
    arrival: ClassVar[Arrival | None] = None
    """How rows come by a stream; None where they are made from others, or asked for."""


@dataclass(frozen=True)
class Column:
    """A column, or a field in a struct column, of a contract."""

    name: str
    """Dotted from the top-level column."""
    type: pa.DataType
    nullable: bool
    description: str
    sources: tuple[str, ...]
    """What it is made from, `asset.column`; of a struct, what any of its fields is made from."""

    @property
    def nested(self) -> bool:
        """Whether it is a struct or a list of structs, whose fields follow."""
        kind = self.type.value_type if pa.types.is_list(self.type) else self.type
        return bool(pa.types.is_struct(kind))


@cache
def arrow_schema(row: type[Row]) -> pa.Schema:
    """The Arrow schema of a contract; struct fields keep their order of declaration.

    Every field admits null: what is required is so only where the struct around it is not null,
    which Arrow and Parquet cannot say of files that DuckDB writes.
    """
    return pa.schema(_arrow_fields(row))


def arrow_type(annotation: Any) -> tuple[pa.DataType, bool]:
    """The Arrow type of a Python annotation, and whether it admits null.

    Raises:
        TypeError: the annotation has no Arrow counterpart in a contract.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return arrow_type(arguments[0])
    if origin in (Union, UnionType):
        (inner,) = (part for part in arguments if part is not NoneType)
        return arrow_type(inner)[0], True
    if origin is Literal:
        return arrow_type(type(arguments[0]))
    if origin in (list, tuple):
        return pa.list_(pa.field("element", arrow_type(arguments[0])[0])), False
    if isinstance(annotation, type):
        if issubclass(annotation, Struct):
            return pa.struct(_arrow_fields(annotation)), False
        if annotation in SCALARS:
            return SCALARS[annotation], False
    raise TypeError(f"no Arrow type for {annotation!r}")


def _arrow_fields(model: type[Struct]) -> list[pa.Field]:
    return [
        pa.field(name, arrow_type(info.annotation)[0]) for name, info in model.model_fields.items()
    ]


@cache
def columns(row: type[Row]) -> tuple[Column, ...]:
    """Every column of a contract, structs before their fields, in order.

    A contract that extends another takes over its columns as they are: such a column is made
    from the one of the same name.
    """
    found: list[Column] = []
    for name, info in row.model_fields.items():
        origin = _declaring(row, name)
        marks = info.metadata if origin is row else [Copied(f"{origin.asset}.{name}")]
        found.extend(_walk(name, "", info, marks))
    return tuple(found)


def _declaring(row: type[Row], name: str) -> type[Row]:
    """The contract that declares the column; models that name no asset are part of one."""
    contract = row
    for model in row.__mro__:
        if issubclass(model, Row) and "asset" in vars(model):
            contract = model
        if name in get_annotations(model):
            break
    return contract


def _walk(name: str, path: str, info: FieldInfo, marks: Sequence[object]) -> Iterator[Column]:
    """The column `name`, or its field at `path`, and the fields below; `marks` are the column's."""
    kind, nullable = arrow_type(info.annotation)
    full_name = f"{name}.{path}" if path else name
    sources = tuple(dict.fromkeys(source for mark in marks for source in _sources(mark, path)))
    yield Column(full_name, kind, nullable, info.description or "", sources)
    if nested := _nested(info.annotation):
        for field, field_info in nested.model_fields.items():
            yield from _walk(name, f"{path}.{field}" if path else field, field_info, marks)


def _sources(mark: object, path: str) -> tuple[str, ...]:
    if isinstance(mark, Copied):
        return tuple(f"{column}.{path}" if path else column for column in mark.columns)
    if isinstance(mark, From) and (is_within(path, mark.into) or is_within(mark.into, path)):
        return mark.columns
    return ()


def is_within(path: str, outer: str) -> bool:
    """Whether a dotted name is `outer` or in it; everything is in the empty name."""
    return not outer or path == outer or path.startswith(f"{outer}.")


def _nested(annotation: Any) -> type[Struct] | None:
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, Struct) else None
    return next((found for part in get_args(annotation) if (found := _nested(part))), None)


@cache
def contract_version(row: type[Row]) -> str:
    """Twelve hex digits that change when a column's name, order, type or nullability does."""
    layout = [(column.name, str(column.type), column.nullable) for column in columns(row)]
    return hashlib.sha256(json.dumps(layout).encode()).hexdigest()[:12]
