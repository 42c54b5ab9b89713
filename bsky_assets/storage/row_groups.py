"""Rows of Arrow in a Parquet file, in row groups of one size whatever the size of their batches."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 122_880
ROW_GROUP_BYTES = 16 * 2**20
"""What Arrow writes as a row group is of so many rows, or of so many bytes in memory."""


def write_rows(path: Path, schema: pa.Schema, data: pa.Table | pa.RecordBatchReader) -> None:
    """Write `data`, whose columns are those of `schema`, to the file `path`."""
    batches = data.to_reader() if isinstance(data, pa.Table) else data
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _row_groups(batches):
            writer.write_table(group.cast(schema), row_group_size=ROW_GROUP_ROWS)


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """`batch` in parts that are no larger than a row group, where its rows are about of a size."""
    fitting = max(1, batch.num_rows * ROW_GROUP_BYTES // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, fitting):
        yield batch.slice(start, fitting)


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together as long as they fit: small row groups cost writer and readers."""
    group: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in chain.from_iterable(map(_parts, batches)):
        if group and (
            rows + batch.num_rows > ROW_GROUP_ROWS or size + batch.nbytes > ROW_GROUP_BYTES
        ):
            yield pa.Table.from_batches(group)
            group, rows, size = [], 0, 0
        group.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
    if group:
        yield pa.Table.from_batches(group)
