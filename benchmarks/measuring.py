"""What benchmarks measure alike, and how each tells what it found: in a last line of JSON."""

import json
import resource
import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def report(name: str, **figures: object) -> None:
    """Print the line."""
    print(json.dumps({"name": name, **figures}), flush=True)


def peak_mb(who: int = resource.RUSAGE_SELF) -> int:
    """The most memory that this process has held, or the largest of its children that ended."""
    return round(resource.getrusage(who).ru_maxrss / 1024)


def cpu_seconds(work: Callable[[], _T]) -> tuple[float, _T]:
    """CPU seconds that it takes, of all threads, and what it gives."""
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def of_children() -> float:
    """CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def children_cpu_seconds(work: Callable[[], _T]) -> tuple[float, _T]:
    """CPU seconds of the processes that it starts and waits for, and what it gives."""
    started = of_children()
    found = work()
    return of_children() - started, found
