"""Reading the feeds of the settings, page by page, into the day's `raw_feed_posts`.

A feed is a moving picture: it can be read today and at no other time, so the partition of a
past day stays as it is. Reading again on the same day adds what is new.

Source: lexicon app.bsky.feed.getFeed.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa

from bsky_assets.bluesky.appview import read_item
from bsky_assets.bluesky.records import Unreadable
from bsky_assets.bluesky.session import SignInFailed, sign_in
from bsky_assets.bluesky.versions import reader_version
from bsky_assets.bluesky.xrpc import Refused, XrpcHost, as_bytes
from bsky_assets.contracts import RawFeedPost, arrow_schema, contract_version
from bsky_assets.contracts.details import FeedDetails, FeedReading
from bsky_assets.contracts.lineage import lineage_version
from bsky_assets.contracts.progress import Progress, Reporter
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings
from bsky_assets.storage import network, quarantine
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.locks import exclusive
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets.sync_day import now, today

METHOD = "app.bsky.feed.getFeed"
_PAGE_ITEMS = 100
MOST_PAGES = 1000
"""A feed that goes on after as many pages is not read further."""
_MOST_STALE_PAGES = 10
"""Nor is one that shows nothing new on as many pages in a row."""

SCHEMA = arrow_schema(RawFeedPost)
_ADDED = "feed_posts_read_now"


@dataclass
class FeedRead:
    """What one reading of one feed brought."""

    name: str
    uri: str
    began: datetime = field(default_factory=now)
    rows: list[dict[str, Any]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)
    """What tells one item from another: its URI, or the whole of it where that cannot be read."""
    pages: int = 0
    items: int = 0
    seconds: float = 0.0
    ended: str = ""
    """Why it was not read further."""
    problem: str | None = None
    """The message for a person, where it gave nothing or broke off."""

    def details(self) -> FeedReading:
        """The reading as the partition's details keep it."""
        indexed = [row["indexed_at"] for row in self.rows if row["indexed_at"]]
        return FeedReading(
            uri=self.uri,
            read_at=self.began.isoformat(),
            pages=self.pages,
            items=self.items,
            repeats=len(self.rows) - len({row["uri"] for row in self.rows}),
            quarantined=len(self.quarantined),
            seconds=round(self.seconds, 3),
            indexed_from=min(indexed).isoformat() if indexed else None,
            indexed_to=max(indexed).isoformat() if indexed else None,
            ended=self.ended,
            problem=self.problem,
            reader_version=reader_version(RawFeedPost),
        )


def sync_feeds(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    settings: Settings,
    day: date,
    *,
    max_posts: int | None = None,
    progress: Reporter | None = None,
) -> Partition:
    """Read every feed of the settings and bring the partition of `day` up to date.

    The partition becomes what it was and what was read, one row for each post of a feed: its
    first position and time, its latest counts, labels and record. Where `day` is not today
    nothing is read. A reading belongs to the day on which it began. A feed that was refused,
    unreachable or empty stops no other: its details have a `problem`.

    Args:
        con: does the merging.
        lake: holds the partition.
        settings: which feeds, from which host, with which session.
        day: the sync day.
        max_posts: items of each feed after which it is not read further.
        progress: is told of every page.

    Raises:
        OtherNetwork: the data directory is of another network.
        UnusableDataDirectory: it cannot be written to.
    """
    if day != today(settings.timezone):
        return _as_it_is(con, lake, day)
    network.keep(settings)
    reads = list(_read_feeds(settings, max_posts, progress))
    return _store(con, lake, day, reads)


def _as_it_is(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> Partition:
    """The partition of an earlier day, under today's contract, or one that says there is none."""
    partition = lake.current(RawFeedPost, day)
    if partition is None:
        note = FeedDetails(feeds={}, note="not collected: feeds cannot be read back in time")
        return lake.write(RawFeedPost, day, SCHEMA.empty_table(), note)
    made_as = (partition.contract, partition.lineage)
    if made_as == (contract_version(RawFeedPost), lineage_version(RawFeedPost)):
        return partition
    rows = select_rows(RawFeedPost, [partition])
    return lake.write_query(con, RawFeedPost, day, rows, partition.told(FeedDetails))


def _read_feeds(
    settings: Settings, max_posts: int | None, progress: Reporter | None
) -> Iterator[FeedRead]:
    try:
        session = sign_in(settings)
    except SignInFailed as error:
        for name, uri in settings.feeds.items():
            yield FeedRead(name, uri, ended="problem", problem=f"feed {name} ({uri}): {error}")
        return
    url = session.host if session else settings.appview_url
    with XrpcHost(url, "BSKY_APPVIEW_URL", session.headers if session else None) as host:
        for name, uri in settings.feeds.items():
            read = FeedRead(name, uri)
            started = time.monotonic()
            try:
                _read_feed(host, read, max_posts, progress)
                if not read.items:
                    read.problem = (
                        f"feed {name} ({uri}) is empty at {host.url}: its generator may be down; "
                        "try again later, or name another in BSKY_FEEDS"
                    )
            except UserError as error:
                read.ended = "problem"
                read.problem = f"feed {name} ({uri}): {_advice(error, signed_in=bool(session))}"
            read.seconds = time.monotonic() - started
            yield read


def _advice(error: UserError, *, signed_in: bool) -> str:
    if isinstance(error, Refused):
        if error.needs_session and not signed_in:
            return f"{error}; it needs a session: set BSKY_HANDLE and BSKY_APP_PASSWORD"
        return f"{error}; check BSKY_FEEDS and BSKY_APPVIEW_URL"
    return str(error)


def _read_feed(
    host: XrpcHost, read: FeedRead, max_posts: int | None, progress: Reporter | None
) -> None:
    cursors: set[str] = set()
    cursor: str | None = None
    stale = 0
    while not read.ended:
        page = host.query(METHOD, _params(read.uri, cursor), holding="feed")
        known = len(read.seen)
        _take_page(host, read, page["feed"], max_posts)
        stale = 0 if len(read.seen) > known else stale + 1
        if progress:
            progress(Progress(read.name, read.items, unit="items"))
        cursor = _cursor_of(page)
        if cursor is None:
            read.ended = "end"
        elif max_posts is not None and read.items >= max_posts:
            read.ended = "max_posts"
        elif cursor in cursors:
            read.ended = "cursor_repeated"
        elif stale >= _MOST_STALE_PAGES:
            read.ended = "nothing_new"
        elif read.pages >= MOST_PAGES:
            read.ended = "most_pages"
        else:
            cursors.add(cursor)


def _params(uri: str, cursor: str | None) -> Mapping[str, str | int]:
    params: dict[str, str | int] = {"feed": uri, "limit": _PAGE_ITEMS}
    return params if cursor is None else {**params, "cursor": cursor}


def _cursor_of(page: Mapping[str, Any]) -> str | None:
    cursor = page.get("cursor")
    return str(cursor) if isinstance(cursor, str | int) and cursor != "" else None


def _take_page(host: XrpcHost, read: FeedRead, items: list[Any], max_posts: int | None) -> None:
    received_at = now()
    room = len(items) if max_posts is None else max_posts - read.items
    for number, item in enumerate(items[:room]):
        try:
            row = _row(item, read, received_at)
            read.rows.append(row)
            read.seen.add(row["uri"].encode())
        except Unreadable as problem:
            content = as_bytes(item)
            read.seen.add(content)
            read.quarantined.append(
                {
                    "source": RawFeedPost.asset,
                    "origin": host.name,
                    "position": f"{read.name}/{read.pages}/{number}",
                    "reason": problem.reason,
                    "detail": problem.detail,
                    "content": content,
                    "received_at": received_at,
                }
            )
        read.items += 1
    read.pages += 1


def _row(item: Any, read: FeedRead, received_at: datetime) -> dict[str, Any]:
    """The item's row; one that Arrow cannot hold must not cost the others either."""
    try:
        row = read_item(item, source_feed=read.name, position=read.items, received_at=received_at)
        pa.RecordBatch.from_pylist([row], schema=SCHEMA)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise Unreadable("not_storable", f"a value does not fit ({type(error).__name__})") from None
    return row


def _store(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date, reads: list[FeedRead]
) -> Partition:
    with exclusive(lake.root / RawFeedPost.asset):
        before = lake.current(RawFeedPost, day)
        added = pa.Table.from_pylist([row for read in reads for row in read.rows], schema=SCHEMA)
        feeds = before.told(FeedDetails).readings if before else {}
        told = FeedDetails(feeds={**feeds, **{read.name: read.details() for read in reads}})
        con.register(_ADDED, added.append_column("ordinal", pa.array(range(added.num_rows))))
        try:
            partition = lake.write_query(con, RawFeedPost, day, _merged(before), told)
        finally:
            con.unregister(_ADDED)
        quarantine.add(
            con, lake, RawFeedPost.asset, day, [row for read in reads for row in read.quarantined]
        )
    return partition


def _merged(before: Partition | None) -> str:
    """SQL for one row for each post of a feed: the latest, with position and time of the first."""
    kept = select_rows(RawFeedPost, [before] if before else [])
    columns = ", ".join(SCHEMA.names)
    return f"""
        WITH seen AS (
            SELECT {columns}, -1 AS ordinal FROM ({kept})
            UNION ALL SELECT {columns}, ordinal FROM {_ADDED}
        ),
        latest AS (
            SELECT * REPLACE (
                first_value(position) OVER feed_post AS position,
                first_value(received_at) OVER feed_post AS received_at,
                first_value(metadata) OVER feed_post AS metadata
            )
            FROM seen
            WINDOW feed_post AS (
                PARTITION BY metadata.source_feed, uri ORDER BY ordinal
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
            )
            QUALIFY ordinal = last_value(ordinal) OVER feed_post
        )
        SELECT {columns} FROM latest ORDER BY metadata.source_feed, received_at, position
    """
