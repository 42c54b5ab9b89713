"""The author's old databases, made anew: a SQLite firehose table and a MongoDB export."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from testbed.legacy import COLUMNS


def did(number: int) -> str:
    return f"did:plc:legacy{number % 50}"


def uri(number: int) -> str:
    return f"at://{did(number)}/app.bsky.feed.post/3k{number:011d}"


def old_row(number: int, **changed: Any) -> dict[str, Any]:
    """A row of the old table, as the old code wrote a post without anything special."""
    return {
        **dict.fromkeys(COLUMNS),
        "uri": uri(number),
        "created_at": "2024-03-20T14:58:08.000Z",
        "text": f"post {number}",
        "langs": "en",
        "py_type": "app.bsky.feed.post",
        "cid": f"bafyreib{number}",
        "author": did(number),
        "synctimestamp": f"2024-03-20-14:58:{number % 60:02d}",
        **changed,
    }


def write_database(
    path: Path, rows: Iterable[Mapping[str, Any]], table: str = "transformedrecordwithauthor"
) -> Path:
    """A SQLite file with `rows`; a column has no type, so that anything can stand in it."""
    with sqlite3.connect(path) as con:
        con.execute(f'CREATE TABLE "{table}" (id INTEGER PRIMARY KEY, {", ".join(COLUMNS)})')
        con.executemany(
            f'INSERT INTO "{table}" ({", ".join(COLUMNS)}) '
            f"VALUES ({', '.join('?' * len(COLUMNS))})",
            ([row[name] for name in COLUMNS] for row in rows),
        )
    con.close()
    return path


def old_document(number: int, **changed: Any) -> dict[str, Any]:
    """A document of the old collection of feed posts."""
    record = {name: old_row(number)[name] for name in COLUMNS if name in RECORD}
    return {
        "_id": {"$oid": f"{number:024x}"},
        "uri": uri(number),
        "cid": f"bafyreib{number}",
        "metadata": {
            "url": f"https://bsky.app/profile/legacy.test/post/3k{number:011d}",
            "source_feed": "today",
            "synctimestamp": "2024-05-21-21:00:05",
        },
        "author": {
            "did": did(number),
            "handle": "legacy.test",
            "display_name": "Legacy",
            "avatar": None,
            "py_type": "app.bsky.actor.defs#profileViewBasic",
        },
        "record": record,
        "indexed_at": "2024-05-21T20:59:00.123Z",
        "like_count": 5,
        "reply_count": 6,
        "repost_count": 7,
        **changed,
    }


RECORD = {
    "created_at",
    "text",
    "embed",
    "langs",
    "entities",
    "facets",
    "labels",
    "reply_parent",
    "reply_root",
    "tags",
    "py_type",
}


def write_export(path: Path, lines: Iterable[Any]) -> Path:
    """A JSON lines file; bytes are written as they are."""
    with path.open("wb") as file:
        for line in lines:
            file.write(line if isinstance(line, bytes) else json.dumps(line).encode())
            file.write(b"\n")
    return path
