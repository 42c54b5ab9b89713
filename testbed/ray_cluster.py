"""A Ray cluster on loopback: two or more nodes of Ray's own on this machine.

They run in the foreground as children of this process, let in by a token of their own, and end
with it. Each has a session folder of its own, as nodes of a real cluster have.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from testbed.ports import free_port
from testbed.slurm_cluster import in_environment

START_SECONDS = 300
OBJECT_STORE_BYTES = 100_000_000
HEAD = "head"


@dataclass
class RayCluster:
    """The cluster, and how one is let in."""

    folder: Path
    environment: dict[str, str]
    """The variables with which Ray's clients find it."""
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def kill(self, name: str) -> None:
        """Kill a node and all that runs on it, without a word to the others."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def jobs(self) -> list[dict[str, Any]]:
        """What Ray's job server knows of jobs."""
        return list(json.loads(self._get("/api/jobs/")))

    def nodes(self) -> int:
        """So many nodes have come up."""
        return sum(node["raylet"].get("state") == "ALIVE" for node in self._summary())

    def head(self) -> str:
        """The identifier of the head node."""
        (found,) = (node for node in self._summary() if node["raylet"].get("isHeadNode"))
        return str(found["raylet"]["nodeId"])

    def _summary(self) -> list[dict[str, Any]]:
        return list(json.loads(self._get("/nodes?view=summary"))["data"]["summary"])

    def _get(self, path: str) -> bytes:
        token = self.environment["RAY_AUTH_TOKEN"]
        request = Request(
            self.environment["RAY_ADDRESS"] + path, headers={"Authorization": f"Bearer {token}"}
        )
        with urlopen(request, timeout=10) as answer:
            return bytes(answer.read())


@contextmanager
def ray_cluster(folder: Path, nodes: int = 2, cpus: int = 1) -> Iterator[RayCluster]:
    """Start a cluster with a head and `nodes` - 1 others, each with so many CPUs."""
    folder.mkdir(parents=True, exist_ok=True)
    port, dashboard, client = (free_port() for _ in range(3))
    cluster = RayCluster(
        folder,
        {
            "RAY_ADDRESS": f"http://127.0.0.1:{dashboard}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        },
    )
    head = [
        "--head", f"--port={port}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
        f"--ray-client-server-port={client}",
    ]  # fmt: skip
    with ExitStack() as stack:
        # Ray reads them once in a process, so they are there before any of its clients.
        stack.enter_context(in_environment(cluster.environment))
        stack.callback(_end, cluster)
        _start(cluster, HEAD, cpus, head)
        _wait_for(cluster, 1)
        for number in range(1, nodes):
            _start(cluster, f"node{number}", cpus, [f"--address=127.0.0.1:{port}"])
        _wait_for(cluster, nodes)
        _wait_for_an_agent(cluster)
        yield cluster


def _start(cluster: RayCluster, name: str, cpus: int, arguments: list[str]) -> None:
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--block", "--disable-usage-stats",
        "--node-ip-address=127.0.0.1", f"--num-cpus={cpus}",
        f"--object-store-memory={OBJECT_STORE_BYTES}", "--include-log-monitor=false",
        *([f"--temp-dir={cluster.folder / 'ray'}"] if name == HEAD else []),
        *arguments,
    ]  # fmt: skip
    environment = {**os.environ, **cluster.environment}
    del environment["RAY_ADDRESS"]  # it is for clients; a node would take it for its head
    with (cluster.folder / f"{name}.out").open("ab") as out:
        cluster.processes[name] = subprocess.Popen(
            command, env=environment, stdout=out, stderr=out, start_new_session=True
        )


def _wait_for_an_agent(cluster: RayCluster) -> None:
    """A node is there some seconds before jobs can be submitted to it."""
    from ray.job_submission import JobSubmissionClient

    client = JobSubmissionClient()
    for _ in range(START_SECONDS):
        try:
            client.submit_job(entrypoint="true", entrypoint_num_cpus=1)
            return
        except RuntimeError:
            time.sleep(1)
    raise RuntimeError(f"Ray takes no jobs; its logs are in {cluster.folder}")


def _end(cluster: RayCluster) -> None:
    for name, process in reversed(cluster.processes.items()):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                cluster.kill(name)


def _wait_for(cluster: RayCluster, nodes: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if cluster.nodes() >= nodes:
                return
        except (URLError, ConnectionError, TimeoutError, KeyError):
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"Ray did not start; its logs are in {cluster.folder}")
        time.sleep(0.5)
