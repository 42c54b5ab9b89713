"""Whether columns are those of a contract."""

from datetime import date

import pyarrow as pa

from bsky_assets.contracts import Row, arrow_schema
from bsky_assets.errors import UserError


class ContractViolation(UserError):
    """Data do not have the columns that their contract states."""


def shape(kind: pa.DataType) -> object:
    """A type without what Parquet does not keep: nullability and the names of list elements."""
    if pa.types.is_struct(kind):
        return [(field.name, shape(field.type)) for field in kind]
    if pa.types.is_list(kind):
        return [shape(kind.value_type)]
    return kind


def has_shape(row: type[Row], found: pa.Schema) -> bool:
    """Whether `found` has exactly the columns of `row`, in their order."""
    return shape(pa.struct(list(found))) == shape(pa.struct(list(arrow_schema(row))))


def check(row: type[Row], day: date, found: pa.Schema) -> None:
    """Make sure that `found` has exactly the columns of `row`, in their order.

    Raises:
        ContractViolation: naming asset, day, column, what was expected and what was found.
    """
    expected = arrow_schema(row)
    for field in expected:
        position = found.get_field_index(field.name)
        if position < 0:
            raise ContractViolation(
                f"{row.asset} on {day}: column {field.name} should be {field.type}, found nothing"
            )
        if shape(found.field(position).type) != shape(field.type):
            raise ContractViolation(
                f"{row.asset} on {day}: column {field.name} should be {field.type}, "
                f"found {found.field(position).type}"
            )
    if extra := set(found.names) - set(expected.names):
        raise ContractViolation(f"{row.asset} on {day}: no such column: {', '.join(sorted(extra))}")
    if found.names != expected.names:
        raise ContractViolation(f"{row.asset} on {day}: columns stand in another order")
