"""`python -m bsky_assets.launching.partition ASSET DAY`: make one partition, without Dagster.

This is what a job of a cluster runs. It reads the settings from the environment, writes the
partition to the lake, and says so through Dagster Pipes if it was launched by Dagster, and on
standard output otherwise. Exit status 0 for success, 1 for a failure, told in one line.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, open_dagster_pipes

from bsky_assets.console import one_line, tell_retries
from bsky_assets.contracts.progress import Progress, Reporter
from bsky_assets.errors import UserError
from bsky_assets.launching.work import ROWS, make_partition
from bsky_assets.settings import get_settings
from bsky_assets.storage.connection import connect
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import parse_day

_Outcome = Mapping[str, Any]
"""What came of the work: `file` and `rows`, or `error`."""


def _print_progress(progress: Progress) -> None:
    print(progress, file=sys.stderr, flush=True)


def _print_outcome(outcome: _Outcome) -> None:
    if "error" not in outcome:
        print(f"{outcome['rows']:,} rows in {outcome['file']}")


@contextmanager
def _tellers() -> Iterator[tuple[Reporter, Callable[[_Outcome], None]]]:
    """How to tell how far the work is, and its outcome: the run that launched this, or a person."""
    if DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:
        yield _print_progress, _print_outcome
        return
    with open_dagster_pipes() as pipes:
        yield lambda progress: pipes.log.info(str(progress)), pipes.report_custom_message


def partition(
    asset: Annotated[str, typer.Argument(metavar="ASSET", help=f"One of {', '.join(ROWS)}.")],
    day: Annotated[str, typer.Argument(metavar="DAY", help="Sync day: YYYY-MM-DD.")],
) -> None:
    """Make the partition of ASSET on DAY from what the lake holds, without Dagster."""
    if asset not in ROWS:
        raise typer.BadParameter(f"expected one of {', '.join(ROWS)}", param_hint="ASSET")
    with _tellers() as (tell_progress, tell_outcome):
        failed = _make(asset, day, tell_progress, tell_outcome)
    if failed:
        print(f"error: {one_line(failed)}", file=sys.stderr)
        raise typer.Exit(1)


def _make(
    asset: str, day: str, tell_progress: Reporter, tell_outcome: Callable[[_Outcome], None]
) -> str | None:
    """Make the partition and tell what came of it; returns why it could not be made."""
    try:
        made = _made(asset, day, tell_progress)
    except UserError as error:
        line = " ".join(str(error).split())
        tell_outcome({"error": line})
        return line
    except Exception as error:
        tell_outcome({"error": f"{type(error).__name__}: {error}"})
        raise
    tell_outcome({"file": made.path.name, "rows": made.rows})
    return None


def _made(asset: str, day: str, tell_progress: Reporter) -> Partition:
    # A job has what it was given to itself.
    settings = get_settings().model_copy(update={"concurrent_days": 1})
    sync_day, lake = parse_day(day, settings.timezone), Lake.of(settings)
    try:
        with connect(settings) as con:
            return make_partition(con, lake, ROWS[asset], sync_day, settings, tell_progress)
    except UserError as error:
        place = settings.lake_bucket or settings.lake_dir
        raise UserError(f"{error} (the lake is {place}: do all nodes see the same?)") from None


if __name__ == "__main__":
    tell_retries()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(partition)
    app()
