"""`python -m bsky_assets.launching.partition ASSET DAY`: make one partition, without Dagster.

This is what a job of a cluster runs. It reads the settings from the environment, writes the
partition to the lake, and says so through Dagster Pipes if it was launched by Dagster, and on
standard output otherwise. Exit status 0 for success, 1 for a failure, told in one line.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Protocol

import typer
from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, PipesContext, open_dagster_pipes

from bsky_assets.console import one_line, tell_retries
from bsky_assets.contracts.progress import Progress
from bsky_assets.errors import UserError
from bsky_assets.launching.work import ROWS, make_partition
from bsky_assets.settings import get_settings
from bsky_assets.storage.connection import connect
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import parse_day


class Reporter(Protocol):
    """Who is told how the work goes."""

    def progress(self, progress: Progress) -> None:
        """How far it is."""

    def outcome(self, outcome: Mapping[str, Any]) -> None:
        """What came of it: `file` and `rows`, or `error`."""


class _Dagster:
    """The run that launched this."""

    def __init__(self, pipes: PipesContext) -> None:
        self._pipes = pipes

    def progress(self, progress: Progress) -> None:
        self._pipes.log.info(str(progress))

    def outcome(self, outcome: Mapping[str, Any]) -> None:
        self._pipes.report_custom_message(dict(outcome))


class _Person:
    """Whoever reads the output."""

    def progress(self, progress: Progress) -> None:
        print(progress, file=sys.stderr, flush=True)

    def outcome(self, outcome: Mapping[str, Any]) -> None:
        if "error" not in outcome:
            print(f"{outcome['rows']:,} rows in {outcome['file']}")


@contextmanager
def _reporter() -> Iterator[Reporter]:
    if DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:
        yield _Person()
        return
    with open_dagster_pipes() as pipes:
        yield _Dagster(pipes)


def partition(
    asset: Annotated[str, typer.Argument(metavar="ASSET", help=f"One of {', '.join(ROWS)}.")],
    day: Annotated[str, typer.Argument(metavar="DAY", help="Sync day: YYYY-MM-DD.")],
) -> None:
    """Make the partition of ASSET on DAY from what the lake holds, without Dagster."""
    if asset not in ROWS:
        raise typer.BadParameter(f"expected one of {', '.join(ROWS)}", param_hint="ASSET")
    with _reporter() as reporter:
        failed = _make(asset, day, reporter)
    if failed:
        print(f"error: {one_line(failed)}", file=sys.stderr)
        raise typer.Exit(1)


def _make(asset: str, day: str, reporter: Reporter) -> str | None:
    """Make the partition and tell what came of it; returns why it could not be made."""
    try:
        made = _made(asset, day, reporter)
    except UserError as error:
        line = " ".join(str(error).split())
        reporter.outcome({"error": line})
        return line
    except Exception as error:
        reporter.outcome({"error": f"{type(error).__name__}: {error}"})
        raise
    reporter.outcome({"file": made.path.name, "rows": made.rows})
    return None


def _made(asset: str, day: str, reporter: Reporter) -> Partition:
    # A job has what it was given to itself.
    settings = get_settings().model_copy(update={"concurrent_days": 1})
    sync_day, lake = parse_day(day, settings.timezone), Lake.of(settings)
    try:
        with connect(settings) as con:
            return make_partition(con, lake, ROWS[asset], sync_day, settings, reporter.progress)
    except UserError as error:
        place = settings.lake_bucket or settings.lake_dir
        raise UserError(f"{error} (the lake is {place}: do all nodes see the same?)") from None


if __name__ == "__main__":
    tell_retries()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(partition)
    app()
