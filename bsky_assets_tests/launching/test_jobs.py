"""A partition made elsewhere than in the run: the same rows, and nothing of the run left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dagster import DagsterEventType, ExecuteInProcessResult

from bsky_assets.assets.consolidated_posts import consolidated_posts
from bsky_assets.contracts import ConsolidatedPost
from bsky_assets.launching import forwarding
from bsky_assets.launching.jobs import job_of
from bsky_assets.launching.ray import submission
from bsky_assets.launching.slurm import command_line
from bsky_assets.orchestration import launcher
from bsky_assets.settings import InvalidSettings, Settings, get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.launching.day_to_launch import (
    DAY,
    Srun,
    failure,
    lay_down,
    made,
    settings_with,
)
from bsky_assets_tests.support.bucket import BUCKET
from testbed.lakes import MADE, differences

pytestmark = pytest.mark.scenario

SECRET = "hunter2-is-not-a-password"


@pytest.fixture
def srun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Srun:
    monkeypatch.setattr(launcher, "LOST_SECONDS", 0)
    return Srun(tmp_path, monkeypatch)


def partition(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bsky_assets.launching.partition", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )


def metadata_names(run: ExecuteInProcessResult, asset: str) -> set[str]:
    (event,) = run.asset_materializations_for_node(asset)
    return set(event.metadata)


def test_a_partition_is_made_by_a_process_of_its_own_without_dagster(settings: Settings) -> None:
    lay_down(settings)
    done = partition("consolidated_posts", str(DAY))
    assert done.returncode == 0, done.stderr
    current = Lake(settings.lake_dir).current(ConsolidatedPost, DAY)
    assert current
    assert done.stdout == f"60 rows in {current.path.name}\n"
    assert current.details["firehose_posts"] == 60


def test_what_cannot_be_made_is_said_in_a_line(settings: Settings) -> None:
    done = partition("filtered_posts", str(DAY))
    assert done.returncode == 1
    assert done.stderr == (
        f"error: there are no consolidated posts on {DAY}; consolidate the day first "
        f"(the lake is {settings.lake_dir}: do all nodes see the same?)\n"
    )
    assert partition("daily_report", str(DAY)).returncode == 2


def test_the_function_of_a_partition_imports_no_dagster() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, bsky_assets.launching.partition, bsky_assets.consolidation.consolidate, "
            "bsky_assets.filters.chain, bsky_assets.labelling.day; "
            "print([name for name in sys.modules if name.split('.')[0] == 'dagster'])",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=250,
    )
    assert done.stdout == "[]\n"


@pytest.mark.filterwarnings("error::dagster.PreviewWarning")
def test_launched_through_slurm_it_is_the_same_row_for_row_and_in_the_ui(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, srun: Srun, settings: Settings
) -> None:
    lay_down(settings)
    here = made(settings)
    assert here.success
    with settings_with(
        monkeypatch,
        BSKY_LAUNCHER="slurm",
        BSKY_DATA_DIR=str(tmp_path / "there"),
        BSKY_SLURM_ARGS="--partition=short --mem=2G",
    ) as launched:
        lay_down(launched)
        there = made(launched)
    assert there.success
    assert len(srun.command_lines) == 2
    assert all('"--partition=short", "--mem=2G"' in line for line in srun.command_lines)
    for row in MADE:
        assert differences(Lake.of(settings), Lake.of(launched), row, [DAY]) == 0
        assert metadata_names(here, row.asset) == metadata_names(there, row.asset)
    checks = {check.check_name: check.passed for check in there.get_asset_check_evaluations()}
    assert checks == {
        check.check_name: check.passed for check in here.get_asset_check_evaluations()
    }


def test_with_the_lake_in_a_bucket_a_job_is_given_its_keys_by_name(
    monkeypatch: pytest.MonkeyPatch,
    srun: Srun,
    bucket_endpoint: str,
    settings: Settings,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    lay_down(settings)
    assert made(settings, consolidated_posts).success
    with settings_with(
        monkeypatch,
        BSKY_LAUNCHER="slurm",
        BSKY_LAKE_URL=f"s3://{BUCKET}/launched",
        BSKY_LAKE_ENDPOINT_URL=bucket_endpoint,
        BSKY_SLURM_EXPORT="AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY",
    ) as launched:
        lay_down(launched)
        assert made(launched, consolidated_posts).success
        assert Lake.of(launched).days(ConsolidatedPost) == [DAY]
        assert differences(Lake.of(settings), Lake.of(launched), ConsolidatedPost, [DAY]) == 0
    (line,) = srun.command_lines
    assert SECRET not in line


def test_a_lost_job_is_started_again_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, srun: Srun
) -> None:
    with settings_with(monkeypatch, BSKY_LAUNCHER="slurm") as settings:
        lay_down(settings)
        srun.lose(1)
        run = made(settings, consolidated_posts)
        retries = [e for e in run.all_events if e.event_type is DagsterEventType.STEP_UP_FOR_RETRY]
        assert run.success
        assert len(retries) == 1
        srun.lose(9)
        assert "the job of consolidated_posts on 2026-03-08 was lost" in failure(
            made(settings, consolidated_posts), "consolidated_posts"
        )
        assert len(srun.command_lines) == 2 + 1 + launcher.LOST_RETRIES


@pytest.mark.parametrize(
    ("words", "times"),
    [
        ("Unable to allocate resources: Invalid partition name specified", 1),
        ("Memory specification can not be satisfied", 1),
        ("Unable to allocate resources: Requested node configuration is not available", 1),
        ("Unable to allocate resources: Unable to contact slurm controller", 3),
        ("node1: task 0: Killed", 3),
    ],
)
def test_slurms_own_words_are_told_and_a_refusal_for_good_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, srun: Srun, words: str, times: int
) -> None:
    srun.refuse(f"srun: error: {words}")
    with settings_with(monkeypatch, BSKY_LAUNCHER="slurm") as settings:
        lay_down(settings)
        assert words in failure(made(settings, consolidated_posts), "consolidated_posts")
    assert len(srun.command_lines) == times


@pytest.mark.parametrize("asset", ["consolidated_posts", "filtered_posts"])
def test_a_job_in_a_folder_that_is_not_shared_names_the_lake_in_one_line(
    tmp_path: Path, asset: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bsky_assets.launching.partition", asset, str(DAY)],
        env={**os.environ, "BSKY_DATA_DIR": str(tmp_path / "mine")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert str(tmp_path / "mine" / "lake") in line


def test_a_partition_whose_report_was_lost_is_found_in_the_lake(
    monkeypatch: pytest.MonkeyPatch, srun: Srun
) -> None:
    srun.lose_reports()
    with settings_with(monkeypatch, BSKY_LAUNCHER="slurm") as settings:
        lay_down(settings)
        assert made(settings, consolidated_posts).success
        first = Lake.of(settings).current(ConsolidatedPost, DAY)
        run = made(settings, consolidated_posts)
        second = Lake.of(settings).current(ConsolidatedPost, DAY)
    assert first
    assert second
    assert first.path != second.path
    (event,) = run.asset_materializations_for_node("consolidated_posts")
    assert event.metadata["path"].value == str(second.path)
    assert len(srun.command_lines) == 2


def test_an_error_that_a_job_tells_of_is_final(monkeypatch: pytest.MonkeyPatch, srun: Srun) -> None:
    with settings_with(monkeypatch, BSKY_LAUNCHER="slurm") as settings:
        assert "nothing was collected on 2026-03-08" in failure(
            made(settings, consolidated_posts), "consolidated_posts"
        )
    assert len(srun.command_lines) == 1


def test_assets_that_the_launcher_does_not_take_are_made_in_the_run(
    monkeypatch: pytest.MonkeyPatch, srun: Srun
) -> None:
    with settings_with(
        monkeypatch, BSKY_LAUNCHER="slurm", BSKY_LAUNCHER_ASSETS="filtered_posts"
    ) as settings:
        lay_down(settings)
        assert made(settings, consolidated_posts).success
    assert srun.command_lines == []


def test_without_srun_one_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with settings_with(monkeypatch, BSKY_LAUNCHER="slurm") as settings:
        assert "there is no srun on the PATH" in failure(made(settings), "consolidated_posts")


GIVEN = {
    "BSKY_DATA_DIR": "/shared/bluesky",
    "BSKY_SYNC_TIMEZONE": "Europe/Berlin",
    "BSKY_MEMORY_LIMIT": "6GB",
    "BSKY_TRUSTED_LABELERS": "did:plc:one,did:plc:two",
    "BSKY_APP_PASSWORD": SECRET,
    "BSKY_HANDLE": "someone.test",
    "BSKY_RELAY_URL": "wss://relay.test",
    "BSKY_SYNC_MAX_POSTS": "7",
    "BSKY_LLM_API_KEY": SECRET,
    "BSKY_LLM_MODELS": "one,two",
    "BSKY_LLM_BATCH_SIZE": "4",
    "BSKY_LAUNCHER": "slurm",
    "BSKY_SLURM_ARGS": "--mem=8G --comment='two words'",
}
POSTS = {"BSKY_DATA_DIR", "BSKY_SYNC_TIMEZONE", "BSKY_MEMORY_LIMIT", "BSKY_TRUSTED_LABELERS"}
LABELS = POSTS | {"BSKY_LLM_MODELS", "BSKY_LLM_BATCH_SIZE"}


@pytest.mark.parametrize(
    ("asset", "names", "secret"),
    [
        ("consolidated_posts", POSTS, {}),
        ("filtered_posts", POSTS, {}),
        ("llm_labels", LABELS, {"BSKY_LLM_API_KEY": SECRET}),
    ],
)
def test_what_the_work_needs_goes_with_it_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, asset: str, names: set[str], secret: dict[str, str]
) -> None:
    with settings_with(monkeypatch, **GIVEN) as settings:
        forwarded = forwarding.variables(settings, asset)
        assert forwarded == {name: GIVEN[name] for name in names}
        assert forwarding.secrets(settings, asset) == secret


@pytest.mark.parametrize("asset", ["llm_labels", "filtered_posts"])
@pytest.mark.parametrize("launcher", ["slurm", "ray"])
def test_what_goes_with_the_work_is_read_as_it_was(
    monkeypatch: pytest.MonkeyPatch, asset: str, launcher: str
) -> None:
    given = GIVEN | {"BSKY_LAUNCHER": launcher}
    with settings_with(monkeypatch, **given) as settings:
        forwarded = forwarding.variables(settings, asset)
    for name in given:
        monkeypatch.delenv(name, raising=False)
    with settings_with(monkeypatch, **forwarded) as read:
        for name in forwarding.needed(asset):
            if name != "llm_api_key":
                assert getattr(read, name) == getattr(settings, name)


def test_secrets_are_in_no_command_line_and_no_description_of_a_job(
    monkeypatch: pytest.MonkeyPatch, srun: Srun
) -> None:
    with settings_with(monkeypatch, **GIVEN) as settings:
        job = job_of("llm_labels", DAY, settings)
        line = command_line("a-job", job.command, settings, job.variables | job.secrets)
        assert "--comment=two words" in line
        assert SECRET not in " ".join(line)
        (export,) = (word for word in line if word.startswith("--export="))
        assert "BSKY_LLM_API_KEY" in export.split(",")
        assert SECRET not in str(submission(job, settings))
        assert SECRET not in repr(job)


def test_options_of_a_ray_job_are_kept_beside_what_goes_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = '{"entrypoint_num_cpus": 2, "runtime_env": {"env_vars": {"OMP_NUM_THREADS": "2"}}}'
    with settings_with(monkeypatch, BSKY_LAUNCHER="ray", BSKY_RAY_OPTIONS=options) as settings:
        submitted = submission(job_of("filtered_posts", DAY, settings, "python"), settings)
    assert (
        submitted["entrypoint"]
        == "python -m bsky_assets.launching.partition filtered_posts 2026-03-08"
    )
    assert submitted["entrypoint_num_cpus"] == 2
    assert submitted["runtime_env"]["env_vars"]["OMP_NUM_THREADS"] == "2"
    assert submitted["runtime_env"]["env_vars"]["BSKY_DATA_DIR"] == str(settings.data_dir)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BSKY_LAUNCHER", "cloud"),
        ("BSKY_LAUNCHER_ASSETS", "daily_report"),
        ("BSKY_SLURM_ARGS", "--comment='open"),
        ("BSKY_RAY_OPTIONS", "entrypoint_num_cpus=2"),
        ("BSKY_RAY_OPTIONS", "[1]"),
        ("BSKY_K8S_POD", "/nowhere/pod.yaml"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    get_settings.cache_clear()
    with pytest.raises(InvalidSettings, match=variable):
        get_settings()
