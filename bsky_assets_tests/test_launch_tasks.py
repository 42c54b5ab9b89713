"""A day that is judged in parts, by tasks on other nodes than its job's: the same, row for row."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.contracts import ConsolidatedPost, FilteredPost, RawModerationLabel
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.filters_fixtures import label, post
from bsky_assets_tests.launch_fixtures import DAY, Srun, failure, made, settings_with
from bsky_assets_tests.rows import post_uri, table
from bsky_assets_tests.test_object_storage import BUCKET, endpoint  # noqa: F401

SECRET = "hunter2-is-not-a-password"
GROUP, GROUPS = 20, 6
PARTS = GROUPS // 2
SPREAD = {"BSKY_LAUNCHER": "slurm", "BSKY_SPREAD_POSTS": str(2 * GROUP - 1)}
TEXTS = (
    "The council voted last night to delay the new housing plan",
    "bom dia meus amigos, hoje vai ser um dia muito longo",
    "I made $5,000 in a week working from home, DM me on WhatsApp",
    "All immigrants are vermin and I hate them",
)
PORTUGUESE = 1
LABELLED = (7, 45, 46, 119)
"""Posts that labels of the day speak of: in the first part, in a later one, and at the end."""


def consolidated(settings: Settings) -> None:
    posts = [
        post(f"{TEXTS[number % len(TEXTS)]} {number}", f"did:plc:{number}", number)
        for number in range(GROUP * GROUPS)
    ]
    labels = [
        label(post_uri(f"did:plc:{number}", f"k{number}"), "spam", settings.trusted_labelers[0])
        for number in LABELLED
    ]
    lake = Lake.of(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bsky_assets.storage.lake.ROW_GROUP_ROWS", GROUP)
        lake.write(ConsolidatedPost, DAY, table(ConsolidatedPost, posts))
    lake.write(RawModerationLabel, DAY, table(RawModerationLabel, labels))


def filtered(settings: Settings) -> pa.Table:
    partition = Lake.of(settings).current(FilteredPost, DAY)
    assert partition
    path = partition.path
    rows = pq.read_table(path if isinstance(path, Path) else path.open(), partitioning=None)
    assert rows.num_rows == GROUP * GROUPS
    return rows.drop_columns(["filtered_at", "preprocessing_timestamp"])


@pytest.fixture
def expected(settings: Settings) -> pa.Table:
    """The day, as its own machine alone judges it."""
    consolidated(settings)
    assert made(settings, filtered_posts).success
    rows = filtered(settings)
    reasons = [reason or "" for reason in rows["filter_reason"].to_pylist()]
    labelled = [number for number, reason in enumerate(reasons) if reason.startswith("label:")]
    assert labelled == [n for n in LABELLED if n % len(TEXTS) != PORTUGUESE]
    return rows


@pytest.fixture
def srun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Srun:
    return Srun(tmp_path, monkeypatch)


def tasks_that_answered(told: str) -> int:
    ((answered, parts),) = re.findall(r"(\d+) of (\d+) parts of the day were judged by tasks", told)
    assert int(parts) == PARTS
    return int(answered)


def test_judged_by_tasks_a_day_is_the_same_row_for_row(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    srun: Srun,
    endpoint: str,  # noqa: F811
    expected: pa.Table,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with settings_with(
        monkeypatch,
        **SPREAD,
        BSKY_SLURM_ARGS="--comment='two words' --mem=2G",
        BSKY_SLURM_EXPORT="AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY",
        BSKY_LAKE_URL=f"s3://{BUCKET}/spread",
        BSKY_LAKE_ENDPOINT_URL=endpoint,
    ) as launched:
        consolidated(launched)
        assert made(launched, filtered_posts).success
        assert filtered(launched).equals(expected)
    assert tasks_that_answered(capfd.readouterr().err) == PARTS - 1
    job, *tasks = srun.command_lines
    assert '"--job-name=filtered_posts-2026-03-08"' in job
    assert len(tasks) == PARTS - 1
    assert all('"--job-name=filtered_posts-2026-03-08-part"' in task for task in tasks)
    assert all('"--comment=two words", "--mem=2G"' in line for line in srun.command_lines)
    assert SECRET not in "".join(srun.command_lines)


@pytest.mark.parametrize(
    "what_happens",
    [
        pytest.param("import time; time.sleep(600)", id="there is no room for it"),
        pytest.param("sys.exit('srun: error: Invalid account')", id="Slurm refuses it"),
        pytest.param("os.write(1, b'begun\\n'); sys.exit('Killed')", id="its node is lost"),
    ],
)
def test_what_no_task_answers_the_job_judges_itself(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    srun: Srun,
    expected: pa.Table,
    what_happens: str,
) -> None:
    srun.on_tasks(what_happens)
    with settings_with(monkeypatch, **SPREAD) as launched:
        assert made(launched, filtered_posts).success
        assert filtered(launched).equals(expected)
    assert tasks_that_answered(capfd.readouterr().err) == 0
    assert len(srun.command_lines) == PARTS


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("BSKY_DATA_DIR", "/nowhere", "FileNotFoundError: "),
        ("BSKY_TRUSTED_LABELERS", "did:plc:other", "they were judged with filter_version "),
    ],
)
def test_what_a_task_tells_of_fails_the_day(
    monkeypatch: pytest.MonkeyPatch, srun: Srun, variable: str, value: str, told: str
) -> None:
    srun.on_tasks(f"names.append('{variable}'); os.environ['{variable}'] = '{value}'")
    with settings_with(monkeypatch, **SPREAD) as launched:
        consolidated(launched)
        line = failure(made(launched, filtered_posts), "filtered_posts")
        assert line.startswith(f"posts 41 to 80 of {DAY}, judged by a task: {told}")
        assert Lake.of(launched).current(FilteredPost, DAY) is None
    assert len(srun.command_lines) == PARTS


def test_with_the_job_its_tasks_are_cancelled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, srun: Srun
) -> None:
    srun.on_tasks(
        f"import time; open(f'{tmp_path}/{{os.getpid()}}.task', 'w'); os.write(1, b'begun\\n'); "
        "time.sleep(600)"
    )
    with settings_with(monkeypatch, **SPREAD) as launched:
        consolidated(launched)
        job = subprocess.Popen(
            [sys.executable, "-m", "bsky_assets.partition", "filtered_posts", str(DAY)]
        )
    while len(found := list(tmp_path.glob("*.task"))) < PARTS - 1 and job.poll() is None:
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)
    assert job.wait(30) == 128 + signal.SIGTERM
    assert found
    assert not any(psutil.pid_exists(int(task.stem)) for task in found)
