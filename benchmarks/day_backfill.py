"""A backfill of many days: one at a time, two, and as many as there are, all to the same rows.

Each is `bsky-assets materialize` of consolidated and filtered posts over the same generated days,
from nothing. One at a time is what a single run for all days would be: one process, every core.
Usage: python -m benchmarks.day_backfill [--days 14] [--posts 200000] [--at-a-time 1 2 14]
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from zlib import crc32

import duckdb
from dagster import DagsterInstance, DagsterRunStatus

from benchmarks.day_posts import DAY, laid_down
from benchmarks.day_scale import BOTH, CACHE, Watcher, compiled
from benchmarks.measuring import of_children, report
from bsky_assets.contracts import ConsolidatedPost, FilteredPost, Row
from bsky_assets.storage.lake import Lake

MADE_AT: dict[type[Row], str] = {
    ConsolidatedPost: "metadata",
    FilteredPost: "metadata, filtered_at, preprocessing_timestamp",
}
"""The columns that tell when a row was made; all others must be the same."""


KINDS = ("wall_seconds", "cpu_seconds")


def run(folder: Path, days: int, at_a_time: int, memory: str) -> dict[str, object]:
    """Materialise all days, so many at a time; what it took, and a checksum of what came out."""
    for name in ("dagster", "slots", "lake/consolidated_posts", "lake/filtered_posts"):
        shutil.rmtree(folder / name, ignore_errors=True)
    environment = compiled() | {
        "BSKY_DATA_DIR": str(folder),
        "BSKY_MEMORY_LIMIT": memory,
        "BSKY_CONCURRENT_DAYS": str(at_a_time),
    }
    last = DAY + timedelta(days=days - 1)
    command = [
        *(sys.executable, "-m", "bsky_assets", "materialize", "--select", BOTH),
        *("--day", str(DAY), "--to", str(last)),
    ]
    before, began = of_children(), time.monotonic()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    watcher = Watcher(process.pid, folder / "spill")
    _, said = process.communicate()
    wall = time.monotonic() - began
    watcher.stop()
    if process.returncode:
        raise SystemExit(f"{at_a_time} at a time: {said}")
    return {
        "at_a_time": at_a_time,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(of_children() - before, 1),
        "peak_memory_mb": round(watcher.peak / 1e6),
        "lock_errors": said.lower().count("lock"),
        **_runs(folder),
        "checksum": _checksum(folder),
    }


def _runs(folder: Path) -> dict[str, int]:
    os.environ["DAGSTER_HOME"] = str(folder / "dagster")
    os.environ["BSKY_DATA_DIR"] = str(folder)
    with DagsterInstance.get() as instance:
        runs = instance.get_runs()
    return {
        "runs": len(runs),
        "not_succeeded": sum(one.status is not DagsterRunStatus.SUCCESS for one in runs),
        "retries": sum("dagster/retry_number" in one.tags for one in runs),
    }


def _checksum(folder: Path) -> int:
    """The same for the same rows, whatever their order."""
    lake = Lake(folder / "lake")
    sums = []
    with duckdb.connect() as con:
        for row in MADE_AT:
            for day in lake.days(row):
                lake.relation(con, row, [day]).create_view("stored", replace=True)
                rows = f"(SELECT * EXCLUDE ({MADE_AT[row]}) FROM stored)"
                sums += con.sql(f"SELECT sum(hash(one)), count(*) FROM {rows} AS one").fetchall()
    return crc32(str(sums).encode())


def _ratios(figures: list[float]) -> list[float]:
    """Each as a multiple of the least."""
    return [round(figure / min(figures), 2) for figure in figures]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--posts", type=int, default=200_000)
    parser.add_argument("--memory", default="12GB")
    parser.add_argument("--at-a-time", type=int, nargs="+", default=[1, 2, 14])
    given = parser.parse_args()
    folder = CACHE / f"days_{given.posts}"
    laid_down(folder / "lake", given.posts, given.days)
    found = []
    for at_a_time in given.at_a_time:
        found.append(run(folder, given.days, at_a_time, given.memory))
        print(", ".join(f"{name} {value}" for name, value in found[-1].items()), flush=True)
    if len({one["checksum"] for one in found}) > 1:
        raise SystemExit("not the same rows")
    ratios = {kind: _ratios([float(str(one[kind])) for one in found]) for kind in KINDS}
    report(
        "day_backfill",
        ratio=max(ratios["wall_seconds"]),
        ratios_of_the_best=ratios,
        peak_memory_mb=max(int(str(one["peak_memory_mb"])) for one in found),
        days=given.days,
        posts_a_day=given.posts,
        memory_limit=given.memory,
        backfills=found,
    )


if __name__ == "__main__":
    main()
