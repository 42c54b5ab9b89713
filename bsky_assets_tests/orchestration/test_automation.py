"""What runs when: the schedule, the sensors, and what follows by itself."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from dagster import (
    DailyPartitionsDefinition,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    build_schedule_context,
)
from dagster._core.snap.snap_to_yaml import default_values_yaml_from_type_snap

from bsky_assets.assets.raw_firehose_posts import FirehoseSync
from bsky_assets.assets.raw_moderation_labels import LabelSync
from bsky_assets.definitions import build_defs
from bsky_assets.orchestration.automation import daily_sync_schedule
from bsky_assets.settings import Settings
from bsky_assets_tests.support.assets import EVERY_ASSET


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2026, 7, 1, 21, tzinfo=UTC), "2026-07-01"),
        (datetime(2026, 12, 1, 22, tzinfo=UTC), "2026-12-01"),
        (datetime(2026, 3, 8, 21, tzinfo=UTC), "2026-03-08"),
    ],
)
def test_the_tick_at_16_runs_the_day_that_is_under_way(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, instant: datetime, day: str
) -> None:
    schedule = daily_sync_schedule(settings)
    assert schedule.cron_schedule == "0 16 * * *"
    assert schedule.execution_timezone == "America/Chicago"
    monkeypatch.setattr("bsky_assets.sync_day.now", lambda: instant)
    context = build_schedule_context(
        scheduled_execution_time=instant,
        repository_def=build_defs(settings).get_repository_def(),
    )
    ticked = schedule.evaluate_tick(context)
    (request,) = ticked.run_requests or []
    assert request.partition_key == day


def test_the_job_holds_every_asset_of_a_day(settings: Settings) -> None:
    job = build_defs(settings).resolve_job_def("daily_sync")
    keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert keys == EVERY_ASSET
    assert job.executor_def.name == "in_process"


@pytest.mark.parametrize("live", [False, True])
def test_schedules_and_sensors_run_by_themselves_only_live(settings: Settings, live: bool) -> None:
    defs = build_defs(settings.model_copy(update={"live": live}))
    repository = defs.get_repository_def()
    schedules = {one.name: one.default_status for one in repository.schedule_defs}
    sensors = {one.name: one.default_status for one in repository.sensor_defs}
    assert set(schedules) == {"daily_sync_schedule", "maintenance_schedule"}
    assert sensors.pop("refresh_stale") is DefaultSensorStatus.STOPPED
    assert sensors.pop("heal_days") is DefaultSensorStatus.STOPPED
    assert set(sensors) == {"follow_inputs"}
    running = (DefaultScheduleStatus.RUNNING, DefaultSensorStatus.RUNNING)
    assert all((status in running) is live for status in (*schedules.values(), *sensors.values()))


def test_definitions_are_those_of_the_settings_given_whatever_the_process_has(
    settings: Settings, tmp_path: Path
) -> None:
    assert settings.sync_timezone == "America/Chicago"
    other = settings.model_copy(
        update={
            "sync_timezone": "Asia/Tokyo",
            "data_dir": tmp_path / "other",
            "memory_limit": "77MB",
            "trusted_labelers": ("did:plc:other",),
            "llm_reason": True,
            "sync_max_events": 12,
        }
    )
    defs, ours = build_defs(other), build_defs(settings)
    repository, graph = defs.get_repository_def(), defs.resolve_asset_graph()
    zones = {
        partitions.timezone
        for key in graph.get_all_asset_keys()
        if isinstance(partitions := graph.get(key).partitions_def, DailyPartitionsDefinition)
    }
    assert zones == {"Asia/Tokyo"}
    assert {one.execution_timezone for one in repository.schedule_defs} == {"Asia/Tokyo"}
    resources = defs.resources or {}
    kept = resources["data"].settings
    assert kept.model_copy(update={"first_day": other.first_day}) == other
    assert (
        resources["duckdb"].connection_config["memory_limit"]
        != ((ours.resources or {})["duckdb"].connection_config["memory_limit"])
    )
    differing = {
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if graph.get(key).code_version != ours.resolve_asset_graph().get(key).code_version
    }
    assert differing == {"filtered_posts", "llm_labels", "filter_audit"}
    assert FirehoseSync().limits(other).max_events == 12
    assert LabelSync().limits(other).max_events == 12


def test_the_launchpad_begins_with_what_is_in_force(settings: Settings) -> None:
    """As the UI shows it before anything is written."""
    other = settings.model_copy(
        update={"sync_max_posts": 77, "sync_max_seconds": 8.5, "llm_models": ("one", "two")}
    )
    snapshot = build_defs(other).resolve_job_def("daily_sync").get_job_snapshot()
    root = snapshot.config_schema_snapshot.get_config_snap(
        snapshot.mode_def_snaps[0].root_config_key
    )
    shown = yaml.safe_load(
        default_values_yaml_from_type_snap(snapshot.config_schema_snapshot, root)
    )["ops"]
    assert shown["raw_firehose_posts"]["config"] == {
        "read_stream": True,
        "max_posts": 77,
        "max_events": settings.sync_max_events,
        "max_seconds": 8.5,
    }
    assert shown["raw_moderation_labels"]["config"]["max_seconds"] == 8.5
    assert shown["llm_labels"]["config"] == {
        "models": ["one", "two"],
        "batch_size": settings.llm_batch_size,
    }
