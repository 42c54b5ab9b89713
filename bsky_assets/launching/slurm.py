"""Jobs of Slurm, through srun.

What a job reports comes over srun's standard output, so that no file has to be shared for it:
what is written on one node of a network file system may be seen late on another.
"""

import os
import shutil
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from subprocess import PIPE, Popen, TimeoutExpired

from dagster import (
    AssetExecutionContext,
    PipesEnvContextInjector,
    PipesMessageHandler,
    PipesMessageReader,
    open_pipes_session,
)
from dagster._core.pipes.utils import extract_message_or_forward_to_stdout
from dagster_pipes import PipesDefaultMessageWriter, PipesParams

from bsky_assets.errors import UserError
from bsky_assets.launching.jobs import Ended, Job, KeepsReports
from bsky_assets.settings import Settings

_OF_THE_USER = ("PATH", "HOME", "USER", "LANG", "LD_LIBRARY_PATH")
_SECONDS_TO_CANCEL = 20.0


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
        UserError: there is no srun here.
    """
    reader = _Reader()
    with open_pipes_session(context, PipesEnvContextInjector(), reader) as session:
        variables = job.variables | job.secrets | dict(session.get_bootstrap_env_vars())
        status = _srun(
            command_line(f"{job.asset}-{job.day}", job.command, settings, variables),
            {**os.environ, **variables},
            session.message_handler,
        )
    return reader.ended(f"srun ended with status {status}" if status else None)


def _srun(command: list[str], environment: Mapping[str, str], handler: PipesMessageHandler) -> int:
    with Popen(command, env=environment, stdout=PIPE, text=True, errors="replace") as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                extract_message_or_forward_to_stdout(handler, line.rstrip("\n"))
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
