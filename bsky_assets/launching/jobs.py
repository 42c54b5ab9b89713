"""A job: what is run for a partition, what goes with it, and how it ended."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from dagster import PipesMessageHandler, PipesMessageReader
from dagster_pipes import PipesParams

from bsky_assets.launching import forwarding
from bsky_assets.settings import Settings


@dataclass(frozen=True)
class Job:
    """The making of one partition by a process of its own."""

    asset: str
    day: date
    command: list[str]
    variables: dict[str, str]
    """Settings that go with it."""
    secrets: dict[str, str] = field(repr=False)
    """Settings that go with it where nobody else can read them, and otherwise not at all."""


def job_of(asset: str, day: date, settings: Settings, python: str = sys.executable) -> Job:
    """The job that makes the partition of `asset` on `day`; `python` is that of the nodes."""
    return Job(
        asset,
        day,
        [
            settings.launcher_python or python,
            "-m",
            "bsky_assets.launching.partition",
            asset,
            str(day),
        ],
        # Unbuffered, or else progress would come in blocks.
        forwarding.variables(settings, asset) | {"PYTHONUNBUFFERED": "1"},
        forwarding.secrets(settings, asset),
    )


@dataclass(frozen=True)
class Ended:
    """How a job ended."""

    report: Mapping[str, Any] | None
    """What it said came of it; None if it was gone before."""
    problem: str | None
    """What the engine says went wrong with it, if anything did."""


class KeepsReports(PipesMessageReader):
    """Keeps what is reported, of jobs that fail as well: Dagster's clients give only the others'.

    To be mixed into the message reader of an engine.
    """

    _kept: PipesMessageHandler | None = None

    @property
    def expected_writer_count(self) -> int:
        """One: the job. Dagster's own says the same, and warns that it may change."""
        return 1

    @contextmanager
    def read_messages(self, handler: PipesMessageHandler) -> Iterator[PipesParams]:
        """Read messages as the engine's reader does."""
        self._kept = handler
        with super().read_messages(handler) as params:  # type: ignore[safe-super]  # the engine's
            yield params

    def ended(self, problem: str | None = None) -> Ended:
        """How the job ended, by what was reported and by what the engine says."""
        messages = self._kept.get_custom_messages() if self._kept else ()
        return Ended(messages[-1] if messages else None, problem)
