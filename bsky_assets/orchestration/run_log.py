"""What a person in a terminal sees of a run: a line for what matters, and nothing of Dagster's.

In the UI and in other processes runs log as Dagster's runs do (`console`).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dagster import (
    DagsterEvent,
    DagsterEventType,
    InitLoggerContext,
    LoggerDefinition,
    colored_console_logger,
)
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bsky_assets.console import echo_err, silence, stderr
from bsky_assets.contracts.progress import Log

_tell: ContextVar[Log] = ContextVar("tell", default=echo_err)

console = colored_console_logger
"""Dagster's own logger, for runs that are started from the UI."""


def _plain_lines(_: InitLoggerContext) -> logging.Logger:
    lines = logging.Logger("bsky_assets.plain_lines", logging.DEBUG)
    lines.addHandler(_Lines())
    return lines


plain_lines = LoggerDefinition(
    _plain_lines,
    description="A line for each asset that is done or failed, and for what assets say.",
)
"""The logger of runs that are started from the command line."""

PLAIN_LINES: dict[str, Any] = {"loggers": {"plain_lines": {}}}
"""Run configuration with that logger alone."""


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if line := _line(record):
            _tell.get()(line)


def _line(record: logging.LogRecord) -> str | None:
    metadata = getattr(record, "dagster_meta", {})
    event = getattr(record, "dagster_event", None)
    step = metadata.get("step_key") or ""
    if event is None:
        return f"{step}: {metadata.get('orig_message', record.getMessage())}"
    return _event_line(event, step)


def _event_line(event: DagsterEvent, step: str) -> str | None:
    if event.event_type is DagsterEventType.STEP_START:
        silence.doing(step)
        return f"{step} …"
    if event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
        metadata = event.step_materialization_data.materialization.metadata
        rows = metadata.get("dagster/partition_row_count")
        seconds = metadata.get("seconds")
        counted = f"{rows.value:,} rows, " if rows and isinstance(rows.value, int) else ""
        return f"{step}: {counted}{seconds.value if seconds else '?'} s"
    if event.event_type is DagsterEventType.STEP_FAILURE:
        return f"{step} failed: {failure_reason(event)}"
    return None


def failure_reason(event: DagsterEvent) -> str:
    """Why a step failed, in a line: what the asset says of it, or the error at the bottom of it."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error and error.cause:
        error = error.cause
    return error.message.strip() if error else "no reason is known"


@contextmanager
def lines_of(name: str) -> Iterator[None]:
    """Show a run among others: each line begins with its name."""
    token = _tell.set(lambda line: echo_err(f"{name} {line}"))
    try:
        yield
    finally:
        _tell.reset(token)


@contextmanager
def run_progress(assets: int) -> Iterator[None]:
    """Show a run of so many assets: a bar in a terminal, lines elsewhere."""
    if not stderr.is_terminal:
        yield
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
    )
    with bar:
        task = bar.add_task("starting", total=assets)

        def tell(line: str) -> None:
            bar.update(task, description=line.replace("[", r"\["))
            if line.endswith(" s") or " failed: " in line:
                bar.console.print(line, markup=False)
                bar.advance(task)

        token = _tell.set(tell)
        try:
            yield
        finally:
            _tell.reset(token)
