"""A backfill by runs of Dagster, disturbed on the way, against the same made on one machine.

What the benchmarks of the launchers have in common.
"""

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

from dagster import DagsterEventType

from benchmarks.day_posts import Day
from bsky_assets.commands.running import materialize_day
from bsky_assets.contracts import Row
from bsky_assets.launching.work import make_partition
from bsky_assets.orchestration.instance import open_instance
from bsky_assets.settings import get_settings
from bsky_assets.storage.connection import connect
from bsky_assets.storage.lake import Lake
from testbed.lakes import MADE, differences
from testbed.object_storage import lake_in_bucket

FIRST = date(2026, 3, 1)
CONCURRENT_RUNS = 4


@dataclass(frozen=True)
class Outcome:
    """What a backfill came to."""

    seconds: float
    runs: int
    runs_failed: int
    steps_tried_again: int


def arguments(description: str | None) -> argparse.Namespace:
    """What the command line chooses."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--posts", type=int, default=20_000, help="a day")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--s3", action="store_true", help="the lake in a bucket, on loopback")
    parser.add_argument("--folder", type=Path, help="kept; default: a temporary one")
    return parser.parse_args()


@contextmanager
def launched(chosen: argparse.Namespace, launcher: str, data: Path) -> Iterator[dict[str, str]]:
    """The variables with which partitions in `data` are made by jobs of `launcher`."""
    variables = {"BSKY_DATA_DIR": str(data), "BSKY_LAUNCHER": launcher}
    if not chosen.s3:
        yield variables
        return
    with lake_in_bucket(data / "lake") as bucket:
        shutil.rmtree(data / "lake")
        keys = ",".join(name for name in bucket if name.startswith("AWS_"))
        yield {**variables, **bucket, "BSKY_SLURM_EXPORT": keys}


@contextmanager
def folder_of(chosen: argparse.Namespace) -> Iterator[Path]:
    if chosen.folder:
        yield chosen.folder.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="launch-") as name:
        yield Path(name)


def days(count: int) -> list[date]:
    return [FIRST + timedelta(days=number) for number in range(count)]


def lay_down(data: Path, count: int, posts: int) -> None:
    """Write the raw partitions of all days."""
    for day in days(count):
        Day(posts, day).lay_down(Lake(data / "lake"))


@contextmanager
def in_force(variables: dict[str, str]) -> Iterator[None]:
    """Have `variables` in the environment, and settings that are read from it."""
    before = dict(os.environ)
    os.environ.update(variables)
    get_settings.cache_clear()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        get_settings.cache_clear()


def make_here(data: Path, count: int) -> float:
    """Make the partitions in this process, one after the other; returns the seconds."""
    started = time.monotonic()
    with in_force({"BSKY_DATA_DIR": str(data)}):
        settings = get_settings()
        for row in MADE:
            for day in days(count):
                with connect(settings) as con:
                    lake = Lake(settings.lake_dir)
                    make_partition(con, lake, row, day, settings, lambda _: None)
    return time.monotonic() - started


def backfill(count: int, disturb: Callable[[Lake], bool]) -> Outcome:
    """Make all days by runs of Dagster, so many at a time; `disturb` has its say each second.

    Each run is what `bsky-assets materialize` does, in worker processes that are kept, as a
    daemon's would cost more than the work.
    """
    settings = get_settings()
    lake = Lake.of(settings)
    started = time.monotonic()
    failed: list[str] = []
    with (
        open_instance(settings) as instance,
        ProcessPoolExecutor(CONCURRENT_RUNS, mp_context=get_context("spawn")) as pool,
    ):
        disturbed = False
        for row in MADE:  # a day looks back on what was consolidated before
            waiting = {pool.submit(_run, day, row.asset) for day in days(count)}
            while waiting:
                disturbed = disturbed or disturb(lake)
                done, waiting = wait(waiting, timeout=1)
                failed += [str(run.exception()) for run in done if run.exception()]
        runs = instance.get_runs()
        again = sum(
            len(instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_UP_FOR_RETRY))
            for run in runs
        )
    for problem in failed:
        print(f"failed: {problem}")
    seconds = round(time.monotonic() - started, 1)
    return Outcome(seconds, len(runs), len(failed), again)


def _run(day: date, asset: str) -> None:
    with open_instance(get_settings()) as instance:
        materialize_day(instance, day, asset)


def rows_of(lake: Lake, row: type[Row], count: int) -> int:
    """All rows of an asset."""
    return sum(found.rows for day in days(count) if (found := lake.current(row, day)))


def report(name: str, here: Path, chosen: argparse.Namespace, outcome: Outcome) -> int:
    """Compare the lake of the settings with the one in `here` and print what came of it.

    The last line is one of JSON. Returns the exit status.
    """
    count, there = chosen.days, Lake.of(get_settings())
    rows = {row.asset: rows_of(there, row, count) for row in MADE}
    differing = {
        row.asset: differences(Lake(here / "lake"), there, row, days(count)) for row in MADE
    }
    for asset, number in rows.items():
        print(f"{asset}: {number:,} rows, {differing[asset]:,} differ from one machine's")
    print(
        f"{count} days: {outcome.seconds:.0f} s, {outcome.runs} runs, {outcome.runs_failed} of "
        f"them failed, {outcome.steps_tried_again} steps tried again"
    )
    peak = max(resource.getrusage(who).ru_maxrss for who in (0, resource.RUSAGE_CHILDREN))
    print(
        json.dumps(
            {
                "name": name, "days": count, "posts_a_day": chosen.posts, "s3": chosen.s3,
                **asdict(outcome), "rows": rows, "rows_that_differ": differing,
                "peak_memory_mb": peak // 1024,
            }
        )
    )  # fmt: skip
    return (
        0 if not outcome.runs_failed and not any(differing.values()) and all(rows.values()) else 1
    )


def prepare(folder: Path, count: int, posts: int) -> tuple[Path, Path]:
    """Two data directories with the same raw partitions, in one of which all is made.

    In a folder that was kept that one is used again.
    """
    here, raw, there = folder / "here", folder / "raw", folder / "there"
    if not raw.exists():
        lay_down(here, count, posts)
        shutil.copytree(here, raw)
        print(f"{count} days of {posts:,} posts; one after the other on one machine: ", end="")
        print(f"{make_here(here, count):.0f} s", flush=True)
    shutil.rmtree(there, ignore_errors=True)
    shutil.copytree(raw, there)
    return here, there
