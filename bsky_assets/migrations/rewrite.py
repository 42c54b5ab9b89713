"""Rewriting stored partitions that are of an earlier contract.

Readers understand them as they are (`storage.upcasts`); rewritten they are read faster, and
changes that are no longer needed can be forgotten. Partition after partition is written anew,
compared with the old one by counts and checksums, and only then takes its place. Killed, what is
done is done and the rest is as it was: run again, it goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb

from bsky_assets.contracts import Row, arrow_schema, contract_version
from bsky_assets.contracts.details import Details, Rewriting
from bsky_assets.contracts.progress import Progress, Reporter, silent
from bsky_assets.errors import UserError
from bsky_assets.storage import upcasts
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.locks import exclusive
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets.storage.places import read_schema
from bsky_assets.storage.sql import identifier
from bsky_assets.sync_day import now


class RewriteDiffers(UserError):
    """A rewritten partition is not the old one; the old one stays."""


@dataclass(frozen=True)
class Outdated:
    """A partition of an earlier contract, and what reading it takes."""

    row: type[Row]
    partition: Partition
    changes: tuple[str, ...]
    """In words; none where only descriptions of the layout differ."""


class Contents(NamedTuple):
    """What two files of the same rows have in common, whatever their order."""

    rows: int
    checksums: dict[str, int]
    """By column: the sum of its values' hashes."""


def plan(lake: Lake, rows: tuple[type[Row], ...] | None = None) -> Iterator[Outdated]:
    """Every partition that is not of today's contract.

    Raises:
        ContractViolation: one cannot be read under today's contract; the message names the column.
    """
    for row in rows or lake.tables:
        for partition in lake.partitions(row):
            if partition.contract != contract_version(row):
                found = read_schema(partition.path)
                changes = upcasts.differences(row, partition.day, found)
                yield Outdated(row, partition, tuple(changes))


def apply(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    outdated: list[Outdated],
    progress: Reporter = silent,
) -> list[Partition]:
    """Rewrite the partitions of a plan; those that have changed since it was made are left alone.

    Raises:
        RewriteDiffers: counts or checksums differ; that partition stays as it was.
        UnusableDataDirectory: the folder cannot be written to.
    """
    written: list[Partition] = []
    lake.attach(con)
    for done, item in enumerate(outdated, start=1):
        with exclusive(lake.root / item.row.asset):
            if item.partition in lake.partitions(item.row):
                written.append(_rewrite(con, lake, item))
        what = f"rewriting {item.partition.dataset}"
        progress(Progress(what, done, len(outdated), unit="partitions"))
    return written


def contents(con: duckdb.DuckDBPyConnection, row: type[Row], rows: str) -> Contents:
    """Count and checksums of the rows that the SQL `rows` gives, which are rows of `row`."""
    names = arrow_schema(row).names
    sums = ", ".join(f"coalesce(sum(hash({identifier(name)})), 0)" for name in names)
    ((count, *found),) = con.sql(f"SELECT count(*), {sums} FROM ({rows})").fetchall()
    return Contents(count, dict(zip(names, (int(value) for value in found), strict=True)))


def _rewrite(con: duckdb.DuckDBPyConnection, lake: Lake, item: Outdated) -> Partition:
    row, partition = item.row, item.partition
    expected = contents(con, row, select_rows(row, [partition]))

    def verify(path: Path) -> None:
        stored = upcasts.Stored(partition.day, path, is_current=True)
        found = contents(con, row, upcasts.select(row, [stored]))
        if found != expected or found.rows != partition.rows:
            columns = [
                name
                for name in expected.checksums
                if found.checksums[name] != expected.checksums[name]
            ]
            raise RewriteDiffers(
                f"{partition.dataset} on {partition.day}: {partition.rows} rows were to be "
                f"rewritten, {found.rows} were, with other values in "
                f"{', '.join(columns) or 'no column'}; the partition stays as it was"
            )

    told = partition.told(Details)
    earlier = Rewriting(contract=partition.contract, rewritten_at=now().isoformat())
    details = told.model_copy(update={"rewritten": (*told.rewritten, earlier)})
    return lake.rewrite(con, row, partition, verify, details)
