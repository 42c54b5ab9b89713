"""Writing rows as Parquet, as they are, or as CSV, flat and safe to open in a spreadsheet.

In CSV the fields of structs are columns with dotted names, lists are JSON, bytes are Base64, and
instants are ISO 8601 in UTC. A text that a spreadsheet would take for a formula has an apostrophe
before it; so has one that began with apostrophes before such a text, so that taking one away
gives back what was there.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from bsky_assets.contracts import Row, arrow_schema
from bsky_assets.storage.lake import Partition, select_days
from bsky_assets.storage.sql import literal

_FORMULA = r"^''*[=+\-@\t\r\n]"
"""As in an SQL string, where '' is one apostrophe."""

_PARQUET = "FORMAT parquet, COMPRESSION zstd"
_CSV = "FORMAT csv, HEADER"


def write_parquet(
    con: duckdb.DuckDBPyConnection, row: type[Row], partitions: Sequence[Partition], path: Path
) -> int:
    """Write the rows of `partitions`, with their days, to `path`; how many there are."""
    return _copy(con, select_days(row, partitions), path, _PARQUET)


def write_csv(
    con: duckdb.DuckDBPyConnection, row: type[Row], partitions: Sequence[Partition], path: Path
) -> int:
    """Write the rows of `partitions`, with their days, to `path`; how many there are."""
    columns = ", ".join(
        f'{expression} AS "{name}"'
        for field in arrow_schema(row)
        for name, expression in _flat(field.name, f'"{field.name}"', field.type)
    )
    rows = f"SELECT sync_day, {columns} FROM ({select_days(row, partitions)})"
    with con.cursor() as session:
        session.execute("SET TimeZone = 'UTC'")
        return _copy(session, rows, path, _CSV)


def _copy(con: duckdb.DuckDBPyConnection, rows: str, path: Path, options: str) -> int:
    ((count,),) = con.execute(f"COPY ({rows}) TO {literal(path)} ({options})").fetchall()
    return int(count)


def _flat(name: str, reference: str, kind: pa.DataType) -> Iterator[tuple[str, str]]:
    """The CSV columns of a column: their names and expressions."""
    if pa.types.is_struct(kind):
        for part in kind:
            yield from _flat(f"{name}.{part.name}", f'{reference}."{part.name}"', part.type)
    elif pa.types.is_list(kind):
        yield name, f"CAST(to_json({reference}) AS VARCHAR)"
    elif pa.types.is_string(kind):
        yield (
            name,
            f"CASE WHEN regexp_matches({reference}, '{_FORMULA}') "
            f"THEN '''' || {reference} ELSE {reference} END",
        )
    elif pa.types.is_binary(kind):
        yield name, f"base64({reference})"
    elif pa.types.is_timestamp(kind):
        yield name, f"strftime(timezone('UTC', {reference}), '%Y-%m-%dT%H:%M:%S.%fZ')"
    else:
        yield name, reference
