"""What a terminal shows: help as wide as it is, completion, tables, JSON, names of assets."""

import json
import os
import pty
import re
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bsky_assets import cli, console
from bsky_assets.contracts import RawPostDeletion
from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import NoSuchDay, parse_day, today
from bsky_assets_tests.storage.deletions import DAY
from bsky_assets_tests.support.command import run
from testbed.rows import post_deletion, table

LONG = "at://did:plc:" + "a" * 24 + "/app.bsky.feed.post/" + "3" * 80


@pytest.mark.parametrize("name", cli.COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_paragraphs_of_help_are_as_wide_as_the_terminal(name: str, option: str) -> None:
    for words in [[name], *([name, below] for below in below_of(name))]:
        page = CliRunner().invoke(cli.app, [*words, option], env={"COLUMNS": "64"})
        assert page.exit_code == 0
        assert max(map(len, page.output.splitlines())) <= 64
        shown = "\n".join(line.rstrip() for line in page.output.splitlines())
        prose = shown.partition("\u256d")[0].partition("Example")[0]
        for paragraph in filter(None, (part.strip("\n") for part in prose.split("\n\n"))):
            lines = paragraph.splitlines()
            # A line could not have taken the first word of the next.
            for line, after in pairwise(lines):
                assert len(line) + 1 + len(after.split()[0]) > 62, (line, after)


def below_of(name: str) -> list[str]:
    return list(getattr(cli.command_of(name), "commands", {}))


def completed(*words: str) -> list[str]:
    """What bash is told of the last word."""
    asked = {
        "_BSKY_ASSETS_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["bsky-assets", *words]),
        "COMP_CWORD": str(len(words)),
    }
    program = Path(sys.executable).with_name("bsky-assets")
    environment = {**os.environ, **asked}
    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_commands_days_assets_and_columns_are_completed(settings: Settings) -> None:
    stored = table(RawPostDeletion, [post_deletion("did:plc:a", "1", seq=7)])
    Lake.of(settings).write(RawPostDeletion, DAY, stored)
    assert completed("mat") == ["materialize"]
    assert completed("schema", "im") == ["impact"]
    assert completed("status", "--day", "") == ["today", "yesterday", str(DAY)]
    assert completed("materialize", "--to", "2026") == [str(DAY)]
    assert completed("schema", "diff", "today", "y") == ["yesterday"]
    assert completed("schema", "show", "filt") == ["filtered_posts", "filter_audit"]
    assert completed("materialize", "--select", "filtered_posts,llm") == [
        "filtered_posts,llm_labels"
    ]
    assert "record.text" in completed("schema", "impact", "record.")
    assert completed("export", "--assets", "nonsense") == []


@pytest.mark.parametrize(("text", "back"), [("today", 0), ("yesterday", 1), ("-1", 1), ("-30", 30)])
def test_a_day_may_be_said_by_how_long_ago_it_was(settings: Settings, text: str, back: int) -> None:
    assert parse_day(text, settings.timezone) == today(settings.timezone) - timedelta(days=back)


@pytest.mark.parametrize("text", ["-", "--1", "-1.5", "+1", "1", "-1 ", "-12345", "- 1"])
def test_what_is_no_number_of_days_is_refused(settings: Settings, text: str) -> None:
    with pytest.raises(NoSuchDay):
        parse_day(text, settings.timezone)


def test_a_day_of_an_argument_may_be_said_so_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = run(monkeypatch, capsys, "schema", "diff", "-1", "today")
    assert status == 1
    assert error.startswith("error: nothing is stored on")


@pytest.fixture
def catalogue(settings: Settings) -> None:
    rows = table(RawPostDeletion, [post_deletion("did:plc:a", "1", seq=7, uri=LONG)])
    Lake.of(settings).write(RawPostDeletion, DAY, rows)
    publish(settings)


NESTED = """SELECT [1, NULL] AS list, {'a': 'é', 'd': DATE '2026-03-08'} AS struct, true AS yes,
    NULL AS nothing, chr(27) || '[31m' || chr(8238) AS hostile, 'ff'::BLOB AS bytes,
    TIMESTAMPTZ '2026-03-08 01:02:03+00' AS time FROM range(2)"""


def test_query_gives_json_with_what_is_nested_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(monkeypatch, capsys, "query", "--json", NESTED)
    assert status == 0
    first, second = json.loads(out)
    assert first == second
    assert first == {
        "list": [1, None],
        "struct": {"a": "é", "d": "2026-03-08"},
        "yes": True,
        "nothing": None,
        "hostile": "\x1b[31m\u202e",
        "bytes": "6666",
        "time": "2026-03-08T01:02:03+00:00",
    }
    assert len(out.splitlines()) == 4, "a row a line"
    assert not [char for char in out if char != "\n" and not char.isprintable()]


def test_query_gives_no_rows_as_an_empty_array(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(monkeypatch, capsys, "query", "--json", "SELECT 1 AS a WHERE false")
    assert json.loads(out) == []


def test_query_does_not_lose_one_of_two_columns_of_a_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = run(monkeypatch, capsys, "query", "--json", "SELECT 1 AS a, 2 AS a")
    assert status == 1
    assert "AS" in error


@pytest.mark.parametrize("width", [40, 80])
def test_a_table_keeps_to_the_width_and_cuts_no_uri(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    catalogue: None,
    width: int,
) -> None:
    monkeypatch.setattr(console.stdout, "width", width)
    sql = "SELECT uri, seq FROM raw_post_deletions"
    _, out, _ = run(monkeypatch, capsys, "query", "--table", sql)
    assert max(map(len, out.splitlines())) <= width
    assert "".join(re.findall(r"\u2502 (\S+) +\u2502", out)) == LONG
    assert "\x1b" not in out
    _, out, _ = run(monkeypatch, capsys, "query", "--csv", sql)
    assert out == f"uri,seq\n{LONG},7\n"


def test_several_statements_are_refused_also_where_any_statement_may_be_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["--unsafe"]):
        status, out, error = run(monkeypatch, capsys, "query", *more, "SELECT 1; SELECT 2")
        assert (status, out) == (1, "")
        assert "one" in error


@pytest.mark.parametrize(
    ("select", "says"),
    [
        ("filtred_posts", "there is no asset filtred_posts; did you mean filtered_posts?"),
        ("filtered_posts,llm_label", "did you mean llm_labels?"),
        ("xyzzy", "there are raw_"),
    ],
)
def test_an_asset_that_is_none_is_named_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, capfd: Any, select: str, says: str
) -> None:
    status, _, _ = run_whole(monkeypatch, capfd, "materialize", "--select", select)
    assert status == 2
    assert says in flat(run_whole(monkeypatch, capfd, "materialize", "--select", select)[2])


def run_whole(monkeypatch: pytest.MonkeyPatch, capfd: Any, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["bsky-assets", *words])
    get_settings.cache_clear()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, error = capfd.readouterr()
    return int(ended.value.code or 0), out, error


def flat(shown: str) -> str:
    return " ".join(re.sub(r"[\u2500-\u257f]", " ", shown).split())


@pytest.mark.parametrize(
    ("select", "names"),
    [
        ("filtered_posts,llm_labels", {"filtered_posts", "llm_labels"}),
        ("filtered_posts or llm_labels", {"filtered_posts", "llm_labels"}),
        ('key:"filtered_posts" or llm_labels', {"filtered_posts", "llm_labels"}),
        ("group:posts and not filtered_posts", {"consolidated_posts"}),
    ],
)
def test_assets_are_selected_by_names_or_in_the_syntax_of_the_ui(
    monkeypatch: pytest.MonkeyPatch, capfd: Any, select: str, names: set[str]
) -> None:
    chosen: list[Any] = []
    monkeypatch.setattr(
        "bsky_assets.commands.running._run_day", lambda *given: chosen.extend(given[2])
    )
    run_whole(monkeypatch, capfd, "materialize", "--select", select)
    assert {key.to_user_string() for key in chosen} == names
    assert "Warning" not in capfd.readouterr().err


@pytest.mark.parametrize(("no_color", "is_colored"), [("", True), ("1", False)])
def test_no_color_is_honoured_in_a_terminal(no_color: str, is_colored: bool) -> None:
    here, there = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    environment |= {"NO_COLOR": no_color} if no_color else {}
    command = [sys.executable, "-m", "bsky_assets", "status", "-h"]
    with subprocess.Popen(command, stdout=there, stderr=there, env=environment):
        os.close(there)
        shown = b""
        while part := read(here):
            shown += part
    os.close(here)
    assert (re.search(rb"\x1b\[[\d;]*3\dm", shown) is not None) == is_colored
    assert b"Show what is stored" in shown


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # so a terminal says that nobody is there any more
        return b""


def test_in_a_pipe_no_command_colours_its_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bsky_assets", "status", "-h"],
        capture_output=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "FORCE_COLOR"},
    )
    assert b"\x1b" not in done.stdout
