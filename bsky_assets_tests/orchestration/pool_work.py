"""What a process pool is given to do in the tests: nothing that takes long to import."""

import atexit
import os
import signal
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

DAYS = [date(2026, 3, 8) + timedelta(days=number) for number in range(4)]
DIES, FAILS = DAYS[1:3]


def work(folder: Path, day: date, assets: Sequence[str]) -> str | None:
    """Note the day; its process dies on one of them, another fails."""
    with (folder / "done").open("a") as done:
        done.write(f"{day} {','.join(assets)} {os.getpid()}\n")
    if day == DIES:
        os.kill(os.getpid(), signal.SIGKILL)
    return "no posts" if day == FAILS else None


def waits_for_another(folder: Path, day: date, assets: Sequence[str]) -> str | None:
    """Done once another day is worked on at the same time."""
    (folder / str(day)).touch()
    until = time.monotonic() + 200
    while len(list(folder.iterdir())) < 2:
        if time.monotonic() > until:
            return "alone"
        time.sleep(0.02)
    return None


def takes_no_notice(folder: Path, day: date, assets: Sequence[str]) -> str | None:
    """Goes on where it is interrupted, and notes that its process came to its own end."""
    atexit.register((folder / "ended").touch)
    try:
        (folder / "begun").touch()
        time.sleep(60)
    except KeyboardInterrupt:
        pass
    return None
