"""How srun is called, and how a job that it runs is cancelled.

What does not belong here: Dagster, which jobs of a day know nothing of.
"""

import shutil
import signal
from collections.abc import Iterable, Sequence
from subprocess import Popen, TimeoutExpired
from typing import Any

from bsky_assets.errors import UserError
from bsky_assets.settings import Settings

_OF_THE_USER = ("PATH", "HOME", "USER", "LANG", "LD_LIBRARY_PATH")
_SECONDS_TO_CANCEL = 20.0


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


def cancel(*sruns: "Popen[Any]") -> None:
    """Cancel the jobs of `sruns`, if they run, and wait for their end."""
    for process in sruns:
        process.send_signal(signal.SIGINT)
    for process in sruns:
        try:
            process.wait(_SECONDS_TO_CANCEL)
        except TimeoutExpired:
            process.kill()
