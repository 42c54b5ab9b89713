"""A sandbox, and today's sync day of it as a command materialised it: made once a session."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from bsky_assets.settings import Settings

if TYPE_CHECKING:  # seconds that a process which only hands out tests should not wait for
    from bsky_assets_tests.support.command import Done
    from bsky_sandbox.server import Sandbox

EVENTS = 4_000


@dataclass
class SandboxDay:
    """A sandbox, and a data directory that a day of it was materialised into."""

    sandbox: "Sandbox"
    data: Path
    truth: dict[str, list[dict[str, Any]]]

    @property
    def day(self) -> date:
        return self.sandbox.world.day

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that point a command at both."""
        return {**self.sandbox.environment(), "BSKY_DATA_DIR": str(self.data)}

    def command(self, *arguments: str, **environment: str) -> "Done":
        from bsky_assets_tests.support.command import in_this_process

        return in_this_process(*arguments, **self.environment | environment)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query of the catalogue finds."""
        import duckdb

        with duckdb.connect(str(self.data / "bsky.duckdb"), read_only=True) as con:
            return con.sql(sql).fetchall()

    def copied(self, data: Path) -> "SandboxDay":
        """The same day in another data directory, for a test that changes it."""
        from bsky_assets.orchestration.publish import publish

        shutil.copytree(self.data, data)
        publish(Settings(_env_file=None, data_dir=data))
        return replace(self, data=data)


@pytest.fixture(scope="session")
def sandbox_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxDay]:
    """Tests only read it, or make again what is there; those that change it take a copy."""
    from bsky_sandbox.server import Sandbox
    from bsky_sandbox.truth import read_truth, write_truth

    folder = tmp_path_factory.mktemp("sandbox_day")
    with Sandbox.start(seed=3, day=present_day(), events=EVENTS) as sandbox:
        write_truth(sandbox.world.truth(), folder / "truth.jsonl")
        made = SandboxDay(sandbox, folder / "data", read_truth(folder / "truth.jsonl"))
        done = made.command("materialize", "--day", "today")
        assert done.returncode == 0, done.stderr
        yield made


def present_day() -> date:
    return datetime.now(UTC).astimezone(ZoneInfo("America/Chicago")).date()


def plain_environment() -> dict[str, str]:
    """The environment without the settings of whoever runs the tests."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BSKY_", "DAGSTER_"))
    }
