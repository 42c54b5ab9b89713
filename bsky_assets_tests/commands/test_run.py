"""`bsky-assets run`: the port of its UI, its exit status, and which data it is for."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from bsky_assets import cli
from bsky_assets.commands import run as run_command
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.sandbox_day import SandboxDay


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def ui(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In the place of Dagster's UI a script that notes its arguments; of the day, nothing."""
    script = tmp_path / "bin" / "dg"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\nexit 7\n')
    script.chmod(0o755)
    monkeypatch.setattr(run_command.shutil, "which", lambda *_, **__: str(script))
    monkeypatch.setattr(run_command, "_sandbox", lambda *_: nullcontext({}))
    monkeypatch.setattr("bsky_assets.commands.running.materialize_day", lambda *_: None)
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path / "arguments"
    signal.signal(signal.SIGTERM, before)


def test_a_port_that_is_taken_is_told_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    taken: int,
) -> None:
    data = tmp_path / "data"
    status, out, error = run(
        monkeypatch, capsys, "run", "--port", str(taken), BSKY_DATA_DIR=str(data)
    )
    assert (status, out) == (1, "")
    assert f"port {taken}" in error
    assert "--port" in error
    assert not data.exists()


def test_the_first_line_comes_before_anything_is_imported_that_takes_a_while() -> None:
    program = """
import sys
from bsky_assets import cli, console
def first(line, **_):
    sys.exit(f"{line}; {sorted({'dagster', 'duckdb', 'pandas', 'pyarrow'} & sys.modules.keys())}")
console.stderr.print = first
sys.argv = ["bsky-assets", "run", "--no-ui"]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == "starting the sandbox, and importing Dagster; []\n"


def test_where_the_usual_port_is_taken_the_ui_gets_another_and_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ui: Path, taken: int
) -> None:
    monkeypatch.setattr(run_command, "PORT", taken)
    _, out, _ = run(monkeypatch, capsys, "run")
    (line,) = (line for line in out.splitlines() if line.startswith("UI "))
    port = line.rpartition(":")[2]
    assert port.isdigit()
    assert int(port) != taken
    assert f"port {taken} is taken" in out
    assert f"--port {port}" in ui.read_text()


def test_a_ui_that_did_not_stay_up_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ui: Path
) -> None:
    status, _, error = run(monkeypatch, capsys, "run")
    assert ui.exists()
    assert status == 7
    assert "the UI ended with status 7" in error


def test_while_the_ui_is_served_nothing_is_told_of_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ui: Path
) -> None:
    (ui.parent / "bin" / "dg").write_text("#!/bin/sh\nsleep 1\nexit 7\n")
    monkeypatch.setattr("bsky_assets.console.SILENCE_SECONDS", 0.1)
    told: list[str] = []

    def is_there(_: int) -> bool:
        told.append(capsys.readouterr().err)
        return True

    monkeypatch.setattr(run_command, "_is_there", is_there)
    monkeypatch.setattr(sys, "argv", ["bsky-assets", "run"])
    with pytest.raises(SystemExit):
        cli.main()
    assert told
    assert "so far" not in capsys.readouterr().err


def test_the_ui_can_be_interrupted_also_where_interrupts_were_ignored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ui: Path
) -> None:
    script = ui.parent / "bin" / "dg"
    script.write_text("#!/bin/sh\nkill -INT $$\nexit 7\n")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as for what runs in the background
    try:
        status, _, error = run(monkeypatch, capsys, "run")
    finally:
        signal.signal(signal.SIGINT, before)
    assert status == 1, "it went on to its end"
    assert f"status -{signal.SIGINT:d}" in error


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("first", "then"), [((), ("--live",)), (("--live",), ())], ids=["sandbox", "live"]
)
def test_a_data_directory_is_of_the_sandbox_or_of_the_live_network_and_refuses_the_other(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    ui: Path,
    first: tuple[str, ...],
    then: tuple[str, ...],
) -> None:
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BSKY_SANDBOX", "false")
    monkeypatch.setenv("BSKY_LIVE", "false")
    assert run(monkeypatch, capsys, "run", "--no-ui", *first)[0] == 0
    before = files(tmp_path / "data")
    monkeypatch.setenv("BSKY_SANDBOX", "false")  # as in a new shell
    status, _, error = run(monkeypatch, capsys, "run", "--no-ui", *then)
    assert status == 1
    assert "sandbox" in error
    assert "BSKY_DATA_DIR" in error
    assert files(tmp_path / "data") == before
    monkeypatch.setenv("BSKY_SANDBOX", "false")
    assert run(monkeypatch, capsys, "run", "--no-ui", *first)[0] == 0


@pytest.mark.parametrize(
    "words", [["sync", "feeds"], ["sync", "firehose"], ["sync", "labels"], ["collect"]]
)
def test_no_live_post_gets_into_the_data_of_the_sandbox(
    sandbox_day: SandboxDay, words: list[str]
) -> None:
    before = sandbox_day.rows("SELECT count(*) FROM raw_feed_posts")
    done = sandbox_day.command(*words, BSKY_SANDBOX="false")
    assert done.returncode == 1
    assert "made-up posts of the sandbox" in done.stderr
    assert "Traceback" not in done.stderr
    assert sandbox_day.rows("SELECT count(*) FROM raw_feed_posts") == before


def test_what_is_stored_of_the_sandbox_is_read_in_a_shell_that_knows_nothing_of_it(
    sandbox_day: SandboxDay,
) -> None:
    counted = sandbox_day.command(
        "query", "SELECT count(*) > 0 FROM raw_feed_posts", BSKY_SANDBOX="false"
    )
    assert counted.stdout.splitlines()[-1] == "true"
