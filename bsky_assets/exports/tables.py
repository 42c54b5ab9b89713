"""Writing rows as Parquet, as they are, or as CSV, flat and safe to open in a spreadsheet.

In CSV the fields of structs are columns with dotted names, lists are JSON, bytes are Base64, and
instants are ISO 8601 in UTC. A text that a spreadsheet would take for a formula has an apostrophe
before it; so has one that began with apostrophes before such a text, so that taking one away
gives back what was there.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from bsky_assets.contracts import Row, arrow_schema
from bsky_assets.storage.sql import identifier, literal

_FORMULA = r"^'*[=+\-@\t\r\n]"

_PARQUET = "FORMAT parquet, COMPRESSION zstd"
_CSV = "FORMAT csv, HEADER"


def write_parquet(con: duckdb.DuckDBPyConnection, row: type[Row], rows: str, path: Path) -> int:
    """Write the rows of `row` that the SQL `rows` gives, days first, to `path`; how many."""
    return _copy(con, rows, path, _PARQUET)


def write_csv(con: duckdb.DuckDBPyConnection, row: type[Row], rows: str, path: Path) -> int:
    """Write the rows of `row` that the SQL `rows` gives, days first, to `path`; how many."""
    columns = ", ".join(
        f"{expression} AS {identifier(name)}"
        for field in arrow_schema(row)
        for name, expression in _flat(field.name, identifier(field.name), field.type)
    )
    before = con.sql("SELECT current_setting('TimeZone')").fetchall()[0][0]
    con.execute("SET TimeZone = 'UTC'")
    try:
        return _copy(con, f"SELECT sync_day, {columns} FROM ({rows})", path, _CSV)
    finally:
        con.execute(f"SET TimeZone = {literal(before)}")


def _copy(con: duckdb.DuckDBPyConnection, rows: str, path: Path, options: str) -> int:
    ((count,),) = con.execute(f"COPY ({rows}) TO {literal(path)} ({options})").fetchall()
    return int(count)


def _flat(name: str, reference: str, kind: pa.DataType) -> Iterator[tuple[str, str]]:
    """The CSV columns of a column: their names and expressions."""
    if pa.types.is_struct(kind):
        for part in kind:
            yield from _flat(
                f"{name}.{part.name}", f"{reference}.{identifier(part.name)}", part.type
            )
    elif pa.types.is_list(kind):
        yield name, f"CAST(to_json({reference}) AS VARCHAR)"
    elif pa.types.is_string(kind):
        yield (
            name,
            f"CASE WHEN regexp_matches({reference}, {literal(_FORMULA)}) "
            f"THEN '''' || {reference} ELSE {reference} END",
        )
    elif pa.types.is_binary(kind):
        yield name, f"base64({reference})"
    elif pa.types.is_timestamp(kind):
        yield name, f"strftime(timezone('UTC', {reference}), '%Y-%m-%dT%H:%M:%S.%fZ')"
    else:
        yield name, reference
