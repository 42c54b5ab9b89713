"""The author's old firehose table, a SQLite database of flat columns.

What belongs here: how its rows are read, whatever SQLite let into them. What does not: how its
strings are understood (`legacy_record`) and how rows get into the lake (`loading`).
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from bsky_assets.contracts import RawFirehosePost, Row
from bsky_assets.contracts.progress import Reporter, silent
from bsky_assets.errors import UserError
from bsky_assets.migrations import legacy_record, loading
from bsky_assets.migrations.legacy_record import Fault
from bsky_assets.migrations.loading import Batch, Migrated
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import identifier, literal

BATCH_ROWS = 20_000
REQUIRED = ("uri", "cid", "author", "created_at", "text", "synctimestamp")
COLUMNS = ("uri", "cid", "author", "synctimestamp", *legacy_record.COLUMNS)

FAULTS = (
    Fault("unreadable", "not_unicode", "a column is not UTF-8 text"),
    Fault(
        f"NOT regexp_matches(coalesce(uri, ''), {literal(legacy_record.POST_URI)})",
        "bad_uri",
        "uri is not the AT URI of a post",
    ),
    Fault("coalesce(cid, '') = ''", "missing_field", "cid is missing"),
    Fault(
        "coalesce(author, '') <> split_part(uri, '/', 3)",
        "bad_author",
        "author is not the DID that uri names",
    ),
    *legacy_record.FAULTS,
)


class NotALegacyDatabase(UserError):
    """The file is no SQLite database with the old table in it."""


def migrate(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    file: Path,
    settings: Settings,
    progress: Reporter = silent,
) -> Migrated:
    """Bring the old firehose table in `file` into `raw_firehose_posts`, by sync day.

    The table is known by its columns, whatever its name. Its rows have `legacy-sqlite:` and the
    file's name as relay, their rowid as seq, and no revision. Killed, it goes on where it was
    when it is run again.

    Raises:
        NotALegacyDatabase: the file cannot be read as what it should be.
        CountsDisagree: a row is neither in the lake nor in quarantine.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    with LegacyTable(file) as table:
        return loading.migrate(con, lake, table, settings, progress)


class LegacyTable:
    """The old table, read in one transaction; a `loading.Source`."""

    kind = "legacy_sqlite"
    row: type[Row] = RawFirehosePost

    def __init__(self, file: Path) -> None:
        """Open `file` for reading and find the table in it."""
        self.file = file
        if not file.is_file():
            raise NotALegacyDatabase(f"there is no file {file}")
        self._con = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
        self._con.text_factory = bytes
        self._con.isolation_level = None
        try:
            self._query("BEGIN")
            self._name, self._columns = self._find()
        except NotALegacyDatabase:
            self._con.close()
            raise

    def __enter__(self) -> "LegacyTable":
        return self

    def __exit__(self, *_: object) -> None:
        self._con.close()

    def total(self) -> int:
        """How many rows the table has."""
        ((count,),) = self._query(f"SELECT count(*) FROM {self._name}")
        return int(count)

    def batches(self, after: int | None) -> Iterator[Batch]:
        """Its rows in order of rowid, every column as text whatever SQLite kept in it."""
        columns = ", ".join(
            f"CAST({identifier(name)} AS TEXT)" if name in self._columns else "NULL"
            for name in COLUMNS
        )
        where = "" if after is None else f"WHERE rowid > {after}"
        cursor = self._query(f"SELECT rowid, {columns} FROM {self._name} {where} ORDER BY rowid")
        while rows := self._fetch(cursor):
            yield Batch(last=rows[-1][0], rows=_as_table(rows))

    def shaped(self, rows: str) -> str:
        """SQL for `rows` as rows of `RawFirehosePost`."""
        relay = literal(f"{self.kind.replace('_', '-')}:{self.file.name}")
        return f"""
            SELECT ordinal, uri, cid, author,
                CASE WHEN fault IS NULL THEN {legacy_record.record()} END AS record,
                {{'synctimestamp': synctimestamp, 'source_feed': 'firehose',
                  'url': CAST(NULL AS VARCHAR)}} AS metadata,
                {relay} AS relay, ordinal AS seq, 'create' AS action, '' AS rev,
                {legacy_record.instant("synctimestamp")} AS received_at,
                fault
            FROM (
                SELECT *, {legacy_record.first_fault(FAULTS)} AS fault
                FROM ({legacy_record.parsed(rows)})
            )
        """

    def contents(self, ordinals: Sequence[int]) -> Iterator[bytes]:
        """The rows as JSON objects; bytes that are not UTF-8 stand as they are."""
        query = f"SELECT * FROM {self._name} WHERE rowid = ?"
        for ordinal in ordinals:
            cursor = self._query(query, ordinal)
            names = [column[0] for column in cursor.description]
            (row,) = cursor.fetchall()
            values = {
                name: value.decode("utf-8", "surrogateescape")
                if isinstance(value, bytes)
                else value
                for name, value in zip(names, row, strict=True)
            }
            text = json.dumps(values, ensure_ascii=False)
            yield text.encode("utf-8", "surrogateescape")

    def _find(self) -> tuple[str, frozenset[str]]:
        tables = self._query("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found: list[tuple[str, frozenset[str]]] = []
        for (name,) in tables:
            quoted = identifier(name.decode())
            columns = frozenset(
                row[1].decode().lower() for row in self._query(f"PRAGMA table_info({quoted})")
            )
            if columns.issuperset(REQUIRED):
                found.append((quoted, columns))
        if len(found) != 1:
            raise NotALegacyDatabase(
                f"{self.file} has {len(found)} tables with the columns {', '.join(REQUIRED)}; "
                "expected one, the old firehose table"
            )
        return found[0]

    def _query(self, sql: str, *values: int) -> sqlite3.Cursor:
        try:
            return self._con.execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error

    def _fetch(self, cursor: sqlite3.Cursor) -> list[tuple[int, *tuple[bytes | None, ...]]]:
        try:
            return cursor.fetchmany(BATCH_ROWS)
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: sqlite3.DatabaseError) -> NotALegacyDatabase:
        return NotALegacyDatabase(
            f"cannot read {self.file}: {error}; if it is a SQLite database, mend it with "
            "sqlite3's .recover and try again"
        )


def _as_table(rows: Sequence[tuple[int, *tuple[bytes | None, ...]]]) -> pa.Table:
    ordinals, *values = zip(*rows, strict=True)
    unreadable = [False] * len(rows)
    columns = [_as_strings(column, unreadable) for column in values]
    return pa.table(
        [pa.array(ordinals, pa.int64()), *columns, pa.array(unreadable)],
        names=["ordinal", *COLUMNS, "unreadable"],
    )


def _as_strings(values: Sequence[bytes | None], unreadable: list[bool]) -> pa.Array:
    """The column as strings; a value that is not UTF-8 is null, and its row marked."""
    column = pa.array(values, pa.binary())
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        decoded = [None if value is None else value.decode("utf-8", "replace") for value in values]
        for number, (value, text) in enumerate(zip(values, decoded, strict=True)):
            if value is not None and text is not None and text.encode() != value:
                unreadable[number] = True
        return pa.array(decoded, pa.string())
