"""`bsky-assets run`: the whole way of today's posts, then the UI. `make run`, `make live`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo, echo_err, one_line, silence, stderr
from bsky_assets.errors import UserError
from bsky_assets.storage.files import staged
from bsky_assets.sync_day import now, sync_day_of, today

if TYPE_CHECKING:
    from bsky_assets.settings import Settings

HOST = "127.0.0.1"
_INSTANT = "%Y-%m-%dT%H:%M:%S"
START_SECONDS = 120
"""How long the sandbox may take to listen."""


PORT = 3000
"""Of the UI, unless somebody else has it."""


class SandboxFailed(UserError):
    """The sandbox did not start."""


class PortInUse(UserError):
    """Somebody else listens on the port that the UI was to have."""


def run(
    live: Annotated[
        bool, typer.Option("--live", help="The real network and your LLM, not the sandbox.")
    ] = False,
    ui: Annotated[bool, typer.Option(help="Serve the Dagster UI afterwards.")] = True,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help=f"Port of the UI; default: {PORT}, or if it is taken, another."
        ),
    ] = None,
    events: Annotated[
        int, typer.Option(min=100, help="Events of the sandbox's firehose.")
    ] = 30_000,
    seed: Annotated[int, typer.Option(help="Seed of the sandbox's posts.")] = 0,
    real_llm: Annotated[
        bool,
        typer.Option("--real-llm", help="Label with the installed SmolLM2; about a post a second."),
    ] = False,
) -> None:
    """Materialise today's sync day, print a summary, then serve the Dagster UI.

    On a sandbox of Bluesky and an LLM on loopback, or with --live on the real ones. With
    --real-llm the sandbox's posts are labelled by a real model, too small to be right.
    The exit status is 0 if all of the day was materialised, and the UI started.

    \b
    Example:
      bsky-assets run --no-ui
    """
    if ui and port:
        _ui_port(port)  # what cannot be had is told now, and not after the day
    # Ended by a service manager, it ends the sandbox and the UI as it does when interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell lets what it puts into the background ignore interrupts, and the UI would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _begin(live, events)
    if live:
        with _reports(ui):
            _run_day(ui, port)
        return
    model: AbstractContextManager[dict[str, str]] = _real_llm() if real_llm else nullcontext({})
    with ExitStack() as served:
        with silence.told("starting"):
            environment = served.enter_context(_sandbox(get_settings(), events, seed))
            instead = served.enter_context(model)
        served.enter_context(_reports(ui))
        _set_variables({**environment, **instead})
        _run_day(ui, port)


def _begin(live: bool, events: int) -> None:
    """Say what comes, before what takes a while, and keep the two networks apart."""
    stderr.print("importing Dagster" if live else "starting the sandbox, and importing Dagster")
    with silence.told("starting"):
        from bsky_assets.storage import network

        if live:
            _set_defaults(live="true", data_dir=str(Path("data", "live").absolute()))
        else:
            # Of the sandbox there are no more events to wait for.
            folder = str(Path("data", "sandbox").absolute())
            _set_defaults(data_dir=folder, sync_max_events=str(events))
            _set(sandbox="true")
        network.keep(get_settings())


@contextmanager
def _reports(ui: bool) -> Iterator[None]:
    """Beside the UI, serve the reports that it leads to, unless somebody else does."""
    from bsky_assets.reporting.serving import serving

    settings = get_settings()
    if not ui or settings.reports_url:
        yield
        return
    settings.reports_dir.mkdir(parents=True, exist_ok=True)
    with serving(settings.reports_dir) as url:
        _set(reports_url=url)
        yield


def _set_defaults(**values: str) -> None:
    given = get_settings().model_fields_set
    _set(**{name: value for name, value in values.items() if name not in given})


def _set(**values: str) -> None:
    from bsky_assets.settings import variable_name

    _set_variables({variable_name(name): value for name, value in values.items()})


def _set_variables(environment: Mapping[str, str]) -> None:
    from bsky_assets import settings

    os.environ.update(environment)
    settings.get_settings.cache_clear()


def _run_day(ui: bool, port: int | None) -> None:
    day = today(get_settings().timezone)
    with silence.told("importing Dagster"):
        failure = _materialize(day)
    settings = get_settings()
    _show(settings, day)
    if ui:
        if failure:
            echo_err(f"error: {one_line(failure)}")
        _serve_ui(settings, _ui_port(port))
    if failure:
        raise failure


def _materialize(day: date) -> UserError | None:
    """Materialise the day; what went wrong."""
    from bsky_assets.commands.running import materialize_day
    from bsky_assets.orchestration.instance import open_instance

    with open_instance(get_settings()) as instance:
        try:
            materialize_day(instance, day)
        except UserError as error:
            return error
    return None


def _show(settings: Settings, day: date) -> None:
    from bsky_assets.commands.stored import show_day
    from bsky_assets.storage.lake import Lake

    show_day(Lake.of(settings), day, settings)
    echo(f"catalogue       {settings.catalogue_path}")
    echo(f"report          {settings.reports_dir / f'{day}.html'}")


def _ui_port(wanted: int | None) -> int:
    """The port of the UI: the one that is `wanted`, or the usual one, or any that is free.

    Raises:
        PortInUse: somebody else has the one that is wanted.
    """
    if _is_free(wanted or PORT):
        return wanted or PORT
    if wanted:
        raise PortInUse(f"somebody else listens on port {wanted}; name another one with --port")
    with socket.create_server((HOST, 0)) as any_free:
        port: int = any_free.getsockname()[1]
    echo(f"port {PORT} is taken; the UI gets port {port}")
    return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def _is_there(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex((HOST, port)) == 0


def _serve_ui(settings: Settings, port: int) -> None:
    """Serve UI and daemon until interrupted.

    Raises:
        Exit: they ended by themselves; with the status that they ended with.
    """
    from bsky_assets.orchestration.instance import WORKSPACE, prepare_home

    echo(f"UI              http://{HOST}:{port}")
    executable = shutil.which("dg", path=str(Path(sys.executable).parent)) or "dg"
    command = [
        executable, "dev", "-w", str(WORKSPACE), "--host", HOST, "--port", str(port),
        "--log-level", "error",  # what its daemon does by itself is in the UI
    ]  # fmt: skip
    environment = os.environ | {"DAGSTER_HOME": str(prepare_home(settings))}
    with subprocess.Popen(command, env=environment) as process:
        try:
            with silence.told("starting the UI"):
                while process.poll() is None and not _is_there(port):
                    time.sleep(0.2)
            if process.poll() is None:
                echo("the UI is there; Ctrl-C ends it")
            status = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            return
    if status:
        echo_err(f"error: the UI ended with status {status}; its own words are above")
        raise typer.Exit(status if status > 0 else 1)


@contextmanager
def _sandbox(settings: Settings, events: int, seed: int) -> Iterator[dict[str, str]]:
    """A sandbox in a process of its own; yields the variables that point at it."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        command = [
            sys.executable, "-m", "bsky_assets", "sandbox",
            "--events", str(events), "--seed", str(seed), "--now", _began(settings),
            "--truth", str(settings.data_dir / "truth.jsonl"), "--ready-file", str(ready),
        ]  # fmt: skip
        # A session of its own: an interrupt is for us, and we end the sandbox when we are done.
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            _import_what_a_day_needs()
            yield _environment(process, ready)
        finally:
            process.terminate()
            process.wait()


def _import_what_a_day_needs() -> None:
    """All but the definitions, which are of the settings, and these are not known yet."""
    import_module("bsky_assets.commands.running")
    import_module("bsky_assets.assets.daily_report")


@contextmanager
def _real_llm() -> Iterator[dict[str, str]]:
    """The installed model, served; yields the variables that point at it."""
    from bsky_assets.labelling.serving.local_server import packaged_model, prepare, serving

    served = prepare(packaged_model(), port=0, parallel=2, context=4_096)
    with serving(served) as server:
        yield {
            "BSKY_LLM_BASE_URL": server.url,
            "BSKY_LLM_MODELS": served.name,
            "BSKY_LLM_BATCH_SIZE": "1",
            "BSKY_LLM_CONCURRENCY": "2",
        }


def _began(settings: Settings) -> str:
    """When the sandbox of today was first run here: run again, it is the same network."""
    note = settings.data_dir / "sandbox_began.txt"
    began = note.read_text() if note.exists() else ""
    if not began or sync_day_of(_instant(began), settings.timezone) != today(settings.timezone):
        began = now().strftime(_INSTANT)
        with staged(note) as path:
            path.write_text(began)
    return began


def _instant(text: str) -> datetime:
    return datetime.strptime(text, _INSTANT).replace(tzinfo=UTC)


def _environment(process: subprocess.Popen[bytes], ready: Path) -> dict[str, str]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if ready.exists():
            environment: dict[str, str] = json.loads(ready.read_text())
            return environment
        time.sleep(0.05)
    raise SandboxFailed("the sandbox did not start; `bsky-assets sandbox` says why")
