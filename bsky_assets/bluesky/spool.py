"""What a stream has brought and is not committed yet, and its way into segments.

A segment is written in a thread while the next one fills. When the disk is slower than the
stream, `commit` does not return until the segment before is written: whoever reads waits, and
so does the host; nothing is dropped and memory stays bounded.
What does not belong here: connections.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from bsky_assets.bluesky.accounting import Account, Events
from bsky_assets.bluesky.revisions import Followed, Revisions
from bsky_assets.bluesky.rows import Rows
from bsky_assets.bluesky.versions import stream_version
from bsky_assets.contracts import Row
from bsky_assets.storage.segments import COLUMN_OF, Footer, SegmentWriter
from bsky_assets.sync_day import bounds, sync_day_of

_FIRST_COMMIT_SECONDS = 5.0
_COMMIT_SHARE = 0.1
COMMIT_SECONDS = 60.0
"""A segment is committed at an age of this share of the time that has been read, and between these
two. So a reading that is killed again and again comes on, and a long one leaves few files."""
_COMMIT_ROWS = 10_000
_COMMIT_EVENTS = 400_000
COMMIT_BYTES = 64 * 2**20
"""It is committed before when it has as many rows or events, or took as many bytes, those that it
keeps of what could not be read counted again; and at the end of the sync day."""

_GARBAGE_THRESHOLDS = (100_000, 20, 100)
MICROSECONDS = 1_000_000


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for garbage in cycles less often: reading makes many objects, and none of those."""
    before = gc.get_threshold()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Reader(Protocol):
    """Turns a host's frames into rows and events."""

    rows: Rows
    revisions: Revisions
    last_number: int | None
    passing_until: datetime | None

    def read(self, frame: bytes, received: int) -> None:
        """Take one frame that arrived at `received`, in microseconds since the epoch."""

    def take_events(self) -> Events:
        """The events since the last time this was asked."""


class Spool:
    """The segment that is filling, and the account of the stream."""

    def __init__(
        self,
        reader: Reader,
        account: Account,
        writer: SegmentWriter,
        timezone: ZoneInfo,
        kept_to: frozenset[str] | None = None,
    ) -> None:
        """Put what `reader` reads into segments by `writer`, one sync day each.

        If there is `kept_to`, rows of other accounts are dropped.
        """
        self.reader, self.account = reader, account
        self.rows: Counter[str] = Counter()
        """Rows taken into segments so far, by column."""
        self.segments = 0
        self.gaps = 0
        self.room = COMMIT_BYTES
        """Bytes that may still be received for the segment that is filling."""
        self._writer, self._timezone, self._kept_to = writer, timezone, kept_to
        self._reader_version = stream_version(writer.segments.stream)
        self._writing: asyncio.Task[None] | None = None
        self._committing = asyncio.Lock()
        self._began: int | None = None
        self._since: int | None = None
        self._until = 0

    def begin(self, received: int) -> int:
        """Note that a frame arrives; returns when the sync day ends, in microseconds."""
        if self._began is None:
            self._began = received
        if self._since is None:
            self._since = received
        day = sync_day_of(_instant(self._since), self._timezone)
        return int(bounds(day, self._timezone)[1].timestamp()) * MICROSECONDS

    def account_for(self, now: int) -> None:
        """Bring the account up to date."""
        gaps = self.account.gaps
        self.account.add(self.reader.take_events(), _instant(now))
        self.reader.revisions.settle(is_whole=self.account.gaps <= gaps)
        self._until = now

    def is_due(self, now: int) -> bool:
        """Whether the segment should be committed."""
        if self._since is None or self._began is None:
            return False
        share = _COMMIT_SHARE * (now - self._began) / MICROSECONDS
        age = min(max(share, _FIRST_COMMIT_SECONDS), COMMIT_SECONDS)
        return (
            now - self._since >= age * MICROSECONDS
            or now >= self.begin(now)
            or self.reader.rows.rows >= _COMMIT_ROWS
            or self.account.uncommitted >= _COMMIT_EVENTS
            or self.room <= self.reader.rows.kept_bytes
        )

    async def commit(self) -> None:
        """Have what is here written; wait first until the segment before is.

        Raises:
            UnusableDataDirectory: it, or the one before, cannot be written.
        """
        async with self._committing:
            await self.settle()
            if self.account.is_empty and not self.reader.rows.rows:
                return
            since = self._until if self._since is None else self._since
            began, ended = _instant(since), _instant(max(self._until, since))
            rows = self.reader.rows.take()
            self.rows.update(_by_column(rows.counts()))
            self.gaps += self.account.gaps
            footer = _followed(
                self.account.close((began, ended), self.reader.passing_until),
                self.reader.revisions.take(),
            )
            self.segments += 1
            self.room, self._since = COMMIT_BYTES, None
            day = sync_day_of(began, self._timezone)
            self._writing = asyncio.create_task(asyncio.to_thread(self._write, day, rows, footer))

    def _write(self, day: date, rows: Rows, footer: Footer) -> None:
        """Off the event loop: what was read becomes columns, and they a segment."""
        taken = Counter(_by_column(rows.counts()))
        if self._kept_to is not None:
            rows.keep_only(self._kept_to)
        tables = rows.tables()
        counts = _by_column(rows.counts())
        taken.subtract(counts)
        self.rows.subtract(taken)
        reasons = Counter(row["reason"] for row in rows.quarantined)
        counted = replace(
            footer,
            rows=counts,
            quarantined=dict(reasons),
            reader_version=self._reader_version,
            kept_to=None if self._kept_to is None else len(self._kept_to),
        )
        self._writer.write(day, tables, counted)

    async def settle(self) -> None:
        """Wait until nothing is being written any more.

        Raises:
            UnusableDataDirectory: it cannot be written.
        """
        if self._writing:
            await asyncio.wait([self._writing])
            self._writing.result()
            self._writing = None


def _followed(footer: Footer, followed: Followed) -> Footer:
    commits = footer.events.get("commit", 0)
    return replace(
        footer,
        jumps=followed.jumps,
        jump_count=followed.jump_count,
        commits_followed=max(0, commits - followed.unfollowed),
    )


def _by_column(counts: Mapping[type[Row], int]) -> dict[str, int]:
    return {COLUMN_OF[row]: count for row, count in counts.items()}


def _instant(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / MICROSECONDS, UTC)
