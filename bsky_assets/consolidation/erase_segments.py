"""Erasing the words of what was deleted for good from segments that are still there.

Partitions have taken most of them in, and they go hours later; the last two of a stream stay. A
collector only adds segments, so that one that is there can be replaced while it runs.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.consolidation.erase import TOUCHED, register_gone
from bsky_assets.consolidation.erase_quarantine import register_about
from bsky_assets.contracts import Quarantined, RawFirehosePost, RawPostDeletion, Row
from bsky_assets.storage.damage import is_damage
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import COLUMN_OF, Segment, Segments
from bsky_assets.sync_day import LOOK_BACK_DAYS

WITH_WORDS: tuple[type[Row], ...] = (RawFirehosePost, Quarantined)
"""What of a segment has words of posts."""


def erase_in_segments(con: duckdb.DuckDBPyConnection, lake: Lake, segments: Segments) -> int:
    """Erase the words of posts that were deleted for good; returns how many rows lost theirs.

    Rows, footers and times of files stay, so that nothing is taken in again. A segment that
    cannot be read is passed over.

    Raises:
        UnusableDataDirectory: a segment cannot be replaced; those before it are.
    """
    days = segments.days()
    since = days[0] - timedelta(days=LOOK_BACK_DAYS) if days else None
    deletions = [day for day in lake.days(RawPostDeletion) if since and day >= since]
    if not deletions:
        return 0
    register_gone(con, lake, deletions)
    return _erase_registered(con, segments)


def _erase_registered(con: duckdb.DuckDBPyConnection, segments: Segments) -> int:
    """Erase the words of what `register_gone` has named; returns how many rows lost theirs.

    Raises:
        UnusableDataDirectory: a segment cannot be replaced; those before it are.
    """
    with segments.replacing() as folder:
        return sum(
            _erase_in(con, segment, folder)
            for day in segments.days()
            for segment in segments.of_day(day)
        )


def _erase_in(con: duckdb.DuckDBPyConnection, segment: Segment, folder: Path) -> int:
    """A row group is held at a time, whatever the segment holds."""
    try:
        groups = segment.groups([COLUMN_OF[row] for row in WITH_WORDS])
        gone = [{row: _gone(con, row, group) for row in WITH_WORDS} for group in groups]
        erased = sum(int(rows.sum()) for of_group in gone for rows in of_group.values())
        if erased:
            whole = zip(segment.groups(), gone, strict=True)
            segment.replace((_without(group, of_group) for group, of_group in whole), folder)
    except Exception as error:
        if is_damage(error):  # or it has been taken in, and has gone
            return 0
        raise
    return erased


def _gone(con: duckdb.DuckDBPyConnection, row: type[Row], group: pa.Table) -> np.ndarray:
    """Which rows of `group` are rows of `row` about what is gone."""
    column = group[COLUMN_OF[row]].combine_chunks()
    gone = np.zeros(len(column), bool)
    if column.null_count == len(column):
        return gone
    rows = pa.Table.from_struct_array(column)
    if row is Quarantined:
        register_about(con, rows.to_batches())
        found = con.sql("SELECT number - 1 AS number FROM touched").to_arrow_table()
    else:
        con.register("in_segment", rows.append_column("number", pa.array(np.arange(len(column)))))
        con.execute("CREATE OR REPLACE TEMP VIEW erasing AS FROM in_segment")
        found = con.sql(f"SELECT DISTINCT number FROM ({TOUCHED[row]})").to_arrow_table()
        con.execute("DROP VIEW erasing")
        con.unregister("in_segment")
    gone[found["number"].to_numpy()] = True
    return gone


def _without(group: pa.Table, gone: Mapping[type[Row], np.ndarray]) -> pa.Table:
    """`group` with the record, or the bytes, of the rows that are `gone` left out."""
    for row, rows in gone.items():
        if rows.any():
            group = _without_words(group, row, rows)
    return group


def _without_words(group: pa.Table, row: type[Row], gone: np.ndarray) -> pa.Table:
    name = COLUMN_OF[row]
    column = group[name].combine_chunks()
    words = "content" if row is Quarantined else "record"
    parts = {part.name: values for part, values in zip(column.type, column.flatten(), strict=True)}
    if row is Quarantined:
        parts[words] = pc.if_else(pa.array(gone), b"", parts[words])
    else:
        parts[words] = parts[words].take(pa.array(np.arange(len(gone)), mask=gone))
    rebuilt = pa.StructArray.from_arrays(
        list(parts.values()), fields=list(column.type), mask=column.is_null()
    )
    place = group.schema.get_field_index(name)
    return group.set_column(place, group.schema.field(place), rebuilt)
