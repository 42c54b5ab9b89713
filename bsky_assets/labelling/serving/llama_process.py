"""The process that holds llama.cpp: its own HTTP server, from the package xllamacpp, on loopback.

It is a process of its own because a failed assertion in llama.cpp ends the process that it is in.
Started by `local_server`; it ends when whoever started it is gone.
"""

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Served:
    """What is served, and how."""

    gguf: str
    name: str
    digest: str
    """sha256:… of the file; the server shows it among the model's tags."""
    port: int
    parallel: int
    """Requests that are answered at once."""
    context: int
    """Tokens of one request and its answer."""
    threads: int | None = None
    """CPU threads; None leaves it to llama.cpp. On a busy machine fewer are faster."""


def serve(served: Served) -> None:
    """Serve until the parent process is gone."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = served.gguf
    parameters.model_alias = {served.name}
    parameters.model_tags = {served.digest}
    parameters.hostnames = [LOOPBACK]
    parameters.port = served.port
    parameters.n_parallel = served.parallel
    parameters.n_ctx = served.parallel * served.context
    if served.threads:
        parameters.cpuparams.n_threads = served.threads
        parameters.cpuparams_batch.n_threads = served.threads
    parameters.ui = False
    parameters.endpoint_slots = False  # it would show what others ask
    parameters.cors_origins = f"http://{LOOPBACK}"  # no web page may use it
    server = xllamacpp.Server(parameters)
    parent = os.getppid()
    print(server.listening_address, flush=True)
    while os.getppid() == parent:
        time.sleep(0.5)


if __name__ == "__main__":
    serve(Served(**json.loads(Path(sys.argv[1]).read_text("utf-8"))))
