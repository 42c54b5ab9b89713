"""Jobs of real Slurm daemons on loopback, where they are installed."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from dagster import DagsterEventType

from benchmarks.launch_backfill import differences
from benchmarks.slurm_cluster import missing_programs, slurm, slurm_cluster
from bsky_assets.assets.consolidated_posts import consolidated_posts
from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.contracts import ConsolidatedPost
from bsky_assets.launching import launcher
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.launch_fixtures import DAY, lay_down, made, settings_with
from bsky_assets_tests.test_launch_tasks import (
    SPREAD,
    expected,  # noqa: F401
    filtered,
    tasks_that_answered,
)

missing = missing_programs()
pytestmark = pytest.mark.skipif(
    bool(missing), reason=f"Slurm is not installed here: there is no {', '.join(missing)}"
)
RUNNING = ("squeue", "--noheader", "--states=RUNNING", "--format=%i")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with slurm_cluster(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture
def launched(cluster: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setattr(launcher, "LOST_SECONDS", 0)
    with settings_with(monkeypatch, BSKY_LAUNCHER="slurm", BSKY_LLM_API_KEY="unseen") as settings:
        lay_down(settings)
        yield settings


def cancel_the_first_job() -> None:
    deadline = time.monotonic() + 60
    while not (jobs := slurm(*RUNNING).split()) and time.monotonic() < deadline:
        time.sleep(0.05)
    slurm("scancel", *jobs)


def cancel_the_job_of_the_first_task() -> None:
    task = f"--name=filtered_posts-{DAY}-part"
    deadline = time.monotonic() + 60
    while not slurm(*RUNNING, task) and time.monotonic() < deadline:
        time.sleep(0.05)
    slurm("scancel", f"--name=filtered_posts-{DAY}")


def test_a_cancelled_job_is_started_again_and_makes_the_same_rows(
    launched: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canceller = threading.Thread(target=cancel_the_first_job)
    canceller.start()
    run = made(launched, consolidated_posts)
    canceller.join()
    assert run.success
    retries = [e for e in run.all_events if e.event_type is DagsterEventType.STEP_UP_FOR_RETRY]
    assert len(retries) == 1
    with settings_with(monkeypatch, BSKY_DATA_DIR=str(tmp_path), BSKY_LAUNCHER="local") as local:
        lay_down(local)
        assert made(local, consolidated_posts).success
    assert Lake.of(local).days(ConsolidatedPost) == [DAY]
    assert differences(Lake.of(launched), Lake.of(local), ConsolidatedPost, [DAY]) == 0


def test_with_a_cancelled_job_its_tasks_end_and_started_again_it_makes_the_same_rows(
    cluster: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    expected: pa.Table,  # noqa: F811
) -> None:
    monkeypatch.setattr(launcher, "LOST_SECONDS", 0)
    with settings_with(monkeypatch, **SPREAD) as spread:
        canceller = threading.Thread(target=cancel_the_job_of_the_first_task)
        canceller.start()
        run = made(spread, filtered_posts)
        canceller.join()
        assert run.success
        retries = [e for e in run.all_events if e.event_type is DagsterEventType.STEP_UP_FOR_RETRY]
        assert len(retries) == 1
        assert filtered(spread).equals(expected)
    assert tasks_that_answered(capfd.readouterr().err) > 0
    assert slurm("squeue", "--noheader") == ""
