"""Days are healed by themselves where a setting says so, and what comes is followed once."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from dagster import (
    DagsterInstance,
    DefaultSensorStatus,
    RunRequest,
    SensorDefinition,
    SkipReason,
    build_sensor_context,
)

from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.definitions import build_defs
from bsky_assets.orchestration.healing import heal_days_sensor
from bsky_assets.orchestration.unfinished import Look
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.bluesky.archive.serving import archive_of, world_of
from bsky_assets_tests.sandbox.streams import relay_of
from bsky_assets_tests.support.serving import served
from bsky_sandbox.faults import Fault, StreamFaults
from bsky_sandbox.server import repositories_of

FAULTS = StreamFaults(seed=4, probability={Fault.SKIP: 0.01, Fault.TOO_BIG: 0.01})


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    world = world_of(800)
    with (
        served(relay_of(world, faults=FAULTS).app()) as relay,
        served(archive_of(world).app()) as archive,
        served(repositories_of(world).app()) as accounts,
    ):
        found = Settings(
            _env_file=None,
            data_dir=tmp_path,
            sync_timezone="UTC",
            relay_url=relay.replace("http", "ws"),
            archive_url=archive,
            plc_url=accounts,
        )
        sync_firehose(found, Limits(max_seconds=60), idle_seconds=0.1)
        compact(found, firehose_segments(found).days()[0])
        yield found


def compact(settings: Settings, day: date) -> StreamDetails:
    with duckdb.connect() as con:
        segments = firehose_segments(settings)
        return compact_firehose_day(con, Lake.of(settings), segments, day)[0].told(StreamDetails)


def evaluated(sensor: SensorDefinition, instance: DagsterInstance) -> RunRequest | SkipReason:
    found = sensor.evaluate_tick(build_sensor_context(instance=instance))
    (request,) = found.run_requests or [None]
    return request or SkipReason(found.skip_message)


def test_the_sensor_is_on_only_where_a_setting_says_so(tmp_path: Path) -> None:
    for heal, live, status in (
        (False, True, DefaultSensorStatus.STOPPED),
        (True, False, DefaultSensorStatus.RUNNING),
    ):
        settings = Settings(_env_file=None, data_dir=tmp_path, heal=heal, live=live)
        assert heal_days_sensor(settings).default_status is status


def test_a_day_that_is_over_is_healed_and_followed_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (day,) = firehose_segments(settings).days()
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
    sensor = heal_days_sensor(settings)
    definitions = build_defs(settings)
    before = compact(settings, day).still
    assert before.gaps
    assert before.jumps
    with DagsterInstance.ephemeral() as instance:

        def at(instant: datetime) -> RunRequest | SkipReason:
            for room in ("orchestration", "bluesky.archive", "bluesky.accounts"):
                monkeypatch.setattr(f"bsky_assets.{room}.healing.now", lambda: instant)
            return evaluated(sensor, instance)

        assert isinstance(at(end - timedelta(hours=1)), SkipReason)
        request = at(end + timedelta(hours=2))
        assert isinstance(request, RunRequest)
        made = definitions.resolve_job_def("healing").execute_in_process(
            run_config=request.run_config, instance=instance
        )
        assert made.success
        behind = Look(settings, end + timedelta(hours=2)).state(day).behind
        assert "of archive" in behind[RawFirehosePost.asset].why
        still = compact(settings, day).still
        assert not still.gaps
        assert still.jump_count < before.jump_count
        # Taken in, it is no news any more, and what cannot be healed is left alone for a day.
        after = Look(settings, end + timedelta(hours=2)).state(day).behind
        assert (
            RawFirehosePost.asset not in after
            or "of archive" not in after[RawFirehosePost.asset].why
        )
        assert isinstance(at(end + timedelta(hours=3)), SkipReason)
