"""Commands as a person runs them: what they print, how they end, what they say when they cannot."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bsky_assets import cli
from bsky_assets.contracts import RawPostDeletion
from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.rows import post_deletion, table
from bsky_assets_tests.test_lake import DAY


class Ended(Exception):
    """How a command ended."""


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


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("BSKY_RELAY_URL", "https://bsky.network", "ws:// or wss://"),
        ("BSKY_SYNC_TIMEZONE", "Mars/Olympus", "America/Chicago"),
        ("BSKY_FEEDS", "today", "name=at://"),
        ("BSKY_LLM_BATCH_SIZE", "0", "greater than or equal to 1"),
        ("BSKY_SYNC_MAX_POSTS", "many", "integer"),
        ("BSKY_MEMORY_LIMIT", "lots", "pattern"),
    ],
)
def test_a_bad_variable_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    says: str,
) -> None:
    status, out, error = run(monkeypatch, capsys, "config", **{variable: value})
    assert (status, out) == (1, "")
    assert error.startswith(f"error: {variable}: ")
    assert says in error


def test_config_shows_what_is_in_force_and_masks_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, error = run(
        monkeypatch,
        capsys,
        "config",
        BSKY_APP_PASSWORD="hunter2",
        BSKY_LLM_API_KEY="sk-secret",
        BSKY_SYNC_TIMEZONE="Europe/Vienna",
    )
    assert (status, error) == (0, "")
    assert "BSKY_SYNC_TIMEZONE=Europe/Vienna" in out.splitlines()
    assert "hunter2" not in out
    assert "secret" not in out
    assert {line.partition("=")[0] for line in out.splitlines()} == {
        f"BSKY_{name.upper()}" for name in Settings.model_fields
    }


@pytest.mark.parametrize(
    ("day", "says"),
    [
        ("2999-01-01", "cannot be materialised"),
        ("2023-12-31", "days run from 2024-01-01"),
        ("yesterdy", "YYYY-MM-DD"),
    ],
)
def test_a_day_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], day: str, says: str
) -> None:
    for command in ("status", "materialize"):
        status, _, error = run(monkeypatch, capsys, command, "--day", day)
        assert status == 1
        assert says in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "--nonsense"],
        ["nonsense"],
        ["materialize", "--select", "nonsense"],
        ["materialize", "--day", "2026-01-02", "--to", "2026-01-01"],
        ["sync", "firehose", "--max-seconds", "0"],
    ],
)
def test_bad_usage_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, capsys, *arguments)[0] == 2


def test_no_relay_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = run(
        monkeypatch,
        capsys,
        *("sync", "firehose", "--max-seconds", "60"),
        BSKY_RELAY_URL="ws://127.0.0.1:9",
    )
    assert status == 1
    assert "127.0.0.1:9" in error
    assert "BSKY_RELAY_URL" in error


def test_a_data_directory_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    status, _, error = run(
        monkeypatch, capsys, "query", "SELECT 1", BSKY_DATA_DIR=str(tmp_path / "file" / "data")
    )
    assert status == 1
    assert "BSKY_DATA_DIR" in error


def test_query_gives_csv_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = get_settings()
    hostile = 'did:web:[bold]"x",y\n'
    rows = table(RawPostDeletion, [post_deletion("did:plc:a", "1", seq=7, did=hostile)])
    Lake(settings.lake_dir).write(RawPostDeletion, DAY, rows)
    publish(settings)
    status, out, _ = run(
        monkeypatch, capsys, "query", "SELECT sync_day, seq, did FROM raw_post_deletions"
    )
    assert status == 0
    assert out == 'sync_day,seq,did\n2026-03-08,7,"did:web:[bold]""x"",y\n"\n'


def test_query_says_what_is_wrong_and_cannot_write(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = run(monkeypatch, capsys, "query", "SELECT * FROM nothing")
    assert status == 1
    assert "nothing" in error
    status, _, error = run(monkeypatch, capsys, "query", "CREATE TABLE t AS SELECT 1")
    assert status == 1
    assert "read-only" in error


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_a_page_of_help_with_an_example(name: str) -> None:
    app = cli.build_app([name])
    page = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).output
    if "Commands" in page:
        group = next(group.typer_instance for group in app.registered_groups)
        assert group is not None
        for command in group.registered_commands:
            callback = command.callback
            assert callback is not None
            called = command.name or callback.__name__
            shown = CliRunner().invoke(app, [name, called, "--help"], env={"COLUMNS": "200"}).output
            assert f"bsky-assets {name} {called}" in shown, called
    else:
        assert f"bsky-assets {name}" in page.replace("Usage: root", "")
