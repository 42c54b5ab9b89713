"""The records of many posts at once, as columns: nothing is made for each row.

The reader is compiled when the package is installed, and takes the records that are as usual. All
others, and all where it is not there, are read by `records`, so that it changes no row.
What does not belong here: which bytes are a record, and the columns around it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.bluesky.compiled import bits, column, compiled
from bsky_assets.bluesky.records import POST
from bsky_assets.bluesky.syntax import DID_CHARACTERS, DID_PATTERN, RECORD_KEY_PATTERN
from bsky_assets.contracts import RawFirehosePost, arrow_schema

_RECORD = arrow_schema(RawFirehosePost).field("record").type
_CONSTANT: dict[str, Callable[[int, pa.DataType], pa.Array]] = {
    "entities": pa.nulls,
    "py_type": lambda count, _: pa.repeat(POST, count),
}
"""The columns that are the same in all records that are as usual."""
_PATTERNS = (
    rf"\A{DID_PATTERN}\z",
    rf"\A{RECORD_KEY_PATTERN}\z",
    r"\A[2-7a-j][2-7a-z]{12}\z",
)
"""Of DIDs, keys and revisions."""


@dataclass(frozen=True)
class PostColumns:
    """What was read of some records."""

    is_usual: pa.BooleanArray
    """Of each of them; what follows is of those that are."""
    cid: pa.StringArray
    """Computed from the record's bytes."""
    record: pa.StructArray
    """`PostRecord`."""


@dataclass(frozen=True)
class PostNames:
    """How some posts are named."""

    is_named: pa.BooleanArray
    """Whether DID, record key and revision of each are what they should be."""
    uri: pa.StringArray
    """Of each of them, whatever it is."""


def read_posts(records: pa.BinaryArray) -> PostColumns:
    """Read records in DAG-CBOR; where the reader is not there, none is as usual.

    Raises:
        OverflowError: they have more than two gigabytes of text.
    """
    module = compiled("_post_columns")
    if module is None:
        none = pa.array([], pa.string()), pa.array([], _RECORD)
        return PostColumns(pa.repeat(False, len(records)), *none)
    told = iter(module.read(*_text_buffers(records), records.offset, len(records)))
    is_usual, cid = bits(told), column(pa.string(), told)
    columns = [
        _CONSTANT[field.name](len(cid), field.type)
        if field.name in _CONSTANT
        else column(field.type, told)
        for field in _RECORD
    ]
    return PostColumns(is_usual, cid, pa.StructArray.from_arrays(columns, fields=list(_RECORD)))


def read_names(dids: pa.StringArray, keys: pa.StringArray, revs: pa.StringArray) -> PostNames:
    """Read how posts are named, or records of posts that were deleted."""
    module = compiled("_post_columns")
    if module is None:
        uri = pc.binary_join_element_wise("at://", dids, f"/{POST}/", keys, "")
        return PostNames(_are_named(dids, keys, revs), uri)
    names = ((*_text_buffers(texts), texts.offset) for texts in (dids, keys, revs))
    told = iter(module.read_names(*names, len(dids)))
    return PostNames(bits(told), column(pa.string(), told))


def _are_named(dids: pa.StringArray, keys: pa.StringArray, revs: pa.StringArray) -> pa.BooleanArray:
    are_good = [
        pc.match_substring_regex(texts, pattern)
        for texts, pattern in zip((dids, keys, revs), _PATTERNS, strict=True)
    ]
    are_good.append(pc.less_equal(pc.binary_length(dids), DID_CHARACTERS))
    are_good.append(pc.invert(pc.is_in(keys, pa.array([".", ".."]))))
    return reduce(pc.and_, are_good)


def _text_buffers(texts: pa.StringArray | pa.BinaryArray) -> tuple[Any, Any]:
    """Offsets and content; of an array of no length there may be neither."""
    _, offsets, data = texts.buffers()
    return offsets or bytes(4), data or b""
