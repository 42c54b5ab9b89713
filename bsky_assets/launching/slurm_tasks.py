"""Tasks as jobs of Slurm of their own, which the job of the day starts through srun.

The question goes to srun's standard input and the answer comes over its standard output, so no
file has to be shared for them.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from subprocess import Popen
from tempfile import TemporaryFile
from types import FrameType

from bsky_assets.contracts import FilteredPost
from bsky_assets.launching import forwarding
from bsky_assets.launching.srun import cancel, command_line
from bsky_assets.launching.tasks import BEGUN, PATIENCE_SECONDS, Start, Tell
from bsky_assets.settings import Settings

_LOOK_SECONDS = 0.1


class _Task:
    """An srun with a question; what it says goes to a file that has no name."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], question: bytes, tell: Tell
    ) -> None:
        self._tell = tell
        self._said = TemporaryFile()  # noqa: SIM115 -- it is closed when it was read
        with TemporaryFile() as asked:
            asked.write(question)
            asked.seek(0)
            self.srun = Popen(command, env=environment, stdin=asked, stdout=self._said)
        self._patient_until = time.monotonic() + PATIENCE_SECONDS

    def answer(self) -> bytes | None:
        """What it answered; None if no node has begun with it, or it was lost."""
        with self._said:
            while not self._begun() and self.srun.poll() is None:
                if time.monotonic() > self._patient_until:
                    self.srun.send_signal(signal.SIGINT)
                    return None
                time.sleep(_LOOK_SECONDS)
            status = self.srun.wait()
            self._said.seek(len(BEGUN))
            found = self._said.read()
        if status or not found:
            self._tell(f"a task was lost: srun ended with status {status}")
            return None
        return found

    def _begun(self) -> bool:
        return os.fstat(self._said.fileno()).st_size > 0


@contextmanager
def tasks(settings: Settings, day: date, tell: Tell) -> Iterator[Start]:
    """Starts tasks; those that are left over are cancelled, if this process is, too.

    Raises:
        UserError: there is no srun here.
    """
    asset = FilteredPost.asset
    variables = forwarding.variables(settings, asset) | forwarding.secrets(settings, asset)
    command = command_line(
        f"{asset}-{day}-part", [sys.executable, "-m", "bsky_assets.part"], settings, variables
    )
    environment = {**_outside(os.environ), **variables}
    started: list[_Task] = []

    def start(question: bytes) -> _Task:
        started.append(_Task(command, environment, question, tell))
        return started[-1]

    with _left_when_terminated():
        try:
            yield start
        finally:
            cancel(*(task.srun for task in started))


def _outside(variables: Mapping[str, str]) -> dict[str, str]:
    """`variables` without those of the job, in whose nodes srun would make a step otherwise."""
    return {
        name: value
        for name, value in variables.items()
        if not name.startswith("SLURM_") or name == "SLURM_CONF"
    }


@contextmanager
def _left_when_terminated() -> Iterator[None]:
    """Let a cancelled job clean up: by default SIGTERM ends a process without a word."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
