"""Whom we have been asked to forget: hashes, so that the list itself names nobody.

What came in again since is not taken up when a day is consolidated, and nothing of it is exported.
"""

import hashlib
import secrets
from typing import Any

import duckdb
import orjson

from bsky_assets.storage.examination import FORGOTTEN
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import literal

_REASON = "forgotten"


def remember_to_forget(lake: Lake, subject: str) -> None:
    """Put a DID or AT URI on the list.

    Raises:
        UnusableDataDirectory: it cannot be written.
    """
    found = _read(lake) or {"salt": secrets.token_hex(16), "subjects": []}
    digest = hashlib.sha256(f"{found['salt']}{subject}".encode()).hexdigest()
    subjects = sorted({*found["subjects"], digest})
    lake.place.write(FORGOTTEN, orjson.dumps({**found, "subjects": subjects}))


def _is_forgotten(lake: Lake, uri: str, did: str) -> str | None:
    """SQL for whether the post at the SQL `uri` by `did` is to be forgotten; None for never."""
    found = _read(lake)
    if not found:
        return None
    hashes = ", ".join(map(literal, found["subjects"]))
    salt = literal(found["salt"])
    return f"(sha256({salt} || {uri}) IN ({hashes}) OR sha256({salt} || {did}) IN ({hashes}))"


def leave_out_forgotten(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Add to the table `left_out` what the views `firehose` and `feed` have of the list."""
    for view, did in (("firehose", "author"), ("feed", "author.did")):
        if condition := _is_forgotten(lake, "uri", did):
            con.execute(
                f"INSERT INTO left_out (uri, did, reason) SELECT DISTINCT uri, {did}, "
                f"{literal(_REASON)} FROM {view} "
                f"WHERE {condition} AND uri NOT IN (SELECT uri FROM left_out)"
            )


def seen_again(con: duckdb.DuckDBPyConnection, posts: str, lake: Lake) -> list[str]:
    """DIDs and AT URIs of the list among `posts`, SQL that has uri and did."""
    found: list[str] = []
    for column in ("uri", "did"):
        if condition := _is_forgotten(lake, column, column):
            rows = con.sql(f"SELECT DISTINCT {column} FROM ({posts}) WHERE {condition}").fetchall()
            found += [value for (value,) in rows]
    return found


def _read(lake: Lake) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = orjson.loads(lake.place.read(FORGOTTEN))
    except FileNotFoundError:
        return None
    return found
