"""A day that a launcher can make, through Dagster, and what is to compare afterwards."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from dagster import AssetsDefinition, DagsterInstance, ExecuteInProcessResult, materialize

from bsky_assets.assets.consolidated_posts import consolidated_posts
from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.orchestration.of_settings import of_settings
from bsky_assets.orchestration.resources import DataDirectory, duckdb_resource
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake
from testbed.rows import firehose_post, record, table

DAY = date(2026, 3, 8)
TEXTS = ("The vote in the senate is on Tuesday", "Bom dia a todos os meus amigos", "follow me")

SRUN = """\
#!{python}
import json, os, sys
split = next(n for n, word in enumerate(sys.argv[1:], 1) if not word.startswith("-"))
options, command = sys.argv[1:split], sys.argv[split:]
with open("{log}", "a") as log:
    log.write(json.dumps(sys.argv) + "\\n")
if os.path.exists("{losses}"):
    left = int(open("{losses}").read())
    if left:
        open("{losses}", "w").write(str(left - 1))
        sys.exit("srun: error: node1: task 0: Killed")
if os.path.exists("{refusal}"):
    sys.exit(open("{refusal}").read())
if os.path.exists("{silence}"):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
names = next(word for word in options if word.startswith("--export=")).split("=", 1)[1].split(",")
os.execve(command[0], command, {{name: os.environ[name] for name in names if name in os.environ}})
"""


class Srun:
    """What speaks like srun on the PATH: it runs the command with the exported variables alone."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._log, self._losses = folder / "srun.log", folder / "losses"
        self._silence, self._refusal = folder / "silence", folder / "refusal"
        program = folder / "srun"
        program.write_text(
            SRUN.format(
                python=sys.executable,
                log=self._log,
                losses=self._losses,
                silence=self._silence,
                refusal=self._refusal,
            )
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def lose(self, jobs: int) -> None:
        """Lose so many jobs from now on before they begin."""
        self._losses.write_text(str(jobs))

    def refuse(self, words: str) -> None:
        """Take no job from now on, and say why."""
        self._refusal.write_text(words)

    def lose_reports(self) -> None:
        """Let jobs end well from now on, and nothing of what they report arrive."""
        self._silence.touch()

    @property
    def command_lines(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


def lay_down(settings: Settings, day: date = DAY, posts: int = 60) -> None:
    received = datetime(day.year, day.month, day.day, 18, tzinfo=UTC)
    rows = [
        firehose_post(
            f"did:plc:{number % 7}",
            f"{day:%m%d}{number}",
            number,
            record=record(f"{TEXTS[number % len(TEXTS)]} {number}"),
            received_at=received + timedelta(seconds=number),
        )
        for number in range(posts)
    ]
    Lake.of(settings).write(RawFirehosePost, day, table(RawFirehosePost, rows))


def failure(run: ExecuteInProcessResult, step: str) -> str:
    (event,) = (found for found in run.get_step_failure_events() if found.step_key == step)
    told = event.step_failure_data.user_failure_data
    return str(told.description) if told else ""


@contextmanager
def settings_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[Settings]:
    with monkeypatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        yield get_settings()
    get_settings.cache_clear()


def made(settings: Settings, *assets: AssetsDefinition, day: date = DAY) -> ExecuteInProcessResult:
    """A run of Dagster that makes `assets` of `day`, wherever the settings say."""
    with DagsterInstance.ephemeral() as instance:
        return materialize(
            [of_settings(one, settings) for one in assets or (consolidated_posts, filtered_posts)],
            partition_key=day.isoformat(),
            instance=instance,
            resources={"data": DataDirectory(settings), "duckdb": duckdb_resource(settings)},
            raise_on_error=False,
        )
