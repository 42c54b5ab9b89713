"""What was quarantined on the way into an asset: adding to it, and emptying rows of it.

What is there stays; what is already there is not added again. A day's quarantine may be larger
than memory: a part of it is held at a time, and the keys of all.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import chain
from typing import Any

import duckdb
import pyarrow as pa

from bsky_assets.contracts import Quarantined, arrow_schema, contract_version
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import select_rows

SCHEMA = arrow_schema(Quarantined)
_ROWS_AT_ONCE = 16
"""Each may be as large as a frame."""


def add(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    source: str,
    day: date,
    rows: Iterable[pa.Table | Mapping[str, Any]],
) -> Partition | None:
    """Make the quarantine of `source` on `day` what it was and `rows`; unchanged if none is new.

    A row is known by its `Quarantined.key`; of rows with the same key the first stays.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    before = lake.quarantine(source, day)
    known: set[bytes] = set()
    added = _batches(rows)
    if (first := next(added, None)) is None:
        return before
    for batch in batches(con, lake, before):
        _unknown(batch, known)
    fresh = (_unknown(batch, known) for batch in chain([first], added))
    new = (batch for batch in fresh if batch.num_rows)
    if (first_new := next(new, None)) is None:
        return before
    reader = pa.RecordBatchReader.from_batches(
        SCHEMA, chain(batches(con, lake, before), [first_new], new)
    )
    return lake.write_quarantine(source, day, reader)


def empty(
    con: duckdb.DuckDBPyConnection, lake: Lake, partition: Partition, places: set[int]
) -> Partition:
    """Let the rows at `places` of a quarantine, counted from 0, lose their content.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    source = partition.dataset.removeprefix(f"{Quarantined.asset}/")
    emptied = _emptied(batches(con, lake, partition), places)
    return lake.write_quarantine(
        source, partition.day, pa.RecordBatchReader.from_batches(SCHEMA, emptied)
    )


def _emptied(batches: Iterator[pa.RecordBatch], places: set[int]) -> Iterator[pa.RecordBatch]:
    import pyarrow.compute as pc  # takes time to import, which a look need not wait for

    at = 0
    for batch in batches:
        is_touched = pa.array([place in places for place in range(at, at + batch.num_rows)])
        content = pc.if_else(is_touched, b"", batch["content"])
        yield batch.set_column(SCHEMA.get_field_index("content"), SCHEMA.field("content"), content)
        at += batch.num_rows


def _batches(rows: Iterable[pa.Table | Mapping[str, Any]]) -> Iterator[pa.RecordBatch]:
    for part in [rows] if isinstance(rows, pa.Table) else rows:
        table = part if isinstance(part, pa.Table) else pa.Table.from_pylist([part], schema=SCHEMA)
        yield from table.to_batches()


def batches(
    con: duckdb.DuckDBPyConnection, lake: Lake, before: Partition | None
) -> Iterator[pa.RecordBatch]:
    """The rows of a quarantine in their order, a few at a time."""
    if before is None:
        return
    if before.contract == contract_version(Quarantined):
        yield from (batch.cast(SCHEMA) for batch in before.batches(_ROWS_AT_ONCE))
        return
    lake.attach(con)
    yield from (
        con.sql(select_rows(Quarantined, [before])).to_arrow_reader(_ROWS_AT_ONCE).cast(SCHEMA)
    )


def _unknown(batch: pa.RecordBatch, known: set[bytes]) -> pa.RecordBatch:
    """The rows whose keys are not `known`, which are from now on."""
    wanted = []
    named = zip(*(batch[name].to_pylist() for name in Quarantined.key[:-1]), strict=True)
    for names, content in zip(named, batch["content"], strict=True):
        digest = hashlib.sha256(content.as_buffer()).digest()
        key = hashlib.sha256(repr(names).encode() + digest).digest()
        wanted.append(key not in known)
        known.add(key)
    return batch if all(wanted) else batch.filter(pa.array(wanted, pa.bool_()))
