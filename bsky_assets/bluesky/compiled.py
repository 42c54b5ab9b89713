"""The readers that are compiled when the package is installed, and what they tell of columns.

Each is used only if it was made of the source that is beside it. What they take, they take as the
code in Python does; where one is missing, that reads everything.
What does not belong here: what any of them reads.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa

_FOLDER = Path(__file__).parent
SHARED = _FOLDER / "_columns.hpp"
"""What all of them are made of, besides their own source."""
SOURCES = {
    "_post_columns": _FOLDER / "_post_columns.cpp",
    "archive._block_rows": _FOLDER / "archive" / "_block_rows.cpp",
}
"""By the names of the modules, in this package."""
NOT_COMPILED = (
    "blocks and posts of the archive are read by slower code, which takes several times as long: a "
    "reader that is compiled with the package is missing; install the package again where a C++ "
    "compiler is"
)


@cache
def compiled(reader: str) -> Any | None:
    """One of `SOURCES`; None if it is not there, or was made of another source."""
    try:
        module = import_module(f"bsky_assets.bluesky.{reader}")
    except ImportError:
        return None
    content = SOURCES[reader].read_bytes() + SHARED.read_bytes()
    return module if hashlib.sha256(content).hexdigest() == module.SOURCE else None


def are_compiled() -> bool:
    """Whether all are there, and were made of the sources that are beside them."""
    return all(compiled(reader) is not None for reader in SOURCES)


def column(kind: pa.DataType, told: Iterator[Any]) -> pa.Array:
    """The next column that a reader told of: length, validity, what its kind has, what is in it."""
    length = next(told)
    buffers = [_buffer(next(told))]
    if pa.types.is_struct(kind):
        inner = [column(field.type, told) for field in kind]
        return pa.Array.from_buffers(kind, length, buffers, children=inner)
    buffers.append(_buffer(next(told)))
    if pa.types.is_list(kind):
        return pa.Array.from_buffers(
            kind, length, buffers, children=[column(kind.value_type, told)]
        )
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        buffers.append(_buffer(next(told)))
    return pa.Array.from_buffers(kind, length, buffers)


def bits(told: Iterator[Any]) -> pa.BooleanArray:
    """The next of what a reader told of that is true or false for each row."""
    length, values = next(told), next(told)
    # Where all are true there are no bits.
    content = pa.repeat(True, length).buffers()[1] if values is None else pa.py_buffer(values)
    return pa.Array.from_buffers(pa.bool_(), length, [None, content])


def _buffer(content: Any | None) -> pa.Buffer | None:
    return None if content is None else pa.py_buffer(content)
