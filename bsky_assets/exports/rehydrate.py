"""Fetching the posts of a dehydrated export from an AppView, as they are now.

What was fetched is kept in parts beside the result until all is there, so that whoever is
interrupted goes on where they stopped. Each loss has its reason.

Source: lexicon app.bsky.feed.getPosts.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bsky_assets.bluesky.appview import read_item
from bsky_assets.bluesky.profiles import followers
from bsky_assets.bluesky.records import POST, Unreadable
from bsky_assets.bluesky.syntax import at_uri_parts, is_did
from bsky_assets.bluesky.xrpc import XrpcHost
from bsky_assets.contracts import arrow_schema
from bsky_assets.contracts.progress import Progress, Reporter, silent
from bsky_assets.contracts.published import RehydratedPost
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings
from bsky_assets.storage.files import staged, unique_id
from bsky_assets.storage.sql import literal, read_parquet
from bsky_assets.sync_day import now

METHOD = "app.bsky.feed.getPosts"
_URIS_A_REQUEST = 25
REQUESTS_A_PART = 40
"""So much is asked for again, at most, by whoever was interrupted."""

SCHEMA = arrow_schema(RehydratedPost)
Row = dict[str, Any]


class NotDehydrated(UserError):
    """The file has no column of AT URIs, or cannot be read."""


class AlreadyRehydrated(UserError):
    """The result is there; it is not fetched again over it."""


@dataclass(frozen=True)
class Rehydrated:
    """What came of it."""

    path: Path
    outcomes: Mapping[str, int]
    """How many posts, by outcome."""


def rehydrate(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    source: Path,
    target: Path,
    progress: Reporter = silent,
) -> Rehydrated:
    """Fetch each post of `source`, Parquet or CSV with a column `uri`, into the Parquet `target`.

    Where `cid` stands beside `uri`, a post that has another now is told as edited.

    Raises:
        NotDehydrated: `source` is no such file.
        AlreadyRehydrated: `target` is there.
        Refused, Unanswered: the AppView does not answer; what it did answer is kept.
        UnusableDataDirectory: `target` cannot be written.
    """
    if target.exists():
        raise AlreadyRehydrated(f"{target} is there already; name another with --to, or move it")
    parts = target.with_name(f"{target.name}.parts")
    wanted = _wanted(con, source)
    waiting = _waiting(con, wanted, parts)
    done = wanted.num_rows - waiting.num_rows
    with XrpcHost(settings.appview_url, "BSKY_APPVIEW_URL") as host:
        for batch in waiting.to_batches(max_chunksize=_URIS_A_REQUEST * REQUESTS_A_PART):
            with staged(parts / f"{unique_id()}.parquet") as path:
                pq.write_table(pa.Table.from_pylist([*_fetched(host, batch)], SCHEMA), path)
            done += batch.num_rows
            progress(Progress("rehydrate", done, wanted.num_rows))
    return _assemble(con, wanted, parts, target)


def _wanted(con: duckdb.DuckDBPyConnection, source: Path) -> pa.Table:
    """The addresses of `source` in their order, each once: `uri` and `cid`."""
    is_csv = source.suffix == ".csv"
    rows = f"read_csv({literal(source)}, all_varchar = true)" if is_csv else read_parquet([source])
    try:
        con.execute(f"CREATE OR REPLACE TEMP VIEW dehydrated AS SELECT * FROM {rows}")
        columns = con.sql("FROM dehydrated").columns
        cid = "CAST(cid AS VARCHAR)" if "cid" in columns else "NULL::VARCHAR"
        return con.sql(
            f"""
            SELECT uri, any_value(cid) AS cid FROM (
                SELECT CAST(uri AS VARCHAR) AS uri, {cid} AS cid, row_number() OVER () AS place
                FROM dehydrated
            ) WHERE uri IS NOT NULL GROUP BY uri ORDER BY min(place)
            """
        ).to_arrow_table()
    except duckdb.Error as error:
        raise NotDehydrated(
            f"{source}: {str(error).splitlines()[0]}; expected a Parquet or CSV file with a column "
            "`uri`, as `bsky-assets export --level dehydrated` writes"
        ) from None


def _parts(parts: Path) -> str:
    files = sorted(parts.glob("*.parquet"))
    return f"SELECT * FROM {read_parquet(files)}" if files else "SELECT * FROM no_parts"


def _waiting(con: duckdb.DuckDBPyConnection, wanted: pa.Table, parts: Path) -> pa.Table:
    con.register("wanted", wanted.append_column("place", pa.array(range(wanted.num_rows))))
    con.register("no_parts", SCHEMA.empty_table())
    return con.sql(
        f"SELECT uri, cid FROM wanted ANTI JOIN ({_parts(parts)}) USING (uri) ORDER BY place"
    ).to_arrow_table()


def _assemble(
    con: duckdb.DuckDBPyConnection, wanted: pa.Table, parts: Path, target: Path
) -> Rehydrated:
    columns = ", ".join(f"part.{name}" for name in SCHEMA.names)
    with staged(target) as path:
        con.execute(
            f"COPY (SELECT {columns} FROM wanted JOIN ({_parts(parts)}) AS part USING (uri) "
            f"ORDER BY place) TO {literal(path)} (FORMAT parquet, COMPRESSION zstd)"
        )
    shutil.rmtree(parts, ignore_errors=True)
    counted = con.sql(
        f"SELECT outcome, count(*) FROM {read_parquet([target])} GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    return Rehydrated(target, dict(counted.fetchall()))


def _fetched(host: XrpcHost, batch: pa.RecordBatch) -> Iterator[Row]:
    """A row for each address of a part; what an AppView cannot be asked for is not asked for."""
    posts = iter(batch.to_pylist())
    while asked := list(islice(posts, _URIS_A_REQUEST)):
        good = [post["uri"] for post in asked if _author(post["uri"])]
        views = _views(host, good)
        missing = dict.fromkeys(_author(uri) for uri in good if uri not in views)
        there = followers(host, [did for did in missing if did]) if missing else {}
        yield from (_row(post["uri"], post["cid"], views, there) for post in asked)


def _views(host: XrpcHost, uris: list[str]) -> dict[str, Any]:
    if not uris:
        return {}
    shown = host.query(METHOD, {"uris": uris}, holding="posts")["posts"]
    named = (view for view in shown if isinstance(view, dict) and type(view.get("uri")) is str)
    return {view["uri"]: view for view in named}


def _author(uri: str) -> str | None:
    """The DID in the AT URI of a post; None if it is none."""
    authority, collection, key = at_uri_parts(uri) or ("", None, None)
    return authority if collection == POST and key and is_did(authority) else None


def _row(
    uri: str, cid: str | None, views: Mapping[str, Any], there: Mapping[str, int]
) -> dict[str, Any]:
    row: Row = dict.fromkeys(SCHEMA.names)
    row |= {"uri": uri, "asked_cid": cid, "fetched_at": now()}
    author = _author(uri)
    if author is None:
        return row | {"outcome": "no_address"}
    if uri not in views:
        return row | {"outcome": "deleted" if author in there else "account_gone"}
    try:
        read = read_item(
            {"post": views[uri]}, source_feed="", position=0, received_at=row["fetched_at"]
        )
    except Unreadable:
        return row | {"outcome": "unreadable"}
    row |= {name: read[name] for name in SCHEMA.names if name in read}
    return row | {"outcome": "edited" if cid not in (None, read["cid"]) else "fetched"}
