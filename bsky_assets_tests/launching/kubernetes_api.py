"""The part of a Kubernetes API that runs a pod, on loopback; its container is a process here."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

PODS = re.compile(r"/api/v1/namespaces/([\w-]+)/pods(?:/([\w-]+)(/log)?)?(?:\?.*)?$")

REFUSAL = "it does not suit us: \x1b[31mred"


class Pods:
    """The pods of a cluster. `lose` of them end without having run, as on a node that is lost.

    Requests for pods are answered with the statuses of `refusals` as long as there are any.
    """

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.lose = 0
        self.refusals: list[int] = []
        self.refused = 0
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        self.bodies.append(body)
        container = body["spec"]["containers"][0]
        command = [sys.executable, *container["command"][1:]]
        if self.lose:
            self.lose -= 1
            command = [sys.executable, "-c", "raise SystemExit(137)"]
        given = {each["name"]: each["value"] for each in container["env"]}
        self._processes[body["metadata"]["name"]] = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd()), **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self._described(body)

    def listed(self, selector: str) -> dict[str, Any]:
        items = [
            self._described(body) for body in self.bodies if body["metadata"]["name"] in selector
        ]
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}

    def log(self, name: str) -> Iterator[str]:
        output = self._processes[name].stdout
        assert output is not None
        for line in output:
            yield f"{datetime.now(UTC).isoformat().replace('+00:00', 'Z')} {line}"

    def delete(self, name: str) -> dict[str, Any]:
        self.deleted.append(name)
        return next(body for body in self.bodies if body["metadata"]["name"] == name)

    def _described(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body["metadata"]["name"]
        status = self._processes[name].poll()
        state: dict[str, Any] = {"running": {"startedAt": "2026-03-08T00:00:00Z"}}
        if status is not None:
            reason = "Error" if status else "Completed"
            state = {"terminated": {"exitCode": status, "reason": reason}}
        container = {
            "name": body["spec"]["containers"][0]["name"],
            "image": "image", "imageID": "", "restartCount": 0, "ready": True, "state": state,
        }  # fmt: skip
        phase = "Running" if status is None else "Failed" if status else "Succeeded"
        return {**body, "status": {"phase": phase, "containerStatuses": [container]}}


@contextmanager
def kubernetes_api(folder: Path) -> Iterator[tuple[Pods, Path]]:
    """Serve the API; yields its pods and a kubeconfig that leads to it."""
    pods = Pods()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            if pods.refusals:
                pods.refused += 1
                status = pods.refusals.pop(0)
                self._answer({"kind": "Status", "code": status, "message": REFUSAL}, status)
            else:
                self._answer(pods.create(body), 201)

        def do_GET(self) -> None:
            found = PODS.match(self.path)
            assert found, self.path
            if not found[3]:
                self._answer(pods.listed(self.path))
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            for line in pods.log(found[2]):
                self.wfile.write(line.encode())

        def do_DELETE(self) -> None:
            found = PODS.match(self.path)
            assert found, self.path
            self._answer(pods.delete(found[2]))

        def _answer(self, body: dict[str, Any], status: int = 200) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield pods, _kubeconfig(folder, server.server_port)
        finally:
            server.shutdown()


def _kubeconfig(folder: Path, port: int) -> Path:
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "loopback",
                "clusters": [
                    {"name": "loopback", "cluster": {"server": f"http://127.0.0.1:{port}"}}
                ],
                "users": [{"name": "nobody", "user": {}}],
                "contexts": [
                    {"name": "loopback", "context": {"cluster": "loopback", "user": "nobody"}}
                ],
            }
        )
    )
    return path
