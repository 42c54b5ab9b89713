"""Several sync days through Dagster: which assets of which days, and in which order.

Assets go in waves: one that reads earlier days of another begins when all days of that one are
done, so that how many days go at a time changes nothing. A day that fails does not stop others.
What does not belong here: how one day is materialised (`commands`), and in which process
(`process_pool`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from dagster import AssetKey, TimeWindowPartitionMapping
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from bsky_assets.contracts.progress import Log
from bsky_assets.orchestration.process_pool import ProcessPool, Work
from bsky_assets.orchestration.staleness import stale
from bsky_assets.settings import Settings
from bsky_assets.storage.budget import slots
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import look_back


@dataclass(frozen=True)
class Wave:
    """Assets that need nothing of each other's earlier days."""

    assets: tuple[str, ...]
    one_at_a_time: bool
    """Whether an asset of it takes turns, as those do that ask an endpoint."""


def waves(graph: AssetGraph, keys: Sequence[AssetKey]) -> list[Wave]:
    """`keys`, which are in the order of the lineage, in waves."""
    levels: dict[AssetKey, int] = {}
    for key in keys:
        pooled = bool(graph.get(key).pools)
        levels[key] = max(
            (
                levels[parent] + (pooled or _reads_earlier_days(graph, key, parent))
                for parent in graph.get(key).parent_keys
                if parent in levels
            ),
            default=0,
        )
    return [
        Wave(
            tuple(key.to_user_string() for key in keys if levels[key] == level),
            any(graph.get(key).pools for key in keys if levels[key] == level),
        )
        for level in sorted(set(levels.values()))
    ]


def _reads_earlier_days(graph: AssetGraph, key: AssetKey, parent: AssetKey) -> bool:
    mapping = graph.get(key).partition_mappings.get(parent)
    return isinstance(mapping, TimeWindowPartitionMapping) and mapping.start_offset < 0


def backfill(
    graph: AssetGraph,
    days: Sequence[date],
    todo: Sequence[Wave],
    settings: Settings,
    work: Work,
    log: Log,
    *,
    only_missing: bool = False,
) -> dict[date, str]:
    """Materialise the waves of all `days`; returns the days that failed, each with the reason."""
    failed: dict[date, str] = {}
    with ProcessPool(min(_at_a_time(settings), len(days)), work) as pool:
        for wave in todo:
            left = [day for day in days if day not in failed]
            if only_missing:
                left = missing(graph, left, wave, settings)
            failed |= pool.run(left, wave.assets, log, one_at_a_time=wave.one_at_a_time)
    return dict(sorted(failed.items()))


def _at_a_time(settings: Settings) -> int:
    """Days that have a slot on this machine, or as many as are wanted where others do the work."""
    return slots(settings) if settings.launcher == "local" else settings.concurrent_days


def missing(graph: AssetGraph, days: Sequence[date], wave: Wave, settings: Settings) -> list[date]:
    """Those of `days` on which some asset of `wave` is not there, or not as it would be now."""
    lake = Lake.of(settings)
    old = {(one.asset, one.day) for one in stale(lake, settings)}
    return [
        day
        for day in days
        if any(
            (asset, day) in old or not _is_current(graph, lake, settings, asset, day)
            for asset in wave.assets
        )
    ]


def _is_current(graph: AssetGraph, lake: Lake, settings: Settings, asset: str, day: date) -> bool:
    made = _made_at(lake, settings, asset, day)
    if made is None:
        return False
    key = AssetKey(asset)
    for parent in graph.get(key).parent_keys:
        earlier = look_back(day) if _reads_earlier_days(graph, key, parent) else []
        for read in [*earlier, day]:
            changed = _made_at(lake, settings, parent.to_user_string(), read)
            if changed and changed > made:
                return False
    return True


def _made_at(lake: Lake, settings: Settings, asset: str, day: date) -> datetime | None:
    """When what is stored was made."""
    row = next((row for row in lake.rows if row.asset == asset), None)
    if row:
        partition = lake.current(row, day)
        return partition.written_at if partition else None
    report = settings.reports_dir / f"{day}.html"
    return datetime.fromtimestamp(report.stat().st_mtime, UTC) if report.exists() else None
