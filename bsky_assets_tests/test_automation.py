"""What runs when: the schedule, the sensors, and what follows by itself."""

from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    RunRequest,
    build_schedule_context,
    build_sensor_context,
    evaluate_automation_conditions,
)

from bsky_assets.bluesky.landed import firehose_segments, label_segments
from bsky_assets.contracts import RawFirehosePost, RawPostDeletion
from bsky_assets.definitions import build_defs
from bsky_assets.orchestration.automation import daily_sync_schedule
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day, compact_labels_day
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import FIREHOSE, Footer
from bsky_assets.sync_day import today
from bsky_assets_tests.rows import firehose_post, table

EVERY_ASSET = {
    "raw_firehose_posts",
    "raw_feed_posts",
    "raw_post_deletions",
    "raw_moderation_labels",
    "consolidated_posts",
    "filtered_posts",
    "llm_labels",
    "model_agreement",
    "daily_report",
}


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2026, 7, 1, 21, tzinfo=UTC), "2026-07-01"),
        (datetime(2026, 12, 1, 22, tzinfo=UTC), "2026-12-01"),
        (datetime(2026, 3, 8, 21, tzinfo=UTC), "2026-03-08"),
    ],
)
def test_the_tick_at_16_runs_the_day_that_is_under_way(
    settings: Settings, instant: datetime, day: str
) -> None:
    schedule = daily_sync_schedule(settings)
    assert schedule.cron_schedule == "0 16 * * *"
    assert schedule.execution_timezone == "America/Chicago"
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
    assert set(sensors) == {"collector_landed", "follow_inputs"}
    running = (DefaultScheduleStatus.RUNNING, DefaultSensorStatus.RUNNING)
    assert all((status in running) is live for status in (*schedules.values(), *sensors.values()))


def land(settings: Settings, day: date, seq: int) -> None:
    received = datetime(day.year, day.month, day.day, 18, tzinfo=UTC).isoformat()
    footer = Footer(FIREHOSE, "relay.test", None, seq, received, received, {"relay.test": seq})
    posts = table(RawFirehosePost, [firehose_post("did:plc:a", f"3k{seq}", seq)])
    with firehose_segments(settings).collecting() as writer:
        writer.write(day, {RawFirehosePost: posts}, footer)


def requested(settings: Settings) -> list[RunRequest]:
    repository = build_defs(settings).get_repository_def()
    sensor = repository.get_sensor_def("collector_landed")
    with DagsterInstance.ephemeral() as instance:
        context = build_sensor_context(instance=instance, repository_def=repository)
        return list(sensor.evaluate_tick(context).run_requests or [])


def test_what_a_collector_landed_is_taken_in_once_and_a_day_is_closed(settings: Settings) -> None:
    assert requested(settings) == []
    present, past = today(settings.timezone), today(settings.timezone) - timedelta(days=1)
    land(settings, past, 1)
    land(settings, present, 2)

    asked = {request.partition_key: request for request in requested(settings)}
    assert set(asked) == {past.isoformat(), present.isoformat()}
    assert asked[past.isoformat()].tags["closes_the_day"] == "true"
    assert asked[present.isoformat()].tags["closes_the_day"] == "false"
    assert asked[past.isoformat()].run_config["ops"]["raw_firehose_posts"] == {
        "config": {"read_stream": False}
    }

    lake = Lake(settings.lake_dir)
    with duckdb.connect() as con:
        for day in (past, present):
            compact_firehose_day(con, lake, firehose_segments(settings), day)
        assert len(requested(settings)) == 2  # the accounts' own labels are to be had yet
        for day in (past, present):
            labels, firehose = label_segments(settings), firehose_segments(settings)
            compact_labels_day(con, lake, labels, firehose, day)
    assert requested(settings) == []
    land(settings, present, 3)
    assert [request.partition_key for request in requested(settings)] == [present.isoformat()]
    assert lake.current(RawPostDeletion, past) is not None


def test_what_is_downstream_follows_an_input_of_the_present_day(settings: Settings) -> None:
    defs, day = build_defs(settings), today(settings.timezone).isoformat()
    with DagsterInstance.ephemeral() as instance:
        first = evaluate_automation_conditions(defs, instance)
        assert first.total_requested == 0
        instance.report_runless_asset_event(AssetMaterialization("raw_feed_posts", partition=day))
        second = evaluate_automation_conditions(defs, instance, cursor=first.cursor)
        followed = {
            name: second.get_requested_partitions(AssetKey(name))
            for name in ("consolidated_posts", "filtered_posts", "llm_labels", "raw_feed_posts")
        }
    assert followed == {
        "consolidated_posts": {day},
        "filtered_posts": {day},
        "llm_labels": {day},
        "raw_feed_posts": set(),
    }


def test_a_change_of_yesterday_waits_for_the_present_day(settings: Settings) -> None:
    """What reads earlier days, too, is not asked for before there is anything of its own day."""
    defs, present = build_defs(settings), today(settings.timezone)
    days = [(present - timedelta(days=number)).isoformat() for number in (1, 0)]
    followed = []
    with DagsterInstance.ephemeral() as instance:
        cursor = evaluate_automation_conditions(defs, instance).cursor
        for day in days:
            made = AssetMaterialization("consolidated_posts", partition=day)
            instance.report_runless_asset_event(made)
            ticked = evaluate_automation_conditions(defs, instance, cursor=cursor)
            followed.append(ticked.get_requested_partitions(AssetKey("filtered_posts")))
            cursor = ticked.cursor
    assert followed == [set(), {days[1]}]
