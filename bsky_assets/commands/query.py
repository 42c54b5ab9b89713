"""`bsky-assets query`: SQL on the catalogue."""

import sys
from typing import Annotated

import duckdb
import typer
from rich.table import Table

from bsky_assets.console import stdout
from bsky_assets.errors import UserError
from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake

SHOWN_ROWS = 100
"""In a terminal; elsewhere every row is written."""


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A statement on the views.")],
) -> None:
    """Ask the catalogue: a table in a terminal, CSV elsewhere.

    There is a view for each asset, with `sync_day` as its first column.

    \b
    Example:
      bsky-assets query "SELECT filtered_by_func, count(*) FROM filtered_posts GROUP BY ALL"
    """
    with open_catalogue(get_settings()) as con:
        try:
            relation = con.sql(sql)
        except duckdb.Error as error:
            raise UserError(f"the statement cannot be run: {error}") from None
        if relation is None:
            raise UserError("the statement gives no rows; the catalogue is for reading")
        if stdout.is_terminal:
            _show(relation)
        else:
            relation.to_df().to_csv(sys.stdout, index=False)


def open_catalogue(settings: Settings) -> duckdb.DuckDBPyConnection:
    """The catalogue for reading; made first if it is not there yet."""
    if not settings.catalogue_path.exists():
        publish(settings)
    con = duckdb.connect(str(settings.catalogue_path), read_only=True)
    con.execute("SET enable_progress_bar = false")
    Lake.of(settings).attach(con)
    return con


def _show(relation: duckdb.DuckDBPyRelation) -> None:
    table = Table(*relation.columns)
    rows = relation.limit(SHOWN_ROWS + 1).fetchall()
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*(_cell(value) for value in row))
    stdout.print(table)
    if len(rows) > SHOWN_ROWS:
        stdout.print(f"the first {SHOWN_ROWS} rows; write the output to a file to get them all")


def _cell(value: object) -> str:
    """A value as text that can do nothing to the terminal."""
    text = "" if value is None else str(value)
    printable = "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    return printable.replace("[", r"\[")
