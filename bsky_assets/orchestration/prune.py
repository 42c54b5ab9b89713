"""Removing what Dagster keeps of runs that ended long ago.

What stays is what its UI needs to show the state of partitions: the latest materialisation of each,
and the run that made it, without its log.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dagster import DagsterEventType, DagsterInstance, RunsFilter
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage, SqlEventLogStorageTable
from sqlalchemy import func, select

_AT_A_TIME = 200


@dataclass
class Pruned:
    """What was removed."""

    runs: int = 0
    """Removed altogether."""
    logs: int = 0
    """Removed of runs that stay."""
    bytes: int = 0
    """Of files that held the log of one run."""


def prune_runs(instance: DagsterInstance, ended_before: datetime) -> Pruned:
    """Remove the logs of runs that ended before, and runs that no partition was made by last."""
    needed, pruned = _latest_makers(instance), Pruned()
    for run_id in _ended(instance, ended_before):
        files = _own_files(instance, run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        if run_id in needed:
            pruned.logs += bool(files)
        else:
            instance.delete_run(run_id)
            pruned.runs += 1
        for path in files:
            pruned.bytes += path.stat().st_size
            path.unlink()
    return pruned


def _ended(instance: DagsterInstance, before: datetime) -> Iterator[str]:
    """The runs, oldest first; read before any is removed."""
    over = RunsFilter(statuses=FINISHED_STATUSES, updated_before=before)
    found: list[str] = []
    cursor: str | None = None
    while records := instance.get_run_records(over, limit=_AT_A_TIME, cursor=cursor):
        cursor = records[-1].dagster_run.run_id
        found += [record.dagster_run.run_id for record in records]
    yield from reversed(found)


def _latest_makers(instance: DagsterInstance) -> set[str]:
    """The runs that made some asset's partition last."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"Dagster's events are not in SQL: {type(storage).__name__}")
    events = SqlEventLogStorageTable.c
    is_made = events.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION.value
    newest = select(func.max(events.id)).where(is_made).group_by(events.asset_key, events.partition)
    with storage.index_connection() as connection:
        rows = connection.execute(
            select(events.run_id).where(events.id.in_(newest.scalar_subquery())).distinct()
        )
        return {run_id for (run_id,) in rows}


def _own_files(instance: DagsterInstance, run_id: str) -> list[Path]:
    """The SQLite files of one run; none where runs share a database."""
    path_for_shard = getattr(instance.event_log_storage, "path_for_shard", None)
    if path_for_shard is None:
        return []
    shard = Path(path_for_shard(run_id))
    return [path for path in shard.parent.glob(f"{run_id}.db*") if path.is_file()]
