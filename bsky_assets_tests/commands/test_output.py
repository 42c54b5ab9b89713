"""Commands as a person runs them: what they print, how they end, what they say when they cannot."""

import csv
import io
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
import stamina
from rich.table import Table
from typer.testing import CliRunner

from bsky_assets import cli, commands
from bsky_assets.console import silence, stderr, stdout
from bsky_assets.contracts import RawPostDeletion
from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.storage.deletions import DAY
from bsky_assets_tests.support.command import in_this_process, run
from testbed.rows import post_deletion, table


class Ended(Exception):
    """How a command ended."""


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


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("BSKY_RELAY_ULR=wss://x", ".env: BSKY_RELAY_ULR is unknown; did you mean BSKY_RELAY_URL?"),
        ("bsky_timezone=UTC", "bsky_timezone is unknown; did you mean BSKY_SYNC_TIMEZONE?"),
        ("export BSKY_XYZZY=1", ".env: BSKY_XYZZY is unknown; `bsky-assets config` lists all"),
    ],
)
def test_a_misspelt_variable_in_a_file_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    line: str,
    says: str,
) -> None:
    (tmp_path / ".env").write_text(f"OTHER=1\n{line}\nbsky_sync_timezone=UTC\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    status, out, error = run(monkeypatch, capsys, "config")
    assert (status, out) == (1, "")
    assert says in error


def test_in_the_environment_a_slip_is_named_and_what_others_have_there_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = run(monkeypatch, capsys, "config", BSKY_LLM_MODEL="llama3.1:8b")
    assert (status, error) == (
        1,
        "error: BSKY_LLM_MODEL is unknown; did you mean BSKY_LLM_MODELS?",
    )
    monkeypatch.delenv("BSKY_LLM_MODEL")
    assert run(monkeypatch, capsys, "config", BSKY_BIN="/opt/bin")[0] == 0


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
    assert {line.partition("=")[0].removeprefix("# ") for line in out.splitlines()} == {
        f"BSKY_{name.upper()}" for name in Settings.model_fields
    }


@pytest.mark.parametrize(
    ("day", "says"),
    [
        ("2999-01-01", "cannot be materialised"),
        ("2023-12-31", "days run from 2024-01-01"),
        ("yesterdy", "YYYY-MM-DD"),
        ("-99999", "YYYY-MM-DD"),
        ("-9999", "days run from 2024-01-01"),
        ("--1", "YYYY-MM-DD"),
    ],
)
def test_a_day_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], day: str, says: str
) -> None:
    for command in ("status", "materialize"):
        status, _, error = run(monkeypatch, capsys, command, "--day", day)
        assert status == 2
        assert says in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "--nonsense"],
        ["nonsense"],
        ["materialize", "--select", "nonsense"],
        ["materialize", "--day", "2026-01-02", "--to", "2026-01-01"],
        ["sync", "firehose", "--max-seconds", "0"],
        ["status", "--day", "2026-13-01"],
        ["schema", "show", "nonsense"],
        ["schema", "impact", "nonsense"],
        ["schema", "diff", "nonsense", "today"],
        ["export", "folder", "--assets", "nonsense"],
        ["labels", "compare", "--day", "nonsense"],
        ["query", "--json", "--csv", "SELECT 1"],
        ["run", "--port", "0"],
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
        *("sync", "firehose", "--max-seconds", "0.1"),  # which pass before it is tried again
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
    assert "for reading" in error


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_a_page_of_help_with_an_example(name: str) -> None:
    command = cli.command_of(name)
    for called in getattr(command, "commands", ()):
        arguments = [name, called, "--help"]
        shown = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "200"}).output
        assert f"bsky-assets {name} {called}" in shown, called
    page = CliRunner().invoke(cli.app, [name, "--help"], env={"COLUMNS": "200"}).output
    _, _, below_usage = page.strip().partition("\n")
    assert hasattr(command, "commands") or f"bsky-assets {name}" in below_usage


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_line_of_a_command_is_the_first_of_its_page(name: str) -> None:
    assert cli.command_of(name).help.splitlines()[0] == cli.COMMANDS[name]


def test_the_help_has_every_command_in_a_line() -> None:
    page = CliRunner().invoke(cli.app, ["-h"], env={"COLUMNS": "200"}).output
    assert all(
        re.search(rf"{name} +{re.escape(line)}", page) for name, line in cli.COMMANDS.items()
    )
    modules = Path(commands.__file__).parent.glob("*.py")
    assert set(cli.COMMANDS) == {path.stem for path in modules} - {
        "__init__",
        *("people", "texts", "trials"),  # below `labels`
        *("asking", "choices", "completion", "examining", "in_force", "options", "progress"),
        *("running", "stored", "variables"),
    }


def test_the_version_is_that_of_the_package() -> None:
    shown = CliRunner().invoke(cli.app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"bsky_assets {version('bsky_assets')}\n")


HOSTILE = "\x1b]0;title\x07\x1b[31m\x9b2J\u202egnp.exe\x00\r\u2028"


@pytest.fixture
def catalogue(settings: Settings) -> Path:
    """A catalogue over one deletion by an account with a hostile name; returns the lake."""
    rows = table(RawPostDeletion, [post_deletion("did:plc:a", "1", seq=7, did=HOSTILE)])
    Lake(settings.lake_dir).write(RawPostDeletion, DAY, rows)
    publish(settings)
    return settings.lake_dir


@pytest.mark.parametrize(
    "sql",
    [
        "COPY raw_post_deletions TO '{lake}/new.parquet'",
        "WITH copied AS (COPY raw_post_deletions TO '{lake}/new.parquet') FROM copied",
        "EXPLAIN ANALYZE COPY raw_post_deletions TO '{lake}/new.parquet'",
        "COPY raw_post_deletions TO '{outside}/new.csv'",
        "EXPORT DATABASE '{lake}/new'",
        "ATTACH '{outside}/new.duckdb' AS new",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT 1; SELECT 2",
        "FROM read_text('{outside}/secret.txt')",
        "FROM read_csv('{outside}/secret.txt')",
        "FROM '{lake}/../../{outside}/secret.txt'",
        "FROM glob('{outside}/*')",
        "CREATE TABLE t AS SELECT 1",
    ],
)
def test_query_reads_the_views_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    catalogue: Path,
    sql: str,
) -> None:
    (tmp_path / "secret.txt").write_text("hunter2")
    before = sorted(catalogue.rglob("*"))
    statement = sql.format(lake=catalogue, outside=tmp_path)
    status, out, error = run(monkeypatch, capsys, "query", statement)
    assert status == 1
    assert error.startswith("error: ")
    assert "hunter2" not in out
    assert (sorted(catalogue.rglob("*")), list(tmp_path.iterdir())) == (
        before,
        [tmp_path / "secret.txt"],
    )


def test_query_with_unsafe_reads_and_writes_what_any_duckdb_would(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    catalogue: Path,
) -> None:
    written = tmp_path / "deletions.csv"
    copy = f"COPY (SELECT seq FROM raw_post_deletions) TO '{written}'"
    assert run(monkeypatch, capsys, "query", "--unsafe", copy)[0] == 0
    assert written.read_text() == "seq\n7\n"
    _, out, _ = run(monkeypatch, capsys, "query", "--unsafe", f"FROM '{written}'")
    assert out == "seq\n7\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT error('a\nb') FROM range(3)",
        "SELECT if(i = 5000, error('a\nb')::INT, 1) FROM range(10000) t(i)",
        "SELECT CAST('x' || i AS INT) FROM range(3) t(i)",
        "SELEKT 1",
        "",
    ],
)
def test_an_error_of_query_is_one_line_also_while_rows_are_fetched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], catalogue: Path, sql: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["bsky-assets", "query", sql])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert (ended.value.code, line[:7]) == (1, "error: ")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT did FROM raw_post_deletions",
        "SELECT [did], {'did': did} FROM raw_post_deletions",
        f'SELECT 1 AS "{HOSTILE.replace(chr(0), "")}"',
        "SELECT error(did) FROM raw_post_deletions",
        f"SELECT {HOSTILE}",
    ],
)
@pytest.mark.parametrize("is_terminal", [True, False])
def test_nothing_of_a_stranger_acts_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    catalogue: Path,
    sql: str,
    is_terminal: bool,
) -> None:
    monkeypatch.setattr("rich.console.Console.is_terminal", is_terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    _, out, error = run(monkeypatch, capsys, "query", sql)
    printed = re.sub(r"\x1b\[[\d;]*m", "", out + error) if is_terminal else out + error
    assert not [char for char in printed if char not in "\n\t" and not char.isprintable()]
    assert error or "1b" in printed


def test_whatever_is_printed_can_only_be_read() -> None:
    for console in (stdout, stderr):
        with console.capture() as captured:
            console.print(HOSTILE, markup=False, soft_wrap=True)
            console.print(Table(HOSTILE, title=HOSTILE))
        told = captured.get()
        assert not [char for char in told if char not in "\n\t" and not char.isprintable()]
        assert "\\x1b" in told


def test_query_gives_lists_and_times_so_that_a_program_can_read_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], catalogue: Path
) -> None:
    sql = """SELECT [1, NULL] AS list, {'a': 'é', 'd': DATE '2026-03-08'} AS struct, true AS yes,
    NULL AS nothing, 1.50::DECIMAL(9, 2) AS price, TIMESTAMPTZ '2026-03-08 01:02:03+00' AS time,
    TIMESTAMPTZ '2026-03-08 01:02:03+00'::DATE AS day"""
    monkeypatch.setenv("TZ", "America/Chicago")
    _, out, _ = run(monkeypatch, capsys, "query", sql)
    (row,) = csv.DictReader(io.StringIO(out))
    assert row == {
        "list": "[1,null]",
        "struct": '{"a":"é","d":"2026-03-08"}',
        "yes": "true",
        "nothing": "",
        "price": "1.50",
        "time": "2026-03-08 01:02:03+00:00",
        "day": "2026-03-08",
    }


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        ("firehose", "BSKY_RELAY_URL=ws://127.0.0.1:9"),
        ("feeds", "BSKY_APPVIEW_URL=http://127.0.0.1:9"),
    ],
)
def test_what_is_tried_again_is_told_while_a_host_is_down(
    tmp_path: Path, command: str, variable: str
) -> None:
    name, _, url = variable.partition("=")
    with stamina.set_testing(True, attempts=2):  # without waiting
        ended = in_this_process("sync", command, **{"BSKY_DATA_DIR": str(tmp_path), name: url})
    *told, error = ended.stderr.splitlines()
    assert error.startswith("error: ")
    assert any("trying again in" in line for line in told)


class Told(io.StringIO):
    """What is told, a line each, on a clock that moves when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def write(self, text: str) -> int:
        if text.strip():
            self.lines.append(text.strip())
        return len(text)

    def wait_for(self, line: str) -> None:
        deadline = time.monotonic() + 100
        while line not in self.lines:
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.01)


def telling(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What is told from now on; a silence is one of 0.05 s by the clock of the test."""
    told = Told()
    monkeypatch.setattr("sys.stderr", told)
    monkeypatch.setattr("bsky_assets.console.SILENCE_SECONDS", 0.05)
    monkeypatch.setattr("bsky_assets.console.time", told)
    monkeypatch.setattr(silence, "broken_at", 0.0)
    return told


def test_a_silence_is_told_of_once_it_is_one_and_a_line_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = telling(monkeypatch)
    with silence.told("starting"), silence.told("importing"):
        for number in range(10):
            told.now += 0.04
            time.sleep(0.01)
            stderr.print(f"line {number}")
        told.now += 0.6
        told.wait_for("importing: 1 s so far")
        silence.doing("an\x1basset")
        told.now += 0.06
        told.wait_for("an\\x1basset: 0 s so far")
    told.now += 100
    time.sleep(0.1)
    lines = [f"line {number}" for number in range(10)]
    assert told.lines == [*lines, "importing: 1 s so far", "an\\x1basset: 0 s so far"]


def test_a_silence_goes_on_from_one_piece_of_work_into_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = telling(monkeypatch)
    stderr.print("first")
    with silence.told("piece 1"):
        told.now += 0.04
    with silence.told("piece 2"):
        told.now += 0.04
        told.wait_for("piece 2: 0 s so far")
    assert told.lines == ["first", "piece 2: 0 s so far"]
