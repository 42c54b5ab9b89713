"""How the reading of a stream is shown: a bar in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bsky_assets.bluesky.streaming import Limits, StreamReport
from bsky_assets.bluesky.streaming import Progress as StreamProgress
from bsky_assets.console import stderr

TELL_SECONDS = 10
"""How often a line tells of the progress where there is no terminal."""

Show = Callable[[StreamProgress], None]


def report_line(report: StreamReport) -> str:
    """What a reading brought, in a line."""
    rows = ", ".join(f"{count:,} {what}" for what, count in report.rows.items())
    again = f" ({report.again:,} more came again)" if report.again else ""
    return (
        f"{report.stream}: {report.events:,} events{again} in {report.seconds:,.1f} s "
        f"from {report.host}: {rows}, {report.gaps:,} gaps; ended by {report.ended_by}"
    )


@contextmanager
def stream_progress(what: str, limits: Limits | None) -> Iterator[Show]:
    """Show how far a reading is; without limits there is no end to be near to."""
    if not stderr.is_terminal:
        yield _Lines().show
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    )
    total = (limits.max_posts or limits.max_events) if limits else None
    with Progress(*columns, console=stderr, transient=True) as bar:
        tasks = {what: bar.add_task(what, total=total, told="")}

        def show(progress: StreamProgress) -> None:
            if progress.stream not in tasks:
                tasks[progress.stream] = bar.add_task(progress.stream, total=total, told="")
            done = progress.posts if limits and limits.max_posts else progress.events
            bar.update(tasks[progress.stream], completed=done, told=_told(progress))

        yield show


class _Lines:
    """Tells now and then, for logs."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def show(self, progress: StreamProgress) -> None:
        now = time.monotonic()
        if now - self._told.setdefault(progress.stream, now) >= TELL_SECONDS:
            self._told[progress.stream] = now
            stderr.print(f"{progress.stream}: {_told(progress)}", markup=False)


def _told(progress: StreamProgress) -> str:
    lag = "" if progress.lag_seconds is None else f", {progress.lag_seconds:,.0f} s behind"
    return f"{progress.posts:,} posts, {progress.rate:,.0f} events/s{lag}"
