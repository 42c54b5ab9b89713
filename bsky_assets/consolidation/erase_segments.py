"""Erasing the words of what was deleted for good from segments that are still there.

Partitions have taken most of them in, and they go hours later; the last two of a stream stay. A
collector only adds segments, so that one that is there can be replaced while it runs.
"""

from datetime import timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.consolidation.erase import TOUCHED, register_gone
from bsky_assets.contracts import Quarantined, RawFirehosePost, RawPostDeletion, Row
from bsky_assets.storage.damage import is_damage
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import COLUMN_OF, Segment, Segments
from bsky_assets.sync_day import LOOK_BACK_DAYS


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
    return sum(_erase_in(con, segment) for day in days for segment in segments.of_day(day))


def _erase_in(con: duckdb.DuckDBPyConnection, segment: Segment) -> int:
    try:
        groups = segment.groups()
    except FileNotFoundError:
        return 0  # it has been taken in, and has gone
    except Exception as error:
        if is_damage(error):
            return 0
        raise
    erased = 0
    for at, group in enumerate(groups):
        for row in (RawFirehosePost, Quarantined):
            gone = _gone(con, row, group)
            if gone.any():
                erased += int(gone.sum())
                groups[at] = _without(group, row, gone)
    if erased:
        segment.replace(groups)
    return erased


def _gone(con: duckdb.DuckDBPyConnection, row: type[Row], group: pa.Table) -> np.ndarray:
    """Which rows of `group` are rows of `row` about what is gone."""
    column = group[COLUMN_OF[row]].combine_chunks()
    gone = np.zeros(len(column), bool)
    if column.null_count == len(column):
        return gone
    rows = pa.Table.from_struct_array(column)
    con.register("in_segment", rows.append_column("number", pa.array(np.arange(len(column)))))
    con.execute("CREATE OR REPLACE TEMP VIEW erasing AS FROM in_segment")
    found = con.sql(f"SELECT DISTINCT number FROM ({TOUCHED[row]})").to_arrow_table()
    con.execute("DROP VIEW erasing")
    con.unregister("in_segment")
    gone[found["number"].to_numpy()] = True
    return gone


def _without(group: pa.Table, row: type[Row], gone: np.ndarray) -> pa.Table:
    """`group` with the record, or the bytes, of the rows that are `gone` left out."""
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
