"""A command run in the process of a test."""

import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper

import pytest

from bsky_assets import cli
from bsky_assets.settings import Settings, get_settings


def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    **environment: str,
) -> tuple[int, str, str]:
    """Exit status, standard output and the last line of standard error."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    monkeypatch.setattr(sys, "argv", ["bsky-assets", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines() or [""]
    return int(ended.value.code or 0), printed.out, lines[-1]


@dataclass(frozen=True)
class Done:
    """How a command ended, and all that it printed."""

    returncode: int
    stdout: str
    stderr: str


def in_this_process(*arguments: str, **environment: str) -> Done:
    """Run a command that has only these settings, without the seconds that a process takes to
    load what this one has loaded."""
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith(("BSKY_", "DAGSTER_"))]:
            patch.delenv(name)
        patch.setenv("DAGSTER_HOME", "")  # a command sets it: what it was comes back
        patch.delenv("DAGSTER_HOME")
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setitem(Settings.model_config, "env_file", None)
        patch.setattr(sys, "argv", ["bsky-assets", *arguments])
        get_settings.cache_clear()
        terminated = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as ended:
                cli.main()
        finally:
            signal.signal(signal.SIGTERM, terminated)
            get_settings.cache_clear()
    return Done(int(ended.value.code or 0), *(_printed(stream) for stream in (out, err)))


def _printed(stream: TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()
