"""A command run in the process of a test."""

import sys

import pytest

from bsky_assets import cli
from bsky_assets.settings import get_settings


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
