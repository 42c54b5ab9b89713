"""Taking a subject out of what Dagster keeps of runs: samples of rows, errors, what steps printed.

Only SQLite is known here, as Dagster keeps it in the data directory.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from bsky_assets.consolidation.forget import MARK, Subject, has_piece
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


def silent(subject: Subject, pieces: set[str], value: Any) -> Any:
    """`value` without the subject: of JSON each text by itself, so that the rest can be read."""
    if not isinstance(value, str):
        return value
    if value[:1] in ("{", "["):
        try:
            parsed = orjson.loads(value)
        except orjson.JSONDecodeError:
            return _text(subject, pieces, value)
        left = _silent_json(subject, pieces, parsed)
        return value if left == parsed else orjson.dumps(left).decode()
    return _text(subject, pieces, value)


def _silent_json(subject: Subject, pieces: set[str], value: Any) -> Any:
    if isinstance(value, dict):
        return {
            _text(subject, pieces, key): _silent_json(subject, pieces, part)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [_silent_json(subject, pieces, part) for part in value]
    return silent(subject, pieces, value)


def _text(subject: Subject, pieces: set[str], text: str) -> str:
    """Line by line: of a table in Markdown only the rows that tell of the subject go."""
    lines = text.split("\n")
    return "\n".join(
        MARK if has_piece(line, pieces) or any(name in line for name in subject.names) else line
        for line in lines
    )


def forget_in_texts(files: Iterable[Path], subject: Subject) -> int:
    """Take the lines that tell of the subject out of text files; how many files changed."""
    pieces, changed = subject.pieces(), 0
    for path in files:
        text = path.read_text("utf-8", "surrogateescape")
        if (left := silent(subject, pieces, text)) != text:
            path.write_text(left, "utf-8", "surrogateescape")
            changed += 1
    return changed
