"""`bsky-assets materialize`: materialise sync days through Dagster, without its UI."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any

import typer
from dagster import (
    AssetKey,
    AssetSelection,
    DagsterEventType,
    DagsterInstance,
    ExecuteInProcessResult,
)
from dagster._core.definitions.asset_selection import DagsterInvalidAssetSelectionError
from dagster._core.errors import DagsterInvalidSubsetError

from bsky_assets.console import stderr
from bsky_assets.errors import UserError
from bsky_assets.instance import open_instance
from bsky_assets.run_log import PLAIN_LINES, failure_reason, run_progress
from bsky_assets.settings import Settings, get_settings
from bsky_assets.sync_day import parse_day

ALL = "*"


class DayFailed(UserError):
    """A sync day was not materialised, or a blocking check failed."""


def materialize(
    day: Annotated[
        str, typer.Option(metavar="DAY", help="Sync day: YYYY-MM-DD, `today` or `yesterday`.")
    ] = "today",
    to: Annotated[
        str | None, typer.Option(metavar="DAY", help="Last sync day; default: the same.")
    ] = None,
    select: Annotated[
        str, typer.Option(help="Assets, in Dagster's selection syntax; default: all.")
    ] = ALL,
    only_stale: Annotated[
        bool,
        typer.Option(
            "--stale",
            help="Instead: of every stored day what would be made otherwise today, and what "
            "follows it; `bsky-assets schema stale` lists it.",
        ),
    ] = False,
) -> None:
    """Materialise a sync day, or several, through Dagster.

    The runs are the same that the UI starts, and are seen there.

    \b
    Example:
      bsky-assets materialize --day 2026-03-08 --select 'filtered_posts+'
    """
    settings = get_settings()
    if only_stale:
        _materialize_stale(settings)
        return
    first = parse_day(day, settings.timezone)
    last = parse_day(to, settings.timezone) if to else first
    if last < first:
        raise typer.BadParameter(f"{last} is before {first}", param_hint="--to")
    with open_instance(settings) as instance:
        for number in range((last - first).days + 1):
            materialize_day(instance, first + timedelta(days=number), select)


def _materialize_stale(settings: Settings) -> None:
    from bsky_assets.landing import ONLY_LANDED
    from bsky_assets.refresh import stale_days

    days = stale_days(settings)
    if not days:
        stderr.print("every stored partition is as it would be made today")
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
    from bsky_assets.definitions import defs

    keys = _selected(select)
    job = defs.resolve_job_def("daily_sync")
    stderr.print(f"sync day {day}: {len(keys)} assets")
    with run_progress(len(keys)):
        result = job.execute_in_process(
            instance=instance,
            partition_key=day.isoformat(),
            asset_selection=keys,
            run_config={**PLAIN_LINES, **(run_config or {})},
            raise_on_error=False,
        )
    if problem := _problem(result, keys):
        raise DayFailed(f"{day}: {problem}")


def _selected(select: str) -> list[AssetKey]:
    from bsky_assets.definitions import defs

    graph = defs.resolve_asset_graph()
    try:
        selection = AssetSelection.from_string(select) if select != ALL else AssetSelection.all()
        keys = selection.resolve(graph)
    except (DagsterInvalidAssetSelectionError, DagsterInvalidSubsetError) as error:
        raise typer.BadParameter(str(error), param_hint="--select") from None
    if not keys:
        raise typer.BadParameter(f"no asset is selected by {select!r}", param_hint="--select")
    return [key for key in graph.toposorted_asset_keys if key in keys]


def _problem(result: ExecuteInProcessResult, keys: Sequence[AssetKey]) -> str | None:
    blocking = [
        f"check {check.check_name} of {check.asset_key.to_user_string()} failed: "
        f"{check.description}"
        for check in result.get_asset_check_evaluations()
        if check.blocking and not check.passed
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
