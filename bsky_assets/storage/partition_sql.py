"""SQL that reads partitions, and the contract that their rows are read under."""

from collections.abc import Sequence
from functools import cache

from bsky_assets.contracts import Row, arrow_schema, contract_version
from bsky_assets.contracts.stored import row_as_stored
from bsky_assets.storage import upcasts
from bsky_assets.storage.connection import in_memory
from bsky_assets.storage.damage import damage_named
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.places import read_schema
from bsky_assets.storage.shape import ContractViolation
from bsky_assets.storage.sql import identifier, literal


def select_rows(row: type[Row], partitions: Sequence[Partition]) -> str:
    """SQL that reads `partitions` of `row`, without the day; no rows where there are none.

    Partitions of earlier contracts read as today's.

    Raises:
        ContractViolation: one cannot be read so; the message names asset, day and column.
    """
    if not partitions:
        return f"SELECT {empty_columns(row)} WHERE false"
    current = contract_version(row)
    stored = (
        upcasts.Stored(partition.day, partition.path, partition.contract == current)
        for partition in partitions
    )
    return upcasts.select(row, list(stored))


def contract_in(row: type[Row], partition: Partition) -> type[Row]:
    """`row`, or where `partition` cannot be read so, what its file has for columns.

    Raises:
        Damaged: it cannot be read at all.
    """
    try:
        select_rows(row, [partition])
    except ContractViolation:
        return contract_as_stored(partition)
    return row


def contract_as_stored(partition: Partition) -> type[Row]:
    """What the file of `partition` has for columns.

    Raises:
        Damaged: it cannot be read.
    """
    with damage_named(partition.dataset, partition.day, partition.path):
        return row_as_stored(partition.dataset, read_schema(partition.path))


def select_days(row: type[Row], partitions: Sequence[Partition]) -> str:
    """SQL for the same with a DATE column `sync_day` first."""
    if not partitions:
        return f"SELECT CAST(NULL AS DATE) AS sync_day, {empty_columns(row)} WHERE false"
    return " UNION ALL ".join(
        f"SELECT DATE {literal(partition.day)} AS sync_day, * "
        f"FROM ({select_rows(row, [partition])})"
        for partition in partitions
    )


@cache
def empty_columns(row: type[Row]) -> str:
    """The columns of `row` as typed nulls, for a SELECT list."""
    with in_memory() as con:
        relation = con.from_arrow(arrow_schema(row).empty_table())
        described = zip(relation.columns, relation.types, strict=True)
        return ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in described)
