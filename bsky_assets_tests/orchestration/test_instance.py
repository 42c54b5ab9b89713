"""Dagster as it stands in the repository: where it keeps its storage, and which runs are dead."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from dagster import (
    AssetMaterialization,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    RunsFilter,
)
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import LaunchRunContext, WorkerStatus
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)

from bsky_assets.definitions import defs
from bsky_assets.orchestration.instance import home, open_instance, this_process
from bsky_assets.settings import Settings

pytestmark = pytest.mark.scenario


@pytest.fixture(autouse=True)
def _dagster_home_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")


@pytest.fixture
def instance(settings: Settings) -> Iterator[DagsterInstance]:
    with open_instance(settings) as instance:
        yield instance


def test_many_may_be_the_first_to_open_the_storage(settings: Settings) -> None:
    def opened(number: int) -> int:
        with open_instance(settings) as instance:
            run = instance.add_run(DagsterRun(job_name=f"job{number}"))
            return sum(one.run_id == run.run_id for one in instance.get_runs())

    for _ in range(2):
        shutil.rmtree(home(settings), ignore_errors=True)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(opened, range(8))) == [1] * 8


def test_what_runs_tell_is_stored_in_the_data_directory(
    instance: DagsterInstance, settings: Settings
) -> None:
    instance.report_runless_asset_event(AssetMaterialization("daily_report"))
    stored = [path for path in settings.data_dir.rglob("*.db") if path.stat().st_size]
    assert stored
    assert all(path.is_relative_to(settings.data_dir / "dagster") for path in stored)
    assert Path(instance.storage_directory()).is_relative_to(settings.data_dir)
    with open_instance(settings) as again:
        event = again.get_latest_materialization_event(
            AssetMaterialization("daily_report").asset_key
        )
    assert event


def test_what_a_run_writes_to_stays_open_until_its_end(settings: Settings) -> None:
    """SQLite waits for the disk, and removes its journal, whenever nobody has a file open."""

    def journals() -> set[str]:
        return {path.name for path in home(settings).rglob("*.db-wal")}

    with open_instance(settings) as instance:
        assert journals() == set()
        runs = [instance.add_run(DagsterRun(job_name=f"job{number}")) for number in range(3)]
        for run in runs:
            for _ in range(2):
                instance.report_engine_event("it goes on", run)
            assert journals() == {"index.db-wal", f"{run.run_id}.db-wal"}
    assert journals() == set()
    with open_instance(settings) as again:
        assert [len(again.all_logs(run.run_id)) for run in runs] == [2, 2, 2]


def test_dagster_sends_nothing_and_greets_no_one(instance: DagsterInstance) -> None:
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled


def test_a_failed_step_is_not_run_again_but_a_run_that_died_is(instance: DagsterInstance) -> None:
    assert instance.run_retries_enabled
    assert instance.run_monitoring_enabled
    assert instance.run_retries_max_retries == 2
    assert not instance.run_retries_retry_on_asset_or_op_failure


def watched_by(server: dict[str, object]) -> DagsterRun:
    return DagsterRun("a_job", tags={GRPC_INFO_TAG: orjson.dumps(server).decode()})


def test_a_run_is_dead_when_the_server_that_watched_over_it_is_gone(
    instance: DagsterInstance,
) -> None:
    launcher = instance.run_launcher
    assert launcher.supports_check_run_worker_health
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as port:
        path = f"{folder}/server"
        over_tcp = watched_by({"host": "127.0.0.1", "port": port.getsockname()[1]})
        over_socket = watched_by({"host": "localhost", "socket": path})
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen()
            for run in (over_tcp, over_socket, DagsterRun("a_job")):
                assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
        port.close()
        for run in (over_tcp, over_socket):
            assert launcher.check_run_worker_health(run).status is WorkerStatus.NOT_FOUND
    assert launcher.check_run_worker_health(over_socket).status is WorkerStatus.NOT_FOUND


def test_a_run_is_dead_when_the_command_that_it_was_in_is_gone(instance: DagsterInstance) -> None:
    read, write = os.pipe()
    if not (child := os.fork()):
        os.write(write, orjson.dumps(this_process()))
        os._exit(0)
    os.waitpid(child, 0)
    launcher, gone = instance.run_launcher, orjson.loads(os.read(read, 1_000))
    status = [
        launcher.check_run_worker_health(DagsterRun("a_job", tags=tags)).status
        for tags in (this_process(), gone)
    ]
    assert status == [WorkerStatus.RUNNING, WorkerStatus.NOT_FOUND]
    elsewhere = {name: f"another-{value}" for name, value in gone.items()}
    run = DagsterRun("a_job", tags=elsewhere)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_a_queued_run_waits_for_code_that_takes_long_to_load(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the code server is not there for minutes; then the run goes on."""
    launched: list[str] = []
    is_there = [False, False, True]

    def launch(context: LaunchRunContext) -> None:
        if not is_there.pop(0):
            raise DagsterUserCodeUnreachableError("timed out waiting for gRPC server")
        launched.append(context.dagster_run.run_id)

    monkeypatch.setattr(instance.run_launcher, "launch_run", launch)
    assert instance.code_server_process_startup_timeout >= 600
    assert instance.run_monitoring_start_timeout_seconds >= 600
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(module_name="bsky_assets.definitions", attribute="defs")
    )
    target = InProcessTestWorkspaceLoadTarget(origin)
    with WorkspaceProcessContext(instance, target) as workspace:
        context = workspace.create_request_context()
        location = context.get_code_location(origin.location_name)
        (repository,) = location.get_repositories().values()
        job = repository.get_full_job("maintenance")
        run = instance.create_run_for_job(
            defs.resolve_job_def("maintenance"),
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
        )
        instance.submit_run(run.run_id, context)
        daemon, at = QueuedRunCoordinatorDaemon(interval_seconds=5), datetime.now(UTC)
        for _ in range(3):
            assert instance.get_runs_count(RunsFilter(statuses=[DagsterRunStatus.FAILURE])) == 0
            list(daemon.run_iteration(workspace, fixed_iteration_time=at.timestamp()))
            at += timedelta(minutes=2)
    assert launched == [run.run_id]
