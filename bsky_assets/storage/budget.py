"""How a machine is shared by the sync days that are worked on at a time.

The memory and the cores of the settings are for all of these together. Each has an equal share,
so that what one does never depends on which others run, and takes one of so many slots first.
What does not belong here: how many runs Dagster starts, which its run queue says.
"""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock, Timeout

from bsky_assets.contracts.progress import Log
from bsky_assets.settings import Settings
from bsky_assets.storage.files import make_folder

PYTHON_BYTES = 350_000_000
"""What a run holds besides: Python, Dagster, Arrow and the batches under way."""
WORKER_BYTES = 150_000_000
"""What a worker of the filters holds: its models and the batch that it judges."""
LEAST_DUCKDB_BYTES = 250_000_000
"""With less, DuckDB cannot write a day of wide rows."""
_THREAD_BYTES = 500_000_000
"""What a thread of DuckDB takes to write them without spilling; one alone makes do with less."""
_UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Share:
    """What one day may take."""

    memory: int
    """Bytes, of all its processes together."""
    duckdb_memory: int
    """Bytes of these for DuckDB; beyond them it spills to the disk."""
    threads: int
    """Of DuckDB."""
    workers: int
    """Processes of the filters."""


def slots(settings: Settings) -> int:
    """How many days are worked on at a time: as many as are wanted and have room in memory.

    More than there are cores would only get into each other's way.
    """
    least = PYTHON_BYTES + WORKER_BYTES + LEAST_DUCKDB_BYTES
    return max(1, min(settings.concurrent_days, cores(settings), _memory(settings) // least))


def share(settings: Settings) -> Share:
    count = slots(settings)
    memory = _memory(settings) // count
    # A day seldom keeps every core busy, so together they may ask for twice as many as there are.
    wanted = min(cores(settings), -(-2 * cores(settings) // count))
    room = min(memory // 2, memory - PYTHON_BYTES - LEAST_DUCKDB_BYTES) // WORKER_BYTES
    workers = max(1, min(wanted, room))
    duckdb = max(memory - PYTHON_BYTES - workers * WORKER_BYTES, LEAST_DUCKDB_BYTES)
    return Share(memory, duckdb, max(1, min(wanted, duckdb // _THREAD_BYTES)), workers)


def cores(settings: Settings) -> int:
    """The cores that may be used: those of the settings, or those that this process may run on."""
    if settings.threads:
        return settings.threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def slot(settings: Settings, log: Log) -> Iterator[None]:
    """Hold one of the slots of this machine; the operating system frees it if the process dies.

    `log` hears of it when it has to be waited for.

    Raises:
        UnusableDataDirectory: the data directory cannot be written to.
    """
    folder = settings.data_dir / "slots"
    make_folder(folder)
    name = re.sub(r"\W", "_", socket.gethostname())
    locks = [FileLock(folder / f"{name}-{number}.lock") for number in range(slots(settings))]
    taken = _free(locks)
    if taken is None:
        log(f"waiting: {len(locks)} other days are worked on (BSKY_CONCURRENT_DAYS)")
        while (taken := _free(locks)) is None:
            time.sleep(_LOOK_SECONDS)
    try:
        yield
    finally:
        taken.release()


def _free(locks: list[FileLock]) -> FileLock | None:
    """The first of `locks` that nobody holds, now held."""
    for lock in locks:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        return lock
    return None


def _memory(settings: Settings) -> int:
    number, unit = re.findall(r"[\d.]+|\w+", settings.memory_limit)
    return int(float(number) * _UNITS[unit])
