"""What is kept of Dagster's runs, and for how long."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    DagsterRunStatus,
    DailyPartitionsDefinition,
    JobDefinition,
    asset,
    materialize,
)

from bsky_assets.orchestration.instance import open_instance
from bsky_assets.orchestration.maintenance import maintenance
from bsky_assets.orchestration.prune import prune_runs
from bsky_assets.orchestration.resources import DataDirectory, duckdb_resource
from bsky_assets.settings import Settings

KEY = AssetKey("made")


@asset(partitions_def=DailyPartitionsDefinition("2026-03-01"))
def made() -> None:
    print("a line of the log")


@pytest.fixture
def instance(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(settings) as instance:
        yield instance


def files(settings: Settings) -> set[Path]:
    return set((settings.data_dir / "dagster").rglob("*.db"))


def test_old_runs_go_and_what_the_ui_shows_of_partitions_stays(
    settings: Settings, instance: DagsterInstance
) -> None:
    def run(day: str) -> str:
        return materialize([made], partition_key=day, instance=instance).run_id

    shared = files(settings)
    first, again, other = run("2026-03-01"), run("2026-03-01"), run("2026-03-02")
    assert len(files(settings) - shared) == 3

    kept = prune_runs(instance, datetime.now(UTC) - timedelta(days=1))
    assert (kept.runs, kept.logs, kept.bytes) == (0, 0, 0)

    pruned = prune_runs(instance, datetime.now(UTC) + timedelta(seconds=1))
    assert (pruned.runs, pruned.logs) == (1, 2)
    assert pruned.bytes > 0
    assert files(settings) == shared
    assert {run.run_id for run in instance.get_runs()} == {again, other}
    assert first not in {again, other}
    assert instance.get_materialized_partitions(KEY) == {"2026-03-01", "2026-03-02"}
    event = instance.get_latest_materialization_event(KEY)
    assert event
    assert isinstance(event.asset_materialization, AssetMaterialization)
    assert prune_runs(instance, datetime.now(UTC) + timedelta(seconds=1)).runs == 0


def test_the_nightly_job_removes_runs_that_ended_so_many_days_ago(
    settings: Settings, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = (
        materialize([made], partition_key="2026-03-01", instance=instance).run_id for _ in range(2)
    )
    keep = timedelta(days=settings.keep_runs_days)
    for late, gone in ((-timedelta(hours=1), set()), (timedelta(hours=1), {first})):
        at = datetime.now(UTC) + keep + late
        monkeypatch.setattr("bsky_assets.orchestration.maintenance.now", lambda at=at: at)
        job: JobDefinition = maintenance
        ran = job.execute_in_process(
            instance=instance,
            resources={"data": DataDirectory(settings), "duckdb": duckdb_resource(settings)},
            op_selection=["prune_old_runs"],
        )
        assert ran.success
        assert {first, again} - {run.run_id for run in instance.get_runs()} == gone


def test_a_run_that_is_under_way_is_left_alone(instance: DagsterInstance) -> None:
    run = instance.create_run_for_job(_job(), status=DagsterRunStatus.STARTED)
    assert prune_runs(instance, datetime.now(UTC) + timedelta(days=1)).runs == 0
    assert instance.get_run_by_id(run.run_id)


def _job():  # type: ignore[no-untyped-def]
    from dagster import Definitions, define_asset_job

    return Definitions(assets=[made], jobs=[define_asset_job("some")]).resolve_job_def("some")
