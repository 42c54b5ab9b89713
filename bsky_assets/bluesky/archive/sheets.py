"""The local index of an archive: of each block that was fetched, the rows that we take, by time.

A sheet is one Parquet file with what is wanted of some blocks of a segment; its row groups are
sorted by when their rows happened, so that a day is read without the rest, and a block that was
read once need not be fetched again. A row that no time is known of is in the last groups.
What does not belong here: what becomes of the rows.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bsky_assets.bluesky.archive.block_rows import DATED_ROWS
from bsky_assets.bluesky.archive.dating import NOT_DATED
from bsky_assets.storage.files import staged, unique_id

SHEET = DATED_ROWS
FOLDER = "archive"
"""In the data directory; what is in it can be fetched again."""
FETCHED, INDEX = "fetched", "index"
"""Below it, of each archive: blocks that are not taken in yet, and the sheets."""
_GROUP_ROWS = 8_192
_SORTED_BYTES = 96 * 2**20
"""About as many bytes of rows are sorted at a time."""
_REPEATED = ["collection", "kind", "dated_by"]
"""The columns that have few values."""
_KEY = b"bsky_assets.sheet"
_FILE = re.compile(r"[0-9a-z_]+\.jss\.[0-9a-f]{16}\.[0-9a-f]{16}\.parquet")


@dataclass(frozen=True)
class Sheet:
    """What one file has."""

    path: Path
    segment: str
    checksum: str
    """Of the version of the segment that it was made from."""
    blocks: frozenset[int]
    is_whole: bool
    """Whether these are all of the segment."""
    fetched_at: datetime
    undated: int
    """Rows that no time is known of."""


class Sheets:
    """All sheets of one archive."""

    def __init__(self, folder: Path) -> None:
        """Look at the sheets in `folder`."""
        self._folder = folder

    def all(self) -> list[Sheet]:
        """Every sheet that is whole, in the order of their segments."""
        return [_read(path) for path in sorted(self._folder.glob("*.parquet")) if _is_sheet(path)]

    def write(
        self,
        segment: str,
        checksum: str,
        blocks: Iterable[tuple[int, pa.RecordBatch]],
        fetched_at: datetime,
        *,
        is_whole: bool,
    ) -> Sheet:
        """Put the rows of `blocks`, by their numbers, into a new sheet.

        Raises:
            UnusableDataDirectory: the folder cannot be written to.
        """
        target = self._folder / f"{segment}.{checksum}.{unique_id()}.parquet"
        undated = 0
        with (
            staged(target) as path,
            pq.ParquetWriter(path, SHEET, use_dictionary=_REPEATED, compression="lz4") as writer,
        ):
            covered: list[int] = []
            for table in _gathered(covered, blocks):
                undated += pc.sum(pc.equal(table["at"], NOT_DATED)).as_py() or 0
                if table.num_rows:  # a group without rows has no statistics
                    writer.write_table(_sorted(table), row_group_size=_GROUP_ROWS)
            told = {
                "blocks": covered,
                "is_whole": is_whole,
                "fetched_at": fetched_at,
                "undated": undated,
            }
            writer.add_key_value_metadata({_KEY: orjson.dumps(told)})
        return _read(target)

    def rewrite(self, sheet: Sheet, left: Callable[[pa.Table], pa.Table]) -> None:
        """Put what is `left` of each group of rows in the place of a sheet.

        Raises:
            UnusableDataDirectory: the folder cannot be written to.
        """
        with (
            pq.ParquetFile(sheet.path) as file,
            staged(sheet.path) as path,
            pq.ParquetWriter(path, SHEET, compression="zstd", compression_level=1) as writer,
        ):
            writer.add_key_value_metadata({_KEY: file.metadata.metadata[_KEY]})
            for group in range(file.num_row_groups):
                if (rows := left(file.read_row_group(group))).num_rows:
                    writer.write_table(rows, row_group_size=_GROUP_ROWS)

    def between(
        self, sheets: Iterable[Sheet], since: int, until: int
    ) -> Iterator[tuple[Sheet, pa.Table]]:
        """The rows that happened from `since` on and before `until`, group by group."""
        for sheet in sheets:
            with pq.ParquetFile(sheet.path) as file:
                at = file.schema_arrow.get_field_index("at")
                for group in range(file.num_row_groups):
                    bounds = file.metadata.row_group(group).column(at).statistics
                    if bounds is None or bounds.max < since or bounds.min >= until:
                        continue
                    table = file.read_row_group(group)
                    fits = pc.and_(
                        pc.greater_equal(table["at"], since), pc.less(table["at"], until)
                    )
                    if (found := table.filter(fits)).num_rows:
                        yield sheet, found.combine_chunks()


def _gathered(
    covered: list[int], blocks: Iterable[tuple[int, pa.RecordBatch]]
) -> Iterator[pa.Table]:
    """The rows of many blocks together; the blocks' numbers go to `covered`."""
    waiting: list[pa.RecordBatch] = []
    size = 0
    for number, batch in blocks:
        covered.append(number)
        waiting.append(batch)
        size += batch.nbytes
        if size >= _SORTED_BYTES:
            yield pa.Table.from_batches(waiting, SHEET)
            waiting, size = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting, SHEET)


def _sorted(table: pa.Table) -> pa.Table:
    """By when it happened; what was seen live mostly is, to begin with."""
    at = table["at"].to_numpy()
    return table if bool(np.all(at[1:] >= at[:-1])) else table.sort_by("at")


def _is_sheet(path: Path) -> bool:
    return _FILE.fullmatch(path.name) is not None


def _read(path: Path) -> Sheet:
    told = orjson.loads(pq.read_metadata(path).metadata[_KEY])
    segment, _, rest = path.name.partition(".jss.")
    return Sheet(
        path,
        f"{segment}.jss",
        rest.partition(".")[0],
        frozenset(told["blocks"]),
        told["is_whole"],
        datetime.fromisoformat(told["fetched_at"]),
        told["undated"],
    )
