"""Jobs of Slurm, through srun.

What a job reports comes over srun's standard output, so that no file has to be shared for it:
what is written on one node of a network file system may be seen late on another.
"""

import os
import re
import shutil
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from subprocess import PIPE, Popen, TimeoutExpired
from threading import Thread
from typing import IO

from dagster import (
    AssetExecutionContext,
    PipesEnvContextInjector,
    PipesMessageHandler,
    PipesMessageReader,
    open_pipes_session,
)
from dagster._core.pipes.utils import extract_message_or_forward_to_stdout
from dagster_pipes import PipesDefaultMessageWriter, PipesParams

from bsky_assets.console import one_line
from bsky_assets.errors import UserError
from bsky_assets.launching.jobs import Ended, Job, KeepsReports
from bsky_assets.settings import Settings

_OF_THE_USER = ("PATH", "HOME", "USER", "LANG", "LD_LIBRARY_PATH")
_SECONDS_TO_CANCEL = 20.0
_LINES_KEPT = 3
_SLURMS_OWN = re.compile(r"(srun|slurmstepd)(-[\w.]+)?: (error: |fatal: )?")
_FINAL = re.compile(
    # Of Slurm's slurm_errno.c: what waiting does not mend. Others (a node is down, the controller
    # does not answer) may be over when the job is sent again.
    r"[Ii]nvalid|unrecognized option|[Mm]emory specification can ?not|permission denied"
    r"|Requested node configuration is not available|[Mm]ore processors requested than permitted"
    r"|violates accounting|not permitted to use|Requested time limit is invalid"
)


class _StandardOutput(PipesMessageReader):
    """Messages are lines of standard output."""

    @contextmanager
    def read_messages(self, handler: PipesMessageHandler) -> Iterator[PipesParams]:
        yield {PipesDefaultMessageWriter.STDIO_KEY: PipesDefaultMessageWriter.STDOUT}

    def no_messages_debug_text(self) -> str:
        return "Looked for messages in the standard output of srun."


class _Reader(KeepsReports, _StandardOutput):
    pass


def run(context: AssetExecutionContext, job: Job, settings: Settings) -> Ended:
    """Run `job` and wait for its end; if this run is terminated, the job is cancelled.

    Raises:
        UserError: there is no srun here, or Slurm will not take such a job.
    """
    reader, said = _Reader(), _Said()
    with open_pipes_session(context, PipesEnvContextInjector(), reader) as session:
        variables = job.variables | job.secrets | dict(session.get_bootstrap_env_vars())
        status = _srun(
            command_line(f"{job.asset}-{job.day}", job.command, settings, variables),
            {**os.environ, **variables},
            session.message_handler,
            said,
        )
    if refusal := said.refusal():
        raise UserError(f"Slurm refuses the job of {job.asset}: {refusal}; see BSKY_SLURM_ARGS")
    return reader.ended(f"srun ended with status {status}: {said.last()}" if status else None)


class _Said:
    """What srun itself says on standard error; what the job says there is passed on alike."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)

    def listen(self, stream: IO[str]) -> None:
        """Pass on everything that comes, and keep the last of what is Slurm's."""
        for line in stream:
            sys.stderr.write(line)
            if _SLURMS_OWN.match(line):
                self._lines.append(one_line(_SLURMS_OWN.sub("", line)))

    def last(self) -> str:
        return "; ".join(self._lines) or "nothing was said"

    def refusal(self) -> str | None:
        """Why the job is not taken and never will be, as things are."""
        return self.last() if any(map(_FINAL.search, self._lines)) else None


def _srun(
    command: list[str],
    environment: Mapping[str, str],
    handler: PipesMessageHandler,
    said: _Said,
) -> int:
    with Popen(
        command, env=environment, stdout=PIPE, stderr=PIPE, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        listener = Thread(target=said.listen, args=(process.stderr,), daemon=True)
        listener.start()
        try:
            for line in process.stdout:
                extract_message_or_forward_to_stdout(handler, line.rstrip("\n"))
            listener.join()
            return process.wait()
        except BaseException:  # whatever ends the run must not leave the job behind
            _cancel(process)
            raise


def command_line(
    name: str, command: Sequence[str], settings: Settings, variables: Iterable[str]
) -> list[str]:
    """The srun that runs `command` as a job called `name`.

    Variables stand in it by their names alone, and others are left behind.

    Raises:
        UserError: there is no srun here.
    """
    srun = shutil.which("srun")
    if srun is None:
        raise UserError(
            "BSKY_LAUNCHER is slurm, and there is no srun on the PATH; start Dagster on a node "
            "that submits jobs, or set BSKY_LAUNCHER=local"
        )
    exported = [*_OF_THE_USER, *settings.slurm_export, *sorted(variables)]
    return [
        srun,
        "--ntasks=1",
        f"--job-name={name}",
        *settings.slurm_args,
        # One interrupt cancels the job; by default srun asks for a second one.
        "--quit-on-interrupt",
        f"--export={','.join(exported)}",
        *command,
    ]


def _cancel(process: Popen[str]) -> None:
    """Cancel the job of an srun, if it runs, and wait for its end."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_SECONDS_TO_CANCEL)
    except TimeoutExpired:
        process.kill()
