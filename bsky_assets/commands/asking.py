"""Asking the catalogue a statement, so that it does no more than read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import duckdb

from bsky_assets.console import one_line
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings
from bsky_assets.storage.connection import without_bars

_ROWS_AT_ONCE = 1_000
Write = Callable[[Sequence[str], Iterable[tuple[Any, ...]]], None]
"""Writes rows, below the names of their columns."""


class CannotBeAsked(UserError):
    """The statement is none, fails, or would do more than read the catalogue."""


class UnreadableFile(CannotBeAsked):
    """The catalogue, or a file that it names, is damaged or gone."""

    rows_were_shown = False


def ask(settings: Settings, sql: str, write: Write, *, unsafe: bool) -> None:
    """Write the rows of a statement.

    Raises:
        CannotBeAsked: it cannot be run, or would do more than read the catalogue.
    """
    try:
        _ask(settings, sql, write, unsafe=unsafe)
    except UnreadableFile as problem:
        from bsky_assets.orchestration.publish import publish

        publish(settings)  # which leaves out what is damaged or gone, and says so
        if problem.rows_were_shown:
            raise
        _ask(settings, sql, write, unsafe=unsafe)


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
    con = without_bars(
        duckdb.connect(
            str(settings.catalogue_path),
            read_only=True,
            config={"temp_directory": str(settings.spill_dir)},
        )
    )
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
