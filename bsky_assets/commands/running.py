"""Sync days materialised through Dagster, without its UI, and told in a terminal.

What belongs here: runs in this process, and backfills in processes of their own. What does not:
options of commands.
"""

import re
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import typer
from dagster import (
    AssetCheckSeverity,
    AssetKey,
    AssetSelection,
    BetaWarning,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    ExecuteInProcessResult,
    RunsFilter,
)
from dagster._core.definitions.asset_selection import DagsterInvalidAssetSelectionError
from dagster._core.errors import DagsterExecutionInterruptedError, DagsterInvalidSubsetError

from bsky_assets.console import echo_err, silence, tell_retries
from bsky_assets.contracts.lineage import meant
from bsky_assets.errors import UserError
from bsky_assets.orchestration.automation import BY_ITSELF
from bsky_assets.orchestration.instance import open_instance, this_process
from bsky_assets.orchestration.run_log import PLAIN_LINES, failure_reason, lines_of, run_progress
from bsky_assets.settings import Settings

ALL = "*"
_NAME = re.compile(r"(?<![\w:\"*])(?!and\b|or\b|not\b)[a-z]\w*(?![\w:(*])")
"""The name of an asset in a selection; not a word of the syntax, nor what stands behind one."""


class DayFailed(UserError):
    """A sync day was not materialised, or a blocking check failed."""


def materialize_days(
    settings: Settings, days: Sequence[date], select: str, only_missing: bool
) -> None:
    """Materialise several days, each wave of assets in processes of its own.

    Raises:
        DayFailed: some days failed; names each and why. The others are done.
    """
    from bsky_assets.definitions import current_defs
    from bsky_assets.orchestration.backfill import backfill, waves

    graph = current_defs().resolve_asset_graph()
    todo = waves(graph, selected(select))
    # Ended by a service manager, it ends the runs under way as it does when interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    echo_err(f"{len(days)} sync days, {sum(len(wave.assets) for wave in todo)} assets")
    try:
        failed = backfill(
            graph, days, todo, settings, _day_in_lane, echo_err, only_missing=only_missing
        )
    except KeyboardInterrupt:
        echo_err("interrupted; the same command with --missing goes on where this stopped")
        raise
    if failed:
        reasons = "; ".join(f"{day}: {problem}" for day, problem in failed.items())
        raise DayFailed(f"{len(failed)} of {len(days)} days failed: {reasons}")


def _day_in_lane(day: date, assets: Sequence[str]) -> str | None:
    """Materialise assets of a day in a process of a backfill; returns what went wrong."""
    tell_retries()
    with lines_of(str(day)), DagsterInstance.get() as instance:
        try:
            _run_day(instance, day, [AssetKey(asset) for asset in assets], PLAIN_LINES)
        except DayFailed as failure:
            return str(failure)
        except DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
    return None


def materialize_stale(settings: Settings) -> None:
    """Materialise of every stored day what would be made otherwise now, and what follows it."""
    from bsky_assets.definitions import current_defs
    from bsky_assets.orchestration.following import ONLY_LANDED
    from bsky_assets.orchestration.refresh import stale_days

    days = stale_days(settings, current_defs().resolve_asset_graph())
    if not days:
        echo_err("every stored partition is as it would be made today")
        return
    with open_instance(settings) as instance:
        for day, assets in days.items():
            select = " or ".join(f'key:"{asset}"' for asset in assets)
            landed = {name: ONLY_LANDED[name] for name in assets if name in ONLY_LANDED}
            materialize_day(instance, day, select, {"ops": landed})


def materialize_day(
    instance: DagsterInstance,
    day: date,
    select: str = ALL,
    run_config: Mapping[str, Any] | None = None,
) -> None:
    """Materialise the selected assets of one sync day, in this process.

    Raises:
        DayFailed: an asset was not materialised or a blocking check failed; says which and why.
    """
    keys = selected(select)
    echo_err(f"sync day {day}: {len(keys)} assets")
    with silence.told("preparing the run"), run_progress(len(keys)):
        try:
            _run_day(instance, day, keys, {**PLAIN_LINES, **(run_config or {})})
        except DayFailed as failure:
            raise DayFailed(f"{day}: {failure}") from None


def _run_day(
    instance: DagsterInstance,
    day: date,
    keys: Sequence[AssetKey],
    run_config: Mapping[str, Any],
) -> None:
    from bsky_assets.definitions import current_defs

    try:
        with _terminated_as_before():
            result = (
                current_defs(day)
                .resolve_job_def("daily_sync")
                .execute_in_process(
                    instance=instance,
                    partition_key=day.isoformat(),
                    asset_selection=list(keys),
                    run_config=dict(run_config),
                    raise_on_error=False,
                    tags=this_process(),
                )
            )
    except KeyboardInterrupt:
        _end_what_never_began(instance)
        raise
    if problem := _problem(result, keys):
        raise DayFailed(problem)


@contextmanager
def _terminated_as_before() -> Iterator[None]:
    """Put the handler of SIGTERM back: Dagster leaves that of SIGINT in its place, by which what a
    shell put into the background, where interrupts are ignored, could not be terminated any more.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_what_never_began(instance: DagsterInstance) -> None:
    """End the run that was made and not begun when it was interrupted: Dagster leaves it so."""
    never_began = RunsFilter(tags=this_process(), statuses=[DagsterRunStatus.NOT_STARTED])
    for run in instance.get_runs(never_began):
        instance.report_run_canceled(run, "interrupted before it began")


def selected(select: str) -> list[AssetKey]:
    """The keys of the selected assets, in the order of the lineage.

    Raises:
        BadParameter: the selection cannot be understood, or selects nothing.
    """
    from bsky_assets.definitions import current_defs

    graph = current_defs().resolve_asset_graph()
    known = [key.to_user_string() for key in graph.toposorted_asset_keys]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BetaWarning)  # of Dagster's own making
            keys = selection(select, known).resolve(graph)
    except (DagsterInvalidAssetSelectionError, DagsterInvalidSubsetError) as error:
        raise typer.BadParameter(str(error), param_hint="--select") from None
    if not keys:
        raise typer.BadParameter(f"no asset is selected by {select!r}", param_hint="--select")
    return [key for key in graph.toposorted_asset_keys if key in keys]


def selection(select: str, known: Sequence[str]) -> AssetSelection:
    """What is selected, in the syntax of the UI, where names need no `key:` and commas mean or."""
    if select == ALL:
        return BY_ITSELF

    def spelt_out(found: "re.Match[str]") -> str:
        if found[0] in known:
            return f'key:"{found[0]}"'
        problem = f"there is no asset {found[0]}{meant(found[0], known)}"
        raise typer.BadParameter(problem, param_hint="--select")

    return AssetSelection.from_string(_NAME.sub(spelt_out, select).replace(",", " or "))


def _problem(result: ExecuteInProcessResult, keys: Sequence[AssetKey]) -> str | None:
    blocking = [
        f"check {check.check_name} of {check.asset_key.to_user_string()} failed: "
        f"{check.description}"
        for check in result.get_asset_check_evaluations()
        if check.blocking and not check.passed and check.severity is AssetCheckSeverity.ERROR
    ]
    failed = [
        f"{event.step_key} failed: {failure_reason(event)}"
        for event in result.all_events
        if event.event_type is DagsterEventType.STEP_FAILURE
    ]
    missing = set(keys) - {
        event.asset_key for event in result.all_events if event.is_step_materialization
    }
    names = ", ".join(sorted(key.to_user_string() for key in missing))
    return "; ".join(blocking or failed) or (f"not materialised: {names}" if missing else None)
