"""Erasing what was deleted for good from what was fetched of an archive and is kept to look in.

There a row is not counted, so it goes with its words. Blocks that a run left behind which ended
in the middle go, too: whoever goes on fetches them again.
"""

from contextlib import suppress
from pathlib import Path
from shutil import rmtree

import duckdb
import numpy as np
import pyarrow as pa

from bsky_assets.bluesky.archive.blocks import UPDATE
from bsky_assets.bluesky.archive.sheets import FETCHED, FOLDER, INDEX, Sheets
from bsky_assets.consolidation.erase import register_gone
from bsky_assets.contracts import RawPostDeletion
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import Segments, StreamInUse

_GONE = f"""
    SELECT file_row_number FROM read_parquet($path, file_row_number = true) AS sheet
    LEFT JOIN gone_records AS gone
        ON gone.uri = 'at://' || sheet.did || '/' || sheet.collection || '/' || sheet.rkey
    WHERE kind <= {UPDATE}
        AND (epoch_us(gone.moment) >= sheet."at" OR sheet.did IN (SELECT did FROM gone_for_good))
"""


def erase_in_fetched(
    con: duckdb.DuckDBPyConnection, lake: Lake, data_dir: Path, segments: Segments
) -> int:
    """Remove rows of posts and accounts that were deleted, below `data_dir`; how many.

    While somebody fetches into `segments` nothing is removed: it is when this is done again.

    Raises:
        UnusableDataDirectory: a file cannot be replaced; those before it are.
    """
    folder = data_dir / FOLDER
    if not folder.exists():
        return 0
    with suppress(StreamInUse), segments.collecting():
        for left in folder.glob(f"*/{FETCHED}"):
            rmtree(left)
        if days := lake.days(RawPostDeletion):
            register_gone(con, lake, days)
            return sum(_erase_in(con, Sheets(index)) for index in folder.glob(f"*/{INDEX}"))
    return 0


def _erase_in(con: duckdb.DuckDBPyConnection, sheets: Sheets) -> int:
    erased = 0
    for sheet in sheets.all():
        found = con.execute(_GONE, {"path": str(sheet.path)}).fetchnumpy()["file_row_number"]
        if not len(found):
            continue
        gone = np.unique(found)
        begun = 0

        def left(rows: pa.Table, gone: np.ndarray = gone) -> pa.Table:
            nonlocal begun
            places = np.arange(begun, begun + rows.num_rows)
            begun += rows.num_rows
            return rows.filter(pa.array(~np.isin(places, gone)))

        sheets.rewrite(sheet, left)
        erased += len(gone)
    return erased
