"""The records of many posts at once, as columns: nothing is made for each row.

The reader is compiled when the package is installed, and takes the records that are as usual. All
others, and all where it is not there, are read by `records`, so that it changes no row.
What does not belong here: which bytes are a record, and the columns around it.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa

from bsky_assets.bluesky.records import POST
from bsky_assets.contracts import RawFirehosePost, arrow_schema

NOT_COMPILED = (
    "posts of the archive are read one by one, which takes several times as long: the reader that "
    "is compiled with the package is missing; install the package again where a C++ compiler is"
)
SOURCE = Path(__file__).with_name("_post_columns.cpp")
_RECORD = arrow_schema(RawFirehosePost).field("record").type
_CONSTANT: dict[str, Callable[[int, pa.DataType], pa.Array]] = {
    "entities": pa.nulls,
    "py_type": lambda count, _: pa.repeat(POST, count),
    "unknown_fields": pa.nulls,
}
"""The columns that are the same in all records that are as usual."""


@dataclass(frozen=True)
class PostColumns:
    """What was read of some records."""

    is_usual: pa.BooleanArray
    """Of each of them; what follows is of those that are."""
    cid: pa.StringArray
    """Computed from the record's bytes."""
    record: pa.StructArray
    """`PostRecord`."""


@cache
def _compiled() -> Any | None:
    try:
        module = import_module("bsky_assets.bluesky._post_columns")
    except ImportError:
        return None
    is_of_source = hashlib.sha256(SOURCE.read_bytes()).hexdigest() == module.SOURCE
    return module if is_of_source else None


def is_compiled() -> bool:
    """Whether the reader is there, and was made from the source that is beside it."""
    return _compiled() is not None


def read_posts(records: pa.BinaryArray) -> PostColumns:
    """Read records in DAG-CBOR; where the reader is not there, none is as usual.

    Raises:
        OverflowError: they have more than two gigabytes of text.
    """
    module = _compiled()
    if module is None:
        none = pa.array([], pa.string()), pa.array([], _RECORD)
        return PostColumns(pa.repeat(False, len(records)), *none)
    _, offsets, data = records.buffers()
    told = iter(module.read(offsets or bytes(4), data or b"", records.offset, len(records)))
    length, usual = next(told), next(told)
    bits = pa.repeat(True, length).buffers()[1] if usual is None else pa.py_buffer(usual)
    is_usual = pa.Array.from_buffers(pa.bool_(), length, [None, bits])
    cid = _column(pa.string(), told)
    columns = [
        _CONSTANT[field.name](len(cid), field.type)
        if field.name in _CONSTANT
        else _column(field.type, told)
        for field in _RECORD
    ]
    return PostColumns(is_usual, cid, pa.StructArray.from_arrays(columns, fields=list(_RECORD)))


def _column(kind: pa.DataType, told: Iterator[Any]) -> pa.Array:
    """The next column of `told`: length, validity, what else its kind has, and what is in it."""
    length = next(told)
    buffers = [_buffer(next(told))]
    if pa.types.is_struct(kind):
        inner = [_column(field.type, told) for field in kind]
        return pa.Array.from_buffers(kind, length, buffers, children=inner)
    buffers.append(_buffer(next(told)))
    if pa.types.is_list(kind):
        return pa.Array.from_buffers(
            kind, length, buffers, children=[_column(kind.value_type, told)]
        )
    if pa.types.is_string(kind):
        buffers.append(_buffer(next(told)))
    return pa.Array.from_buffers(kind, length, buffers)


def _buffer(content: bytes | None) -> pa.Buffer | None:
    return None if content is None else pa.py_buffer(content)
