"""`bsky-assets query`: SQL on the catalogue."""

import csv
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo, in_json, printable, stdout

if TYPE_CHECKING:
    from bsky_assets.commands.asking import Write

_SHOWN_ROWS = 100
"""In a terminal; elsewhere every row is written."""


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A statement on the views.")],
    unsafe: Annotated[
        bool,
        typer.Option("--unsafe", help="Let it read and write other files, as any DuckDB would."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="An array with an object for each row, a row a line.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, also in a terminal.")] = False,
    as_table: Annotated[bool, typer.Option("--table", help="A table, wherever it goes.")] = False,
) -> None:
    """Ask the catalogue: a table in a terminal, CSV elsewhere.

    There is a view for each asset, with `sync_day` as its first column. A statement can read the
    views and nothing else, and writes nothing. Control characters in names and values are spelt
    out, as \\x1b; times are in UTC, lists and structs are JSON.

    \b
    Example:
      bsky-assets query "SELECT filtered_by_func, count(*) FROM filtered_posts GROUP BY ALL"
      bsky-assets query --json "SELECT uri, record.text FROM filtered_posts LIMIT 3"
    """
    from bsky_assets.commands.asking import ask

    show = _writer(as_json=as_json, as_csv=as_csv, as_table=as_table)
    ask(get_settings(), sql, show, unsafe=unsafe)


def _writer(*, as_json: bool, as_csv: bool, as_table: bool) -> "Write":
    """What writes the rows in the form that was asked for."""
    if as_json + as_csv + as_table > 1:
        raise typer.BadParameter("expected one of --json, --csv and --table")
    if as_json:
        return _write_json
    return _show if as_table or (stdout.is_terminal and not as_csv) else _write


def _write(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_text(value) for value in row] for row in rows)


def _write_json(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        from bsky_assets.commands.asking import CannotBeAsked

        raise CannotBeAsked(f"several columns are called {twice[0]}; name them apart with AS")
    before = "["
    for row in rows:
        line = orjson.dumps(
            dict(zip(names, row, strict=True)), default=_text, option=orjson.OPT_NON_STR_KEYS
        )
        print(f"{before}\n{in_json(line.decode())}", end="")
        before = ","
    print("[]" if before == "[" else "\n]")


def _show(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    # A URI that does not fit goes on in the next line; cut off, it would lead nowhere.
    table = Table(*(Column(escape(name), overflow="fold") for name in names))
    is_all = True
    for number, row in enumerate(rows):
        if number == _SHOWN_ROWS:
            is_all = False
            break
        table.add_row(*(Text(_text(value)) for value in row))
    stdout.print(table)
    if not is_all:
        echo(f"the first {_SHOWN_ROWS} rows; write the output to a file to get them all")


def _text(value: Any) -> str:
    """A value as text that can do nothing to a terminal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple, dict)):
        value = orjson.dumps(value, default=_text, option=orjson.OPT_NON_STR_KEYS).decode()
    return printable(str(value))
