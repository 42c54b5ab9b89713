"""A panel: the posts of a list of accounts, as their repositories have them, day by day.

What does not belong here: what did not come of accounts by the stream (`healing`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import count

import duckdb
import pyarrow as pa

from bsky_assets.bluesky.accounts.holding import Answer, repositories
from bsky_assets.bluesky.accounts.identity import Directory
from bsky_assets.bluesky.accounts.repository import rows_of
from bsky_assets.bluesky.archive.dating import KEY, clocks
from bsky_assets.bluesky.archive.fetching import Budget
from bsky_assets.bluesky.archive.ingest import DayIngest
from bsky_assets.bluesky.archive.reading import instant_of, micros_of
from bsky_assets.bluesky.collected import archive_segments, firehose_segments
from bsky_assets.bluesky.records import POST
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.contracts.progress import Log
from bsky_assets.settings import Settings
from bsky_assets.storage import network
from bsky_assets.storage.archived import REPOSITORIES, Archived
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets.storage.segments import SegmentWriter
from bsky_assets.sync_day import bounds, now

AT_ONCE = 16
"""Accounts whose repositories are held in memory together."""


@dataclass
class Panel:
    """What came of a list of accounts."""

    posts: Counter[date] = field(default_factory=Counter)
    """That were landed, by day."""
    lacking: dict[str, str] = field(default_factory=dict)
    """By account, why its repository could not be had."""


def land_panel(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    dids: Sequence[str],
    days: Sequence[date],
    log: Log,
) -> Panel:
    """Land the posts of `days` that the repositories of `dids` have and that we had not.

    Each repository is asked for once. A post is of the day that its key's clock tells.

    Raises:
        ArchiveBudget: more would be fetched than BSKY_ARCHIVE_MAX_BYTES; what came is kept.
        StreamInUse: another process does the same.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    network.keep(settings)
    panel = Panel()
    budget = Budget(settings.archive_max_bytes)
    with archive_segments(settings).collecting() as writer, Directory.of(settings) as directory:
        taking = _Taking(settings, writer, days, _known(con, settings, dids, days), panel)
        for start in range(0, len(dids), AT_ONCE):
            part = dids[start : start + AT_ONCE]
            taking.take(list(repositories(directory, part, budget)))
            log(f"{start + len(part):,} of {len(dids):,} accounts, {budget.spent:,} bytes")
        taking.end(len(dids), budget.spent)
    return panel


Known = dict[date, dict[str, str | None]]
"""By day, posts that we have: their URIs, and how each is dated."""


def _known(
    con: duckdb.DuckDBPyConnection, settings: Settings, dids: Sequence[str], days: Sequence[date]
) -> Known:
    """The posts of `dids` on `days` that we have."""
    lake, segments = Lake.of(settings), firehose_segments(settings)
    lake.attach(con)
    con.register("panel", pa.table({"did": pa.array(dids, pa.string())}))
    found = {}
    for day in days:
        partition, _ = compact_firehose_day(con, lake, segments, day)
        posts = f"({select_rows(RawFirehosePost, [partition])})"
        of_panel = f"SELECT uri, dated_by FROM {posts} SEMI JOIN panel ON author = did"
        found[day] = dict(con.sql(of_panel).fetchall())
    con.unregister("panel")
    return found


class _Taking:
    """Lands posts of repositories, by host and day."""

    def __init__(
        self,
        settings: Settings,
        writer: SegmentWriter,
        days: Sequence[date],
        known: Known,
        panel: Panel,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._bounds = {day: tuple(map(micros_of, bounds(day, settings.timezone))) for day in days}
        self._known = {uri for of_day in known.values() for uri in of_day}
        self._panel = panel
        self._numbers = count()
        self._dated = {day: Counter(filter(None, known[day].values())) for day in days}
        self._undatable: Counter[date] = Counter()

    def take(self, answers: Sequence[Answer]) -> None:
        """Land what is of the days."""
        by_host: dict[str, list[Answer]] = defaultdict(list)
        for answer in answers:
            if answer.repository is None:
                self._panel.lacking[answer.did] = answer.reason or ""
            else:
                by_host[answer.host or REPOSITORIES].append(answer)
        for host, of_host in by_host.items():
            for day, (since, until) in self._bounds.items():
                ingest = DayIngest(self._settings, self._writer, host, day)
                ingest.add(self._rows(of_host, since, until))
                self._dated[day].update(ingest.ingested.dated_by)
                self._undatable[day] += ingest.ingested.undatable
                self._panel.posts[day] += sum(ingest.ingested.dated_by.values())

    def end(self, accounts: int, fetched: int) -> None:
        """Land what each day is to say of its source."""
        for day, (since, until) in self._bounds.items():
            told = Archived(
                host=REPOSITORIES,
                since=instant_of(since).isoformat(),
                until=min(instant_of(until), now()).isoformat(),
                as_of=now().isoformat(),
                dated_by=dict(self._dated[day]),
                undatable=self._undatable[day],
                fetched_bytes=fetched,
                accounts=accounts,
                without_repository=len(self._panel.lacking),
            )
            DayIngest(self._settings, self._writer, REPOSITORIES, day).end(told)

    def _rows(self, answers: Sequence[Answer], since: int, until: int) -> Iterator[pa.Table]:
        for repository in (answer.repository for answer in answers if answer.repository):
            keys = sorted(repository.records)
            at = clocks(pa.array(keys, pa.string())).tolist()
            chosen = [
                key
                for key, instant in zip(keys, at, strict=True)
                if since <= instant < until
                and f"at://{repository.did}/{POST}/{key}" not in self._known
            ]
            if chosen:
                yield rows_of(repository, chosen, self._numbers, KEY)
