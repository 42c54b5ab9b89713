"""Healing: what an archive has of the gaps of a day is merged into it, and accounted for.

A gap is healed only if the archive spans it without a gap of its own and has, next to it on both
sides, posts that we have too: only then do the two tell of the same. What survives comes; of what
was deleted since, the deletion tells. Whatever comes stays, healed or not.
What an account wrote in a gap is not there any more if its repository came again later, by a #sync:
the archive keeps what came last. So it is looked for where the repository came, too.
What does not belong here: which gaps there are (`storage.completeness`), and when to heal.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.bluesky.archive.blocks import ACCOUNT, CREATE, DELETE, UPDATE
from bsky_assets.bluesky.archive.dating import KEY, WITNESSED, clocks
from bsky_assets.bluesky.archive.ingest import DayIngest, reading_of
from bsky_assets.bluesky.archive.reading import (
    LATE,
    ArchiveEnds,
    ArchiveReading,
    instant_of,
    micros_of,
)
from bsky_assets.bluesky.collected import archive_segments, firehose_segments
from bsky_assets.bluesky.records import POST
from bsky_assets.contracts import RawFirehosePost, RawPostDeletion
from bsky_assets.contracts.progress import Log
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import ListedGap, StreamDetails
from bsky_assets.storage.healing import Healing
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets.sync_day import now

NEXT_TO = 5
"""Posts next to a gap, on each side, that the archive is held against."""
_Spanning = TypeVar("_Spanning")
_SLACK = 5 * 60 * 10**6
"""Microseconds by which a key's clock may miss the relay's."""
_MARGIN = timedelta(minutes=1)
_LATER_DAYS = 7
"""Days after a gap whose deletions, and #syncs, are looked at for posts that were written in it."""
_SYNC = "sync"
"""How a jump was shown where a repository came again."""
_HOUR = timedelta(hours=1)


@dataclass
class _Gap:
    """A gap with what we have next to it. Instants are microseconds since the epoch."""

    told: ListedGap
    since: int
    until: int
    left: list[str]
    right: list[str]
    """URIs of posts next to it."""
    span: tuple[int, int]
    """With these."""


@dataclass
class _Found:
    """What the archive had of a span."""

    uris: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    ended: list[int] = field(default_factory=list)
    """When accounts were deleted."""
    new: list[int] = field(default_factory=list)
    """When each post happened that we had not."""


def heal_day(
    con: duckdb.DuckDBPyConnection, settings: Settings, day: date, log: Log
) -> list[Healing]:
    """Land what the archive of the settings has of the gaps of `day`; what was found of each.

    Gaps that are healed already are left alone.

    Raises:
        ArchiveBudget: more would be fetched than BSKY_ARCHIVE_MAX_BYTES; what came is kept.
        NoArchive, Refused, Unanswered, UnreadableArchive: the host does not let us.
        StreamInUse: another process does the same.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    lake = Lake.of(settings)
    partition, _ = compact_firehose_day(con, lake, firehose_segments(settings), day)
    gaps = partition.told(StreamDetails).still.gaps
    if not gaps:
        return []
    live = _Live(con, lake, day)
    placed, lost = live.placed(gaps)
    with (
        archive_segments(settings).collecting() as writer,
        reading_of(settings, log) as (host, reading),
    ):
        # A post is of the day on which it would have come: that of the gap.
        ingest = DayIngest(settings, writer, host.name, day)
        healer = _Healer(ingest, host.name, reading, live)
        found = [
            one for group in meeting(placed, lambda one: one.span) for one in healer.heal(group)
        ]
        found += [healer.open(gap, "the host's clock at its ends is not known") for gap in lost]
        ingest.end(healing=found)
    return found


class _Live:
    """What came by the stream around a day."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> None:
        days = [day + timedelta(days=offset) for offset in (-1, 0, 1)]
        lake.attach(con)
        posts = select_rows(RawFirehosePost, lake.stored_on(RawFirehosePost, days, days))
        found = con.sql(
            f"SELECT epoch_us(commit_time) AS happened, uri FROM ({posts}) "
            "WHERE commit_time IS NOT NULL AND dated_by IS NULL ORDER BY happened"
        ).to_arrow_table()
        self._times = found["happened"].to_numpy()
        self._uris = found["uri"].combine_chunks()
        everything = con.sql(f"SELECT uri, rev FROM ({posts})").fetchall()
        self.known: dict[str, str] = dict(everything)
        """Revisions, by URI."""
        later = [day + timedelta(days=offset) for offset in range(-1, _LATER_DAYS + 1)]
        deletions = select_rows(RawPostDeletion, lake.stored_on(RawPostDeletion, later, later))
        stored = lake.stored_on(RawFirehosePost, later, later)
        told = [one.told(StreamDetails).completeness for one in stored]
        self._jumps = [jump for one in told if one for jump in one.jumps]
        self.deleted: set[str] = {
            uri
            for (uri,) in con.sql(f"SELECT uri FROM ({deletions}) WHERE uri IS NOT NULL").fetchall()
        }

    def came_again(self, since: datetime) -> dict[datetime, set[str]]:
        """The accounts whose repositories came again after `since`, by the hour of that."""
        found: dict[datetime, set[str]] = defaultdict(set)
        for jump in self._jumps:
            if (
                jump.shown_by == _SYNC
                and jump.at
                and (at := datetime.fromisoformat(jump.at)) > since
            ):
                found[at.replace(minute=0, second=0, microsecond=0)].add(jump.did)
        return found

    def placed(self, gaps: Sequence[ListedGap]) -> tuple[list[_Gap], list[ListedGap]]:
        """The gaps whose time is known, and those of which it is not."""
        placed, lost = [], []
        for gap in gaps:
            if gap.after_time and gap.before_time:
                placed.append(self._placed(gap))
            else:
                lost.append(gap)
        return placed, lost

    def _placed(self, gap: ListedGap) -> _Gap:
        since, until = sorted(
            micros_of(datetime.fromisoformat(text))
            for text in (gap.after_time or "", gap.before_time or "")
        )
        left = np.searchsorted(self._times, since, side="right")
        right = np.searchsorted(self._times, until, side="left")
        before = slice(max(0, left - NEXT_TO), left)
        after = slice(right, right + NEXT_TO)
        ends = [since, until, *self._times[before].tolist(), *self._times[after].tolist()]
        sides = [self._uris[part.start : part.stop].to_pylist() for part in (before, after)]
        return _Gap(gap, since, until, sides[0], sides[1], (min(ends), max(ends)))


class _Healer:
    """Heals the gaps of one day."""

    def __init__(self, ingest: DayIngest, host: str, reading: ArchiveReading, live: _Live) -> None:
        self._ingest = ingest
        self._host = host
        self._reading = reading
        self._live = live

    def open(self, gap: ListedGap, reason: str) -> Healing:
        """A gap that stays one."""
        names = ("host", "after", "before", "after_time", "before_time")
        told = {name: getattr(gap, name) for name in names}
        return Healing(
            **told, is_healed=False, source=self._host, at=now().isoformat(), reason=reason
        )

    def heal(self, group: Sequence[_Gap]) -> Iterator[Healing]:
        """Land what the archive has of the span of a group of gaps; what was found of each."""
        since = instant_of(min(gap.span[0] for gap in group)) - _MARGIN
        until = instant_of(max(gap.span[1] for gap in group)) + _MARGIN
        try:
            span, tables = self._reading.read(since, until, with_backfill=False)
        except ArchiveEnds as problem:
            yield from (self.open(gap.told, str(problem)) for gap in group)
            return
        found = self._added(chain(tables, self._moved(since, until)))
        counts = [_counted(group, times) for times in (found.new, self._gone(found), found.ended)]
        for gap, *counted in zip(group, *counts, strict=True):
            yield self._judged(gap, found, counted, span.covers)

    def _moved(self, since: datetime, until: datetime) -> Iterator[pa.Table]:
        """Posts with keys of a span whose accounts' repositories came again later."""
        for hour, dids in sorted(self._live.came_again(since).items()):
            _, tables = self._reading.read(
                since,
                hour + _HOUR + LATE,
                with_backfill=False,
                dids=sorted(dids),
                witnessed_from=hour - _MARGIN,
            )
            for rows in tables:
                keys = clocks(rows["rkey"].combine_chunks())
                is_of_then = (keys >= micros_of(since)) & (keys < micros_of(until))
                is_of_then &= rows["kind"].to_numpy() == CREATE
                yield _dated_by_key(rows, keys).filter(pa.array(is_of_then))

    def _added(self, tables: Iterator[pa.Table]) -> _Found:
        found = _Found()
        for rows in tables:
            kind = rows["kind"].to_numpy()
            uris = pc.binary_join_element_wise(
                "at://", rows["did"], f"/{POST}/", rows["rkey"], ""
            ).to_pylist()
            at, revs = rows["at"].to_pylist(), rows["rev"].to_pylist()
            is_news = np.ones(len(uris), bool)
            for place, uri in enumerate(uris):
                if kind[place] == DELETE:
                    found.deleted.add(uri)
                elif kind[place] == ACCOUNT:
                    if b"gdeleted" in (rows["payload"][place].as_py() or b""):
                        found.ended.append(at[place])
                else:
                    found.uris.add(uri)
                    is_news[place] = self._is_news(uri, revs[place], int(kind[place]))
                    if uri not in self._live.known:
                        found.new.append(at[place])
                    self._live.known.setdefault(uri, revs[place])
            self._ingest.add([rows.filter(pa.array(is_news))])
        return found

    def _is_news(self, uri: str, rev: str, kind: int) -> bool:
        """Whether a post did not come, or a later version of it. A #sync brings no version."""
        had = self._live.known.get(uri)
        return had is None or (kind == UPDATE and rev > had)

    def _gone(self, found: _Found) -> list[int]:
        """When posts were written that only their deletion is known of, by their keys' clocks."""
        uris = sorted((found.deleted | self._live.deleted) - self._live.known.keys())
        keys = clocks(pa.array([uri.rpartition("/")[2] for uri in uris], pa.string()))
        times: list[int] = keys.tolist()
        return times

    def _judged(
        self, gap: _Gap, found: _Found, counted: Sequence[int], is_covered: bool
    ) -> Healing:
        before, after = (len(found.uris.intersection(side)) for side in (gap.left, gap.right))
        reason = None
        if not is_covered:
            reason = "the archive does not span it without a gap of its own"
        elif not (before and after):
            reason = "the archive has none of the posts next to it on both sides that we have"
        posts, gone, ended = counted
        return replace(
            self.open(gap.told, ""),
            is_healed=reason is None,
            reason=reason,
            posts=posts,
            gone=gone,
            ended_accounts=ended,
            common_before=before,
            common_after=after,
        )


def _dated_by_key(rows: pa.Table, keys: Any) -> pa.Table:
    """`rows` of which none happened when it was witnessed."""
    is_other = pc.equal(rows["dated_by"], WITNESSED)
    for name, value in (("at", pa.array(keys)), ("dated_by", KEY)):
        place = rows.schema.get_field_index(name)
        settled = pc.if_else(is_other, value, rows[name])
        rows = rows.set_column(place, rows.schema.field(name), settled)
    return rows


def _counted(gaps: Sequence[_Gap], times: Sequence[int]) -> list[int]:
    """How many of `times` are of each gap: each of the nearest, if one is near."""
    counts = [0] * len(gaps)
    for at in times:
        apart = [max(gap.since - at, at - gap.until, 0) for gap in gaps]
        nearest = min(range(len(gaps)), key=apart.__getitem__)
        counts[nearest] += apart[nearest] <= _SLACK
    return counts


def meeting(
    things: Iterable[_Spanning], span: Callable[[_Spanning], tuple[int, int]]
) -> Iterator[list[_Spanning]]:
    """Groups of things whose spans meet, by time."""
    group: list[_Spanning] = []
    reached = 0
    for thing in sorted(things, key=span):
        since, until = span(thing)
        if group and since > reached:
            yield group
            group = []
        group.append(thing)
        reached = max(reached, until)
    if group:
        yield group
