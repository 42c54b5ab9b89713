"""`bsky-assets query`: SQL on the catalogue."""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Annotated, Any

import duckdb
import orjson
import typer
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from bsky_assets.console import in_json, one_line, printable, stdout
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings, get_settings

SHOWN_ROWS = 100
"""In a terminal; elsewhere every row is written."""
_ROWS_AT_ONCE = 1_000
Write = Callable[[Sequence[str], Iterable[tuple[Any, ...]]], None]
"""Writes rows, below the names of their columns."""


class CannotBeAsked(UserError):
    """The statement is none, fails, or would do more than read the catalogue."""


class UnreadableFile(CannotBeAsked):
    """The catalogue, or a file that it names, is damaged or gone."""

    rows_were_shown = False


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
    settings = get_settings()
    show = _writer(as_json=as_json, as_csv=as_csv, as_table=as_table)
    try:
        _ask(settings, sql, show, unsafe=unsafe)
    except UnreadableFile as problem:
        from bsky_assets.orchestration.publish import publish

        publish(settings)  # which leaves out what is damaged or gone, and says so
        if problem.rows_were_shown:
            raise
        _ask(settings, sql, show, unsafe=unsafe)


def _writer(*, as_json: bool, as_csv: bool, as_table: bool) -> Write:
    """What writes the rows in the form that was asked for."""
    if as_json + as_csv + as_table > 1:
        raise typer.BadParameter("expected one of --json, --csv and --table")
    if as_json:
        return _write_json
    return _show if as_table or (stdout.is_terminal and not as_csv) else _write


def _ask(settings: Settings, sql: str, write: Write, *, unsafe: bool) -> None:
    shown = False
    try:
        with open_catalogue(settings, unsafe=unsafe) as con:
            if unsafe:
                _require_one(con, sql)
            else:
                _require_reading(con, sql)
            con.execute(sql)
            names = [one_line(column[0]) for column in con.description or ()]
            if not names:
                raise CannotBeAsked("the statement gives no rows")
            first = con.fetchmany(_ROWS_AT_ONCE)
            shown = True
            write(names, chain(first, _rows(con)))
    except duckdb.Error as error:
        problem = str(error).partition("\n\nLINE ")[0]
        told = f"the statement cannot be run: {problem}"
        if not _is_of_a_file(error, settings):
            raise CannotBeAsked(told) from None
        unreadable = UnreadableFile(told)
        unreadable.rows_were_shown = shown
        raise unreadable from None


def _is_of_a_file(error: duckdb.Error, settings: Settings) -> bool:
    """Whether DuckDB could not read the catalogue, or a file that it names."""
    is_of_reading = isinstance(error, duckdb.IOException | duckdb.InvalidInputException)
    return is_of_reading and (
        ".parquet" in str(error) or settings.catalogue_path.name in str(error)
    )


def open_catalogue(settings: Settings, *, unsafe: bool = False) -> duckdb.DuckDBPyConnection:
    """The catalogue for reading; made first if it is not there yet.

    Without `unsafe`, DuckDB opens no file but those of the lake and of the ledger of answers, and
    its settings are locked.
    """
    if not settings.catalogue_path.exists():
        from bsky_assets.orchestration.publish import publish

        publish(settings)
    con = duckdb.connect(
        str(settings.catalogue_path),
        read_only=True,
        config={"temp_directory": str(settings.spill_dir)},
    )
    con.execute("SET enable_progress_bar = false")
    con.execute("SET TimeZone = 'UTC'")
    if settings.lake_bucket:
        from bsky_assets.storage.lake import Lake

        Lake.of(settings).attach(con)
    if not unsafe:
        places = [settings.lake_bucket or str(settings.lake_dir), str(settings.ledger_dir)]
        con.execute("SET allowed_directories = ?", [places])
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")
    return con


def _require_reading(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse what is not one SELECT; of several statements DuckDB would show the last alone.

    Raises:
        CannotBeAsked: it is something else.
        duckdb.Error: it cannot be understood.
    """
    statements = con.extract_statements(sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise CannotBeAsked(
            "expected one SELECT: the catalogue is for reading; --unsafe allows other statements"
        )
    # A SELECT may write a file in its WITH, in DuckDB 2.0, but not where it is part of another.
    alone = statements[0].query.rstrip().removesuffix(";")
    con.execute(f"EXPLAIN FROM (\n{alone}\n)").fetchall()


def _require_one(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse several statements: DuckDB would show the last alone.

    Raises:
        CannotBeAsked: there are several, or none.
    """
    if len(con.extract_statements(sql)) != 1:
        raise CannotBeAsked("expected one statement; of several only the last would be shown")


def _rows(con: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := con.fetchmany(_ROWS_AT_ONCE):
        yield from rows


def _write(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_text(value) for value in row] for row in rows)


def _write_json(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
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
        if number == SHOWN_ROWS:
            is_all = False
            break
        table.add_row(*(Text(_text(value)) for value in row))
    stdout.print(table)
    if not is_all:
        stdout.print(f"the first {SHOWN_ROWS} rows; write the output to a file to get them all")


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
