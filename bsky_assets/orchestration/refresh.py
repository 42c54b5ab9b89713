"""Making again what is stored and would be made otherwise today, and nothing else.

What belongs here: which assets of which days, and the sensor that starts their runs. What does
not: finding out what is stale, which `staleness` does.
"""

import hashlib
from collections.abc import Iterator
from datetime import date
from typing import Any

from dagster import (
    AssetKey,
    AssetSelection,
    DefaultSensorStatus,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
)
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

from bsky_assets.contracts.lineage import DAILY_REPORT
from bsky_assets.orchestration.automation import daily_sync
from bsky_assets.orchestration.following import ONLY_LANDED
from bsky_assets.orchestration.staleness import Stale, stale
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import FIRST_DAY

LOOK_SECONDS = 60


def stale_days(settings: Settings, graph: BaseAssetGraph[Any]) -> dict[date, list[str]]:
    """For each day, oldest first, the assets to make again, in the order of the lineage `graph`.

    What is downstream of a stale partition on the same day follows it, if it is stored.
    """
    return _with_what_follows(settings, graph, list(stale(Lake.of(settings), settings)))


def _with_what_follows(
    settings: Settings, graph: BaseAssetGraph[Any], found: list[Stale]
) -> dict[date, list[str]]:
    order = [key.to_user_string() for key in graph.toposorted_asset_keys]
    days: dict[date, list[str]] = {}
    for day in sorted({each.day for each in found}):
        own = [AssetKey(each.asset) for each in found if each.day == day]
        keys = AssetSelection.assets(*own).downstream().resolve(graph)
        wanted = {key.to_user_string() for key in keys} & _stored(settings, day)
        days[day] = [name for name in order if name in wanted]
    return days


def _stored(settings: Settings, day: date) -> set[str]:
    lake = Lake.of(settings)
    assets = {row.asset for row in lake.rows if lake.current(row, day)}
    if (settings.reports_dir / f"{day}.html").exists():
        assets.add(DAILY_REPORT)
    return assets


def refresh_stale_sensor(settings: Settings) -> SensorDefinition:
    """Start a run for each day that has something stale. Off until a person switches it on."""

    first = settings.first_day or FIRST_DAY

    def look(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        found = [each for each in stale(Lake.of(settings), settings) if each.day >= first]
        if not found:
            yield SkipReason("every stored partition is as it would be made today")
            return
        graph = context.repository_def.asset_graph  # type: ignore[union-attr]  # a sensor's
        for day, assets in _with_what_follows(settings, graph, found).items():
            reasons = sorted(f"{each.asset} {each.reasons}" for each in found if each.day == day)
            yield RunRequest(
                run_key=f"{day}/{hashlib.sha256(repr(reasons).encode()).hexdigest()[:12]}",
                partition_key=day.isoformat(),
                asset_selection=[AssetKey(asset) for asset in assets],
                run_config={
                    "ops": {name: ONLY_LANDED[name] for name in assets if name in ONLY_LANDED}
                },
            )

    return SensorDefinition(
        name="refresh_stale",
        evaluation_fn=look,
        job=daily_sync,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=DefaultSensorStatus.STOPPED,
        description="Makes stored partitions again that a changed contract, filter or prompt "
        "has put out of date, and what follows them on the same day. Switch it off when done.",
    )
