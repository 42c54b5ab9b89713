"""Healing of accounts: what did not come of one, by a #sync or a broken chain of revisions.

First its repository is asked for. Signed, whole and of a later revision than the jump, it has
whatever survives of it. Where none can be had, an archive is asked, of which only blocks are
fetched that may have something of these accounts; what it has counts as all of it only if it spans
the time and has posts of the account next to it, on both sides, that we have too.
What does not belong here: which jumps there are (`storage.completeness`).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import count

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.bluesky.accounts.holding import Answer, repositories
from bsky_assets.bluesky.accounts.holes import Had, Hole, hole_of
from bsky_assets.bluesky.accounts.identity import Directory
from bsky_assets.bluesky.accounts.repository import rows_of
from bsky_assets.bluesky.archive.blocks import CREATE, DELETE, UPDATE
from bsky_assets.bluesky.archive.fetching import Budget
from bsky_assets.bluesky.archive.host import ArchiveHost
from bsky_assets.bluesky.archive.ingest import DayIngest
from bsky_assets.bluesky.archive.reading import ArchiveEnds, ArchiveReading, instant_of
from bsky_assets.bluesky.archive.sheets import FOLDER, SHEET
from bsky_assets.bluesky.collected import archive_segments, firehose_segments
from bsky_assets.contracts.progress import Log
from bsky_assets.settings import Settings
from bsky_assets.storage import network
from bsky_assets.storage.archived import REPOSITORIES
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.healing import AccountHealing
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import SegmentWriter
from bsky_assets.sync_day import now

BETWEEN = "revisions"
"""How a post is dated that came with a repository: it is of between two revisions."""
AT_ONCE = 64
"""Accounts whose posts are landed together."""


def heal_accounts(
    con: duckdb.DuckDBPyConnection, settings: Settings, day: date, log: Log
) -> list[AccountHealing]:
    """Land what can be had of what did not come of single accounts on `day`; what came of each.

    Those that are healed already are left alone. What is had is of the day of the jump.

    Raises:
        ArchiveBudget: more would be fetched than BSKY_ARCHIVE_MAX_BYTES; what came is kept.
        NoArchive, Refused, Unanswered, UnreadableArchive: the archive does not let us.
        StreamInUse: another process does the same.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    lake = Lake.of(settings)
    partition, _ = compact_firehose_day(con, lake, firehose_segments(settings), day)
    still = partition.told(StreamDetails).still
    holes = [hole_of(still, jump, day, settings) for jump in still.jumps]
    if not holes:
        return []
    network.keep(settings)
    had = Had(con, lake, day, holes)
    budget = Budget(settings.archive_max_bytes)
    with archive_segments(settings).collecting() as writer:
        healer = _Healer(settings, day, had, writer)
        found = {one.key: one for one in healer.by_repositories(holes, budget, log)}
        left = [hole for hole in holes if not found[hole.key].is_healed]
        if left and settings.archive_url:
            with ArchiveHost.of(settings) as host:
                reading = ArchiveReading(host, settings.data_dir / FOLDER, budget, log)
                found |= {one.key: one for one in healer.by_archive(left, host.name, reading)}
    return [*found.values()]


class _Healer:
    """Heals jumps of one day."""

    def __init__(self, settings: Settings, day: date, had: Had, writer: SegmentWriter) -> None:
        self._settings = settings
        self._day = day
        self._had = had
        self._writer = writer
        self._numbers = count()

    def by_repositories(
        self, holes: Sequence[Hole], budget: Budget, log: Log
    ) -> Iterator[AccountHealing]:
        """Land what repositories have; what came of each."""
        dids = list(dict.fromkeys(hole.jump.did for hole in holes))
        log(f"{len(dids):,} accounts of which something did not come: asking for repositories")
        with Directory.of(self._settings) as directory:
            for start in range(0, len(dids), AT_ONCE):
                by_host: dict[str | None, list[Answer]] = defaultdict(list)
                for answer in repositories(directory, dids[start : start + AT_ONCE], budget):
                    by_host[answer.host].append(answer)
                for host, answers in by_host.items():
                    yield from self._land_repositories(host, answers, holes)

    def _land_repositories(
        self, host: str | None, answers: Sequence[Answer], holes: Sequence[Hole]
    ) -> list[AccountHealing]:
        """Land what repositories of one host have that is new, and what came of each hole."""
        ingest = self._ingest(host or REPOSITORIES)
        told: list[AccountHealing] = []
        ingest.add(
            rows
            for answer in answers
            for hole in holes
            if hole.jump.did == answer.did
            for rows in self._from_repository(answer, hole, told)
        )
        ingest.end(account_healing=told)
        return told

    def _from_repository(
        self, answer: Answer, hole: Hole, told: list[AccountHealing]
    ) -> Iterator[pa.Table]:
        """The rows that a repository has of a hole, if any; what came of it is added to `told`."""
        repository = answer.repository
        new = self._had.new(hole, repository.records) if repository else set()
        told.append(self._of_repository(hole, answer, len(new)))
        if repository and new:
            self._had.have(answer.did, new)
            yield rows_of(repository, sorted(new), self._numbers, BETWEEN)

    def _of_repository(self, hole: Hole, answer: Answer, posts: int) -> AccountHealing:
        repository, reason = answer.repository, answer.reason
        if repository and hole.jump.rev and repository.rev < hole.jump.rev:
            reason = "its repository, as its host has it, is not as far yet"
        return replace(
            self._asked(hole, answer.host, reason),
            is_healed=reason is None,
            way="repository",
            source_rev=repository.rev if repository else None,
            posts=posts,
        )

    def by_archive(
        self, holes: Sequence[Hole], host: str, reading: ArchiveReading
    ) -> Iterator[AccountHealing]:
        """Land what an archive has; what came of each."""
        for group in self._had.groups(holes):
            ingest = self._ingest(host)
            told = list(self._of_archive(group, host, reading, ingest))
            ingest.end(account_healing=told)
            yield from told

    def _of_archive(
        self, group: Sequence[Hole], host: str, reading: ArchiveReading, ingest: DayIngest
    ) -> Iterator[AccountHealing]:
        since, until = self._had.span(group)
        dids = sorted({hole.jump.did for hole in group})
        try:
            span, tables = reading.read(
                instant_of(since), instant_of(until), with_backfill=False, dids=dids
            )
        except ArchiveEnds as problem:
            yield from (self._asked(hole, host, str(problem)) for hole in group)
            return
        rows = pa.concat_tables([SHEET.empty_table(), *tables]).combine_chunks()
        there, deleted = _keys(rows, (CREATE, UPDATE)), _keys(rows, (DELETE,))
        for did, keys in deleted.items():
            self._had.deleted[did] |= keys
        parts = []
        for hole in group:
            did = hole.jump.did
            new = self._had.new(hole, there[did])
            yield self._judged(hole, host, there[did], len(new), is_covered=span.covers)
            self._had.have(did, new)
            is_new = pc.is_in(rows["rkey"], pa.array(sorted(new), pa.string()))
            parts.append(rows.filter(pc.and_(is_new, pc.equal(rows["did"], did))))
        ingest.add(part for part in parts if part.num_rows)

    def _judged(
        self, hole: Hole, host: str, there: set[str], posts: int, *, is_covered: bool
    ) -> AccountHealing:
        before, after = (sum(key in there for _, key in side) for side in self._had.next_to(hole))
        reason = None
        if not is_covered:
            reason = "the archive does not span it without a gap of its own"
        elif not (before and after):
            reason = "the archive has no post of the account next to it on both sides that we have"
        return replace(
            self._asked(hole, host, reason),
            is_healed=reason is None,
            posts=posts,
            common_before=before,
            common_after=after,
        )

    def _asked(self, hole: Hole, host: str | None, reason: str | None) -> AccountHealing:
        jump = hole.jump
        return AccountHealing(
            jump.did,
            jump.had,
            jump.rev,
            is_healed=False,
            source=host,
            at=now().isoformat(),
            way="archive",
            gone=self._had.gone(hole),
            reason=reason,
        )

    def _ingest(self, host: str) -> DayIngest:
        return DayIngest(self._settings, self._writer, host, self._day)


def _keys(rows: pa.Table, kinds: Sequence[int]) -> dict[str, set[str]]:
    """By account, the record keys of rows of some kinds."""
    found: dict[str, set[str]] = defaultdict(set)
    chosen = rows.filter(pc.is_in(rows["kind"], pa.array(kinds, pa.uint8())))
    for did, key in zip(chosen["did"].to_pylist(), chosen["rkey"].to_pylist(), strict=True):
        found[did].add(key)
    return found
