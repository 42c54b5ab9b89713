"""Taking a subject out of what Dagster keeps of runs: samples of rows, errors, what steps printed.

Only SQLite is known here, as Dagster keeps it in the data directory.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from bsky_assets.consolidation.forget import Subject, silent
from bsky_assets.storage.sql import identifier

_SQLITE = b"SQLite format 3\0"


def forget_in_databases(folder: Path, subject: Subject) -> int:
    """Take the subject out of every SQLite database below `folder`; how many values changed."""
    pieces = subject.pieces()
    return sum(_forget_in(path, subject, pieces) for path in _databases(folder))


def _databases(folder: Path) -> Iterable[Path]:
    for path in sorted(folder.rglob("*.db")):
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                yield path


def _forget_in(path: Path, subject: Subject, pieces: set[str]) -> int:
    changed = 0
    with closing(sqlite3.connect(path, timeout=30)) as database:
        database.execute("PRAGMA secure_delete = ON")
        for table in _tables(database):
            changed += _forget_in_table(database, table, subject, pieces)
        database.commit()
        if changed:
            database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return changed


def _tables(database: sqlite3.Connection) -> list[str]:
    found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [name for (name,) in found if not name.startswith("sqlite_")]


def _forget_in_table(
    database: sqlite3.Connection, table: str, subject: Subject, pieces: set[str]
) -> int:
    quoted, changed = identifier(table), 0
    described = database.execute(f"PRAGMA table_info({quoted})").fetchall()
    columns = [column[1] for column in described]
    named = ", ".join(map(identifier, columns))
    for rowid, *values in database.execute(f"SELECT rowid, {named} FROM {quoted}").fetchall():
        for column, value in zip(columns, values, strict=True):
            left = silent(subject, pieces, value)
            if left != value:
                database.execute(
                    f"UPDATE {quoted} SET {identifier(column)} = ? WHERE rowid = ?", (left, rowid)
                )
                changed += 1
    return changed


def forget_in_texts(files: Iterable[Path], subject: Subject) -> int:
    """Take the lines that tell of the subject out of text files; how many files changed."""
    pieces, changed = subject.pieces(), 0
    for path in files:
        text = path.read_text("utf-8", "surrogateescape")
        if (left := silent(subject, pieces, text)) != text:
            path.write_text(left, "utf-8", "surrogateescape")
            changed += 1
    return changed
