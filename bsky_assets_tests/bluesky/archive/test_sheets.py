"""The local index of an archive: what it costs to write."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow as pa

from bsky_assets.bluesky.archive import sheets
from bsky_assets.bluesky.archive.block_rows import DATED_ROWS
from bsky_assets.bluesky.archive.sheets import Sheets
from bsky_assets.sync_day import now


def steps_to_write(folder: Path, blocks: int) -> int:
    """How often the code of sheets calls, is called or returns while so many blocks are written."""
    empty = pa.RecordBatch.from_pylist([], schema=DATED_ROWS)
    steps = 0

    def count(frame: FrameType, *_: Any) -> None:
        nonlocal steps
        steps += frame.f_code.co_filename == sheets.__file__

    written = Sheets(folder)
    told = ((number, empty) for number in range(blocks))
    sys.setprofile(count)
    try:
        written.write("seg_0000000000.jss", "0" * 16, told, now(), is_whole=True)
    finally:
        sys.setprofile(None)
    return steps


def test_what_a_sheet_costs_grows_with_its_blocks_and_not_with_their_square(tmp_path: Path) -> None:
    few, many = (steps_to_write(tmp_path, blocks) for blocks in (200, 800))
    assert many < 5 * few
