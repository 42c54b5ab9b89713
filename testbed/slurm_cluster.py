"""A Slurm cluster on loopback: Slurm's own daemons, with several nodes on this machine.

Debian has them in the packages slurmctld, slurmd, slurm-client and munge. They run in the
foreground as children of this process, with a key and a socket of their own, and end with it.
"""

import getpass
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from testbed.ports import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "squeue", "scancel", "sinfo")
START_SECONDS = 60

CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
KillWait=5
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """What is not installed of what a cluster needs."""
    return [name for name in PROGRAMS if _program(name) is None]


def _program(name: str) -> str | None:
    # Debian keeps daemons where only root's PATH looks.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


@contextmanager
def slurm_cluster(folder: Path, nodes: int = 2, cpus: int = 1) -> Iterator[Mapping[str, str]]:
    """Start a cluster; yields the variables with which srun and its like find it.

    They are in this process's environment, too, as long as it runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    configuration = _configure(folder, nodes, cpus)
    environment = {"SLURM_CONF": str(configuration)}
    with ExitStack() as stack:
        stack.enter_context(_daemon(folder, *_munged(folder)))
        _wait_for(lambda: (folder / "munge.socket").exists(), "munged", folder)
        for command in (
            ["slurmctld", "-D", "-f", str(configuration)],
            *(["slurmd", "-D", "-N", name, "-f", str(configuration)] for name in _names(nodes)),
        ):
            stack.enter_context(_daemon(folder, *command))
        stack.enter_context(in_environment(environment))
        _wait_for(lambda: _idle() == nodes, "slurmctld and slurmd", folder)
        yield environment


@contextmanager
def in_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have `variables` in this process's environment."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


def _configure(folder: Path, nodes: int, cpus: int) -> Path:
    (folder / "state").mkdir(exist_ok=True)
    ports = [free_port() for _ in range(1 + nodes)]
    lines = []
    for name, port in zip(_names(nodes), ports[1:], strict=True):
        (folder / f"spool-{name}").mkdir(exist_ok=True)
        lines.append(
            f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs={cpus} "
            "State=UNKNOWN"
        )
    path = folder / "slurm.conf"
    path.write_text(
        CONFIGURATION.format(
            folder=folder, ports=ports, nodes="\n".join(lines), user=getpass.getuser()
        )
    )
    return path


def _munged(folder: Path) -> list[str]:
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(64))
    key.chmod(0o600)
    files = {name: folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
    return [
        "munged",
        "--foreground",
        "--force",
        f"--key-file={key}",
        *(f"--{name}{'' if name == 'socket' else '-file'}={path}" for name, path in files.items()),
    ]


def _names(nodes: int) -> list[str]:
    return [f"node{number}" for number in range(1, nodes + 1)]


@contextmanager
def _daemon(folder: Path, name: str, *arguments: str) -> Iterator[None]:
    program = _program(name)
    assert program, f"{name} is not installed"
    with (folder / f"{name}.out").open("ab") as out:
        process = subprocess.Popen([program, *arguments], stdout=out, stderr=out)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(ready: Callable[[], bool], what: str, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not start; its logs are in {folder}")
        time.sleep(0.2)


def _idle() -> int:
    found = slurm("sinfo", "--noheader", "--states=idle", "--format=%D")
    return sum(map(int, found.split()))


def slurm(*command: str) -> str:
    """What a command of Slurm prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
