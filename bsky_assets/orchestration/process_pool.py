"""Days worked on side by side, each worker a process that takes one day after the other.

What a process is given to do comes from outside, and so Dagster is not needed here. A process that
dies fails its day; the next day gets another one.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from datetime import date
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from queue import SimpleQueue
from threading import Lock
from typing import Self

from bsky_assets.contracts.progress import Log

STOP_SECONDS = 60
"""So long a process that is interrupted may take to end its run."""

_spawning = multiprocessing.get_context("spawn")

Work = Callable[[date, Sequence[str]], str | None]
"""Makes assets of a day and says what went wrong, if anything did."""


class ProcessPool:
    """So many workers. Left by an exception, such as an interrupt, they end what is under way."""

    def __init__(self, count: int, work: Work) -> None:
        """Start nothing yet: a process is started with its first day."""
        self._threads = ThreadPoolExecutor(count)
        self._stopping = _spawning.Event()
        self._workers = [_Worker(work, self._stopping) for _ in range(count)]
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        """End the processes; the threads wait for what these answer, and so end last."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._stopping.set()
        for worker in self._workers:
            worker.stop(at_once=raised is not None)
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            worker.wait(deadline)
        self._threads.shutdown()

    def run(
        self, days: Sequence[date], assets: Sequence[str], log: Log, *, one_at_a_time: bool
    ) -> dict[date, str]:
        """Make `assets` of all `days`; returns the days that failed, each with the reason."""
        turn = Lock() if one_at_a_time else nullcontext()
        failed: dict[date, str] = {}

        def one(day: date) -> tuple[date, str | None, float]:
            with turn:
                worker, began = self._free.get(), time.monotonic()
                try:
                    return day, worker.ask(day, assets), time.monotonic() - began
                finally:
                    self._free.put(worker)

        asked = [self._threads.submit(one, day) for day in days]
        for number, answered in enumerate(as_completed(asked), 1):
            day, problem, seconds = answered.result()
            if problem:
                failed[day] = problem
            log(
                f"{day} {'failed' if problem else 'done'}, {seconds:.1f} s; "
                f"{number} of {len(days)} days of {', '.join(assets)}"
            )
        return failed


class _Worker:
    def __init__(self, work: Work, stopping: Event) -> None:
        self._work, self._stopping = work, stopping
        self._process: SpawnProcess | None = None
        self._here: Connection | None = None

    def ask(self, day: date, assets: Sequence[str]) -> str | None:
        """What went wrong with the assets of a day, if anything did."""
        if self._process is None or self._here is None:
            self._here, there = _spawning.Pipe()
            given = (there, self._work, self._stopping)
            self._process = _spawning.Process(target=_serve, args=given)
            self._process.start()
            there.close()
        try:
            self._here.send((day, tuple(assets)))
            answer: str | None = self._here.recv()
        except (EOFError, OSError):
            self._process.join()
            ended, self._process = self._process.exitcode, None
            return f"its process ended with exit status {ended}; was there too little memory?"
        return answer

    def stop(self, *, at_once: bool) -> None:
        """Let the process end: it has nothing left to do, or is interrupted."""
        process = self._process
        if process is None or self._here is None:
            return
        if at_once and process.pid and process.is_alive():
            os.kill(process.pid, signal.SIGINT)
        else:
            self._here.close()

    def wait(self, deadline: float) -> None:
        """Wait for the process to end, and at the deadline (monotonic seconds) end it."""
        if (process := self._process) is None:
            return
        process.join(max(0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


def _serve(there: Connection, work: Work, stopping: Event) -> None:
    """Work on what is asked for, until nobody asks any more."""
    # A terminal interrupts all processes of its group; this one is told by the one that asks.
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # The work may take no notice of an interrupt, as Dagster does while a run begins or ends.
        while not stopping.is_set():
            day, assets = there.recv()
            there.send(work(day, assets))
    except (EOFError, KeyboardInterrupt):
        return
