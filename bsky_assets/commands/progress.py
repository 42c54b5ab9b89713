"""How work is shown while it goes on: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from bsky_assets.console import echo_err, stderr
from bsky_assets.contracts.progress import Progress

if TYPE_CHECKING:
    from bsky_assets.bluesky.streaming import StreamReport
    from bsky_assets.contracts.progress import Reporter

TELL_SECONDS = 10
"""How often a line tells of the progress where there is no terminal."""


def report_line(report: StreamReport) -> str:
    """What a reading brought, in a line."""
    rows = ", ".join(f"{count:,} {what}" for what, count in report.rows.items())
    again = f" ({report.again:,} more came again)" if report.again else ""
    return (
        f"{report.stream}: {report.events:,} events{again} in {report.seconds:,.1f} s "
        f"from {report.host}: {rows}, {report.gaps:,} gaps; ended by {report.ended_by}"
    )


@contextmanager
def shown() -> Iterator[Reporter]:
    """Show how far each piece of work is that is told of."""
    if not stderr.is_terminal:
        yield _Lines().show
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=stderr, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(progress: Progress) -> None:
            if progress.what not in tasks:
                tasks[progress.what] = bars.add_task(progress.what, told="")
            bars.update(
                tasks[progress.what],
                completed=progress.done,
                total=progress.total,
                told=progress.note or f"{progress.done:,} {progress.unit}",
            )

        yield show


class _Lines:
    """Tells now and then, and when all is done; for logs."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        since = now - self._told.setdefault(progress.what, now)
        if since >= TELL_SECONDS or progress.done == progress.total:
            self._told[progress.what] = now
            echo_err(progress)
