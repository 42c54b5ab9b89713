"""What a day of posts costs, from raw partitions to filtered posts, and what of it is the floor.

The floor is DuckDB reading the consolidated posts and writing them again, same columns and
compression. Every part is a process of its own over the same generated day, all in one run; CPU
time is that of the process and its workers, memory the sum of what they hold at once.
The day is kept in the folder for temporary files, to be measured again, until you delete it.
Usage: python -m benchmarks.day_scale [POSTS …] [--memory 2GB]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.day_posts import DAY, laid_down
from benchmarks.measuring import of_children, report

CACHE = Path(tempfile.gettempdir()) / "bsky_assets_benchmarks"
BOTH = 'key:"consolidated_posts" or key:"filtered_posts"'


def floor(folder: Path) -> None:
    """Read the consolidated posts and write them, with DuckDB and nothing else."""
    from bsky_assets.contracts import ConsolidatedPost
    from bsky_assets.settings import get_settings
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.lake import Lake
    from bsky_assets.storage.row_groups import ROW_GROUP_ROWS
    from bsky_assets.storage.sql import read_parquet

    partition = Lake(folder / "lake").current(ConsolidatedPost, DAY)
    assert partition is not None
    with connect(get_settings()) as con:
        con.execute(
            f"COPY (FROM {read_parquet([partition.path])}) "
            f"TO '{folder / 'floor.parquet'}' "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
        )
    (folder / "floor.parquet").unlink()


def consolidate(folder: Path) -> None:
    """The consolidated posts, by the function that the asset calls."""
    from bsky_assets.consolidation.consolidate import consolidate_day
    from bsky_assets.settings import get_settings
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.lake import Lake

    with connect(get_settings()) as con:
        consolidate_day(con, Lake(folder / "lake"), DAY)


def filters(folder: Path) -> None:
    """The filtered posts, by the function that the asset calls."""
    from bsky_assets.filters.chain import filter_day
    from bsky_assets.settings import get_settings
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    with connect(settings) as con:
        filter_day(con, Lake(folder / "lake"), DAY, settings)


def through_dagster(_: Path) -> None:
    """Both assets as a person materialises them."""
    command = ["-m", "bsky_assets", "materialize", "--day", str(DAY), "--select", BOTH]
    os.execv(sys.executable, [sys.executable, *command])


PARTS: dict[str, Callable[[Path], None]] = {
    "consolidated_posts": consolidate,
    "floor": floor,
    "filtered_posts": filters,
    "through Dagster": through_dagster,
}


@dataclass
class Cost:
    """What one process and its children took."""

    wall: float
    cpu: float
    peak: float
    """Bytes of memory held at once, at most."""
    spilled: float
    """Bytes on the disk of what did not fit into memory, at most."""


def compiled() -> dict[str, str]:
    """The environment, with Python's bytecode kept, as it is wherever a package is installed."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(CACHE / "bytecode")}


def measure(part: str, folder: Path, memory: str) -> Cost:
    """Run `part` in a process of its own, and watch it."""
    environment = compiled() | {
        "BSKY_DATA_DIR": str(folder),
        "BSKY_MEMORY_LIMIT": memory,
        "BSKY_CONCURRENT_DAYS": "1",
    }
    shutil.rmtree(folder / "spill", ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.day_scale", "--part", part, str(folder)]
    before = of_children()
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    watcher = Watcher(process.pid, folder / "spill")
    _, errors = process.communicate()
    wall = time.monotonic() - began
    watcher.stop()
    if process.returncode:
        raise SystemExit(f"{part} failed: {errors}")
    return Cost(wall, of_children() - before, watcher.peak, watcher.spilled)


class Watcher(threading.Thread):
    """Looks twice a second at the memory of a process and its children, and at its spill."""

    def __init__(self, pid: int, spill: Path) -> None:
        super().__init__(daemon=True)
        self.peak = self.spilled = 0.0
        self._pid, self._spill, self._done = pid, spill, threading.Event()
        self.start()

    def stop(self) -> None:
        """Look no longer."""
        self._done.set()
        self.join()

    def run(self) -> None:
        """Look until stopped."""
        whole = psutil.Process(self._pid)
        while not self._done.wait(0.5):
            try:
                family = [whole, *whole.children(recursive=True)]
                self.peak = max(self.peak, sum(one.memory_full_info().pss for one in family))
                spilled = sum(path.stat().st_size for path in self._spill.glob("*"))
                self.spilled = max(self.spilled, spilled)
            except (psutil.Error, OSError):
                continue


def one_day(posts: int, memory: str) -> dict[str, float]:
    """Every part over a day of so many posts; what they cost."""
    folder = CACHE / f"day_{posts}"
    laid_down(folder / "lake", posts)
    _warm_up(memory)
    costs = {part: measure(part, folder, memory) for part in PARTS}
    bare = costs["floor"].cpu
    print(f"{posts:,} posts, memory limit {memory}")
    for part, cost in costs.items():
        print(
            f"  {part:18} {cost.wall:6.1f} s, {cost.cpu:6.1f} CPU s = {cost.cpu / bare:.2f} of "
            f"the floor, {cost.peak / 1e6:5,.0f} MB at most, {cost.spilled / 1e6:,.0f} MB spilled"
        )
    direct = [costs["consolidated_posts"], costs["filtered_posts"]]
    _forget_results(folder)
    return {
        "posts": posts,
        "floor_cpu_seconds": round(bare, 2),
        "consolidated": round(direct[0].cpu / bare, 2),
        "consolidated_and_filtered": round(sum(cost.cpu for cost in direct) / bare, 2),
        "cpu_microseconds_a_post": round(sum(cost.cpu for cost in direct) / posts * 1e6, 1),
        "direct_wall_seconds": round(sum(cost.wall for cost in direct), 1),
        "dagster_wall_seconds": round(costs["through Dagster"].wall, 1),
        "peak_memory_mb": round(max(cost.peak for cost in costs.values()) / 1e6),
        "spilled_mb": round(max(cost.spilled for cost in costs.values()) / 1e6),
    }


def _warm_up(memory: str) -> None:
    """Let Python keep the bytecode of all that the parts import."""
    folder = CACHE / "day_1000"
    laid_down(folder / "lake", 1000)
    for part in PARTS:
        measure(part, folder, memory)


def _forget_results(folder: Path) -> None:
    for name in ("consolidated_posts", "filtered_posts"):
        shutil.rmtree(folder / "lake" / name)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("posts", nargs="*", type=int, default=[1_000_000])
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--part", nargs=2)
    given = parser.parse_args()
    if given.part:
        PARTS[given.part[0]](Path(given.part[1]))
        return
    days = [one_day(posts, given.memory) for posts in given.posts]
    report(
        "day_scale",
        ratio=days[-1]["consolidated_and_filtered"],
        memory_limit=given.memory,
        peak_memory_mb=max(day["peak_memory_mb"] for day in days),
        days=days,
    )


if __name__ == "__main__":
    main()
