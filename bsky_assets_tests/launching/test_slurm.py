"""Jobs of real Slurm daemons on loopback, where they are installed."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterEventType

from bsky_assets.assets.consolidated_posts import consolidated_posts
from bsky_assets.contracts import ConsolidatedPost
from bsky_assets.orchestration import launcher
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.launching.day_to_launch import DAY, failure, lay_down, made, settings_with
from testbed.lakes import differences
from testbed.slurm_cluster import missing_programs, slurm, slurm_cluster

missing = missing_programs()
pytestmark = [
    pytest.mark.scenario,
    pytest.mark.skipif(
        bool(missing), reason=f"Slurm is not installed here: there is no {', '.join(missing)}"
    ),
]
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


@pytest.mark.parametrize(
    ("argument", "says"),
    [("--partition=nowhere", "partition"), ("--mem=900G", "Requested node configuration")],
)
def test_what_slurm_does_not_take_is_told_once_in_its_words(
    launched: Settings, monkeypatch: pytest.MonkeyPatch, argument: str, says: str
) -> None:
    refused = launched.model_copy(update={"slurm_args": (argument,)})
    run = made(refused, consolidated_posts)
    assert not run.success
    told = failure(run, "consolidated_posts")
    assert told.startswith("Slurm refuses the job of consolidated_posts")
    assert says in told
    assert not [e for e in run.all_events if e.event_type is DagsterEventType.STEP_UP_FOR_RETRY]
