"""The contract of a table that nothing declares as it is stored: the columns of its file.

Such are the labels of a codebook that was removed, or that asks for another type of answer now.
What does not belong here: contracts that are declared, which say what columns mean.
"""

import types
from functools import cache
from typing import Any

import pyarrow as pa
from pydantic import Field, create_model

from bsky_assets.contracts.base import SCALARS, Row, Struct

_TYPES = {kind: python for python, kind in SCALARS.items()}


class StoredRow(Row):
    """A row of a file, as its columns are."""

    key = ()


@cache
def row_as_stored(asset: str, schema: pa.Schema) -> type[StoredRow]:
    """The contract that rows of `asset` in a file with the columns `schema` have.

    Raises:
        KeyError: a column is of a type that no contract has.
    """
    row = create_model(
        "".join(part.capitalize() for part in asset.split("_")),
        __base__=StoredRow,
        __module__=__name__,
        __doc__="A row of a table that nothing makes any more.",
        **_fields(schema),
    )
    row.asset = asset
    return row


def _fields(columns: pa.Schema | pa.StructType) -> dict[str, Any]:
    said = Field(description="As it was stored.")
    return {column.name: (_annotation(column.type) | None, said) for column in columns}


def _annotation(kind: pa.DataType) -> Any:
    if pa.types.is_struct(kind):
        return create_model("Stored", __base__=Struct, **_fields(kind))
    if pa.types.is_list(kind):
        return types.GenericAlias(list, (_annotation(kind.value_type),))
    return _TYPES[kind]
