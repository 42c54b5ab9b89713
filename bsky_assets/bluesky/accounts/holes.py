"""What did not come of single accounts: when it was written, and what came next to it.

What does not belong here: asking anybody for it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb
import pyarrow as pa

from bsky_assets.bluesky.archive.dating import LIVE, NOT_DATED, clocks
from bsky_assets.bluesky.archive.healing import NEXT_TO, meeting
from bsky_assets.bluesky.archive.reading import instant_of, micros_of
from bsky_assets.contracts import RawFirehosePost, RawPostDeletion
from bsky_assets.settings import Settings
from bsky_assets.storage.completeness import Completeness
from bsky_assets.storage.healing import JumpKey
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets.storage.stretches import Jump
from bsky_assets.sync_day import bounds

_LATER = timedelta(days=7)
"""How long after a day deletions of it are looked at."""


@dataclass(frozen=True)
class Hole:
    """A jump, and the microseconds between which what did not come was written."""

    jump: Jump
    since: int
    until: int

    @property
    def key(self) -> JumpKey:
        """What did not come."""
        return self.jump.did, self.jump.had, self.jump.rev

    def of_then(self, keys: Iterable[str]) -> set[str]:
        """Of record keys those whose clock says that they are of then; a clock may be off."""
        ordered = sorted(keys)
        found = clocks(pa.array(ordered, pa.string())).tolist()
        since, until = self.since - LIVE, self.until + LIVE
        return {key for key, at in zip(ordered, found, strict=True) if since <= at <= until}


def hole_of(told: Completeness, jump: Jump, day: date, settings: Settings) -> Hole:
    """When what did not come was written: from the revision that we had on, or the reading."""
    begun, end = (micros_of(instant) for instant in bounds(day, settings.timezone))
    at = micros_of(datetime.fromisoformat(jump.at)) if jump.at else end
    starts = [
        micros_of(datetime.fromisoformat(one.first_time))
        for one in told.stretches
        if one.first_time
    ]
    reading = max((start for start in starts if start <= at), default=begun)
    return Hole(jump, _clock(jump.had, reading), _clock(jump.rev, at))


class Had:
    """What came by the stream of some accounts."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, lake: Lake, day: date, holes: Sequence[Hole]
    ) -> None:
        first = min(instant_of(hole.since).date() for hole in holes) - timedelta(days=1)
        con.register("jumped", pa.table({"did": sorted({hole.jump.did for hole in holes})}))
        days = [one for one in lake.days(RawFirehosePost) if first <= one <= day + timedelta(1)]
        lake.attach(con)
        posts = select_rows(RawFirehosePost, lake.stored_on(RawFirehosePost, days, days))
        self.posts: dict[str, list[tuple[int, str]]] = defaultdict(list)
        """By account: when each post happened, and its record key, in order."""
        for did, uri, at in con.sql(
            f"SELECT author, uri, epoch_us(coalesce(commit_time, received_at)) FROM ({posts}) "
            "SEMI JOIN jumped ON author = did ORDER BY 3"
        ).fetchall():
            self.posts[did].append((at, uri.rpartition("/")[2]))
        self._keys = defaultdict(
            set, {did: {key for _, key in posts} for did, posts in self.posts.items()}
        )
        later = [one for one in lake.days(RawPostDeletion) if first <= one <= day + _LATER]
        gone = select_rows(RawPostDeletion, lake.stored_on(RawPostDeletion, later, later))
        self.deleted: dict[str, set[str]] = defaultdict(set)
        """By account: record keys of posts that were deleted."""
        for did, uri in con.sql(
            f"SELECT did, uri FROM ({gone}) SEMI JOIN jumped USING (did) WHERE uri IS NOT NULL"
        ).fetchall():
            self.deleted[did].add(uri.rpartition("/")[2])
        con.unregister("jumped")

    def next_to(self, hole: Hole) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
        """Posts of the account next before a hole, and next after it."""
        posts = self.posts[hole.jump.did]
        before = [post for post in posts if post[0] <= hole.since]
        after = [post for post in posts if post[0] > hole.until]
        return before[-NEXT_TO:], after[:NEXT_TO]

    def new(self, hole: Hole, keys: Iterable[str]) -> set[str]:
        """Of record keys those that are of a hole and that we had not."""
        return hole.of_then({*keys} - self._keys[hole.jump.did])

    def gone(self, hole: Hole) -> int:
        """Posts of a hole of which only the deletion is known."""
        return len(self.new(hole, self.deleted[hole.jump.did]))

    def have(self, did: str, keys: Iterable[str]) -> None:
        """Have further posts of an account."""
        self._keys[did].update(keys)

    def span(self, group: Sequence[Hole]) -> tuple[int, int]:
        """From the first post next to a hole of the group to the last, with all between."""
        times = [at for hole in group for side in self.next_to(hole) for at, _ in side]
        ends = [at for hole in group for at in (hole.since - LIVE, hole.until + LIVE)]
        return min(times + ends), max(times + ends) + 1

    def groups(self, holes: Sequence[Hole]) -> Iterator[list[Hole]]:
        """Holes whose spans meet."""
        return meeting(holes, lambda one: self.span([one]))


def _clock(rev: str | None, otherwise: int) -> int:
    """The microseconds in a revision."""
    found = int(clocks(pa.array([rev or ""], pa.string()))[0])
    return otherwise if found == NOT_DATED else found
