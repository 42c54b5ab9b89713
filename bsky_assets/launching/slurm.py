"""Jobs of Slurm, through srun.

What a job reports comes over srun's standard output, so that no file has to be shared for it:
what is written on one node of a network file system may be seen late on another.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from subprocess import PIPE, Popen

from dagster import (
    AssetExecutionContext,
    PipesEnvContextInjector,
    PipesMessageHandler,
    PipesMessageReader,
    open_pipes_session,
)
from dagster._core.pipes.utils import extract_message_or_forward_to_stdout
from dagster_pipes import PipesDefaultMessageWriter, PipesParams

from bsky_assets.launching.jobs import Ended, Job, KeepsReports
from bsky_assets.launching.srun import cancel, command_line
from bsky_assets.settings import Settings


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
            cancel(process)
            raise
