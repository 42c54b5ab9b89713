"""What it takes to land a day of many posts from an archive: CPU a post, and memory as it grows.

The blocks of a sandbox's archive stand for those of a large one: they are taken in again and again,
each time as another segment, and then landed as one day. Nothing is fetched. Each size is landed in
a process of its own.
Usage: python -m benchmarks.archive_memory [POSTS ...]
"""

import pickle
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa

from benchmarks.measuring import peak_mb, report
from bsky_assets.bluesky.archive.block_rows import Again, read_rows
from bsky_assets.bluesky.archive.ingest import DayIngest
from bsky_assets.bluesky.archive.sheets import Sheets
from bsky_assets.bluesky.collected import archive_segments
from bsky_assets.settings import Settings
from bsky_assets.sync_day import now
from bsky_sandbox.archive import Archive
from bsky_sandbox.server import history_of
from bsky_sandbox.world import World

DAY = date(2026, 3, 8)
EVENTS = 60_000
CHECKSUM = "0" * 16


def make_frames(path: Path) -> None:
    """Not in the process that starts the others: a process has the peak of the one it is of."""
    world = World.generate(0, day=DAY, events=EVENTS)
    segments = Archive(lambda: history_of(world).rows()).segments
    path.write_bytes(pickle.dumps([frame for one in segments for frame in one.frames]))


def blocks(frames: list[bytes]) -> Iterator[tuple[int, pa.RecordBatch]]:
    again = Again()
    for number, frame in enumerate(frames):
        yield number, again.settled(read_rows(frame, "a block"))


def land(path: Path, folder: Path, posts: int) -> tuple[int, float, int]:
    """How many posts were landed, at least as many as asked for, CPU seconds and peak memory."""
    frames = pickle.loads(path.read_bytes())
    settings = Settings(_env_file=None, data_dir=folder, sync_timezone="UTC")
    sheets = Sheets(folder / "index")
    began = time.process_time()
    with archive_segments(settings).collecting() as writer:
        ingest = DayIngest(settings, writer, "sandbox", DAY)
        while ingest.ingested.rows["post"] < posts:
            number = ingest.ingested.segments
            sheet = sheets.write(f"{number}.jss", CHECKSUM, blocks(frames), now(), is_whole=True)
            ingest.add(table for _, table in sheets.between([sheet], 0, 2**62))
        ingest.end()
    seconds = time.process_time() - began
    return ingest.ingested.rows["post"], seconds, peak_mb()


def main(*sizes: int) -> None:
    landed = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "frames"
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(make_frames, path).result()
        for size in sizes or (50_000, 500_000):
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                folder = Path(name) / str(size)
                landed.append(pool.submit(land, path, folder, size).result())
    (fewest, _, least), (most, seconds, peak) = landed[0], landed[-1]
    report(
        "archive_memory",
        ratio=round(peak / least, 2),
        posts=[fewest, most],
        peak_mb=peak,
        peak_mb_of_fewest=least,
        us_a_post=round(seconds / most * 1e6, 1),
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
