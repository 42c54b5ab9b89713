"""A past day from an archive, written as segments, from which its raw partitions are made.

What does not belong here: what is fetched, and what is made of the segments.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache

import pyarrow as pa

from bsky_assets.bluesky.archive.fetching import Budget
from bsky_assets.bluesky.archive.host import ArchiveHost
from bsky_assets.bluesky.archive.reading import ArchiveReading, Span
from bsky_assets.bluesky.archive.sheets import FOLDER
from bsky_assets.bluesky.archive.taking import UNDATABLE, Taken, take
from bsky_assets.bluesky.collected import archive_segments
from bsky_assets.bluesky.compiled import NOT_COMPILED, are_compiled
from bsky_assets.bluesky.versions import reader_version
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.contracts.arrival import ARCHIVE
from bsky_assets.contracts.progress import Log
from bsky_assets.settings import Settings
from bsky_assets.storage import network
from bsky_assets.storage.archived import Archived
from bsky_assets.storage.healing import AccountHealing, Healing
from bsky_assets.storage.segments import COLUMN_OF, Footer, SegmentWriter
from bsky_assets.sync_day import bounds, now

_ROWS_A_SEGMENT = 50_000


@dataclass
class Ingested:
    """What was written of a day."""

    rows: Counter[str] = field(default_factory=Counter)
    """By column of a segment."""
    dated_by: Counter[str] = field(default_factory=Counter)
    undatable: int = 0
    """Posts that are in quarantine, as their day cannot be known."""
    segments: int = 0


@contextmanager
def reading_of(settings: Settings, log: Log) -> Iterator[tuple[ArchiveHost, ArchiveReading]]:
    """The archive of the settings, and what is known of it.

    Raises:
        NoArchive: there is none in the settings.
        OtherNetwork: the data directory is of another network.
    """
    network.keep(settings)
    if not are_compiled():
        log(NOT_COMPILED)
    with ArchiveHost.of(settings) as host:
        budget = Budget(settings.archive_max_bytes)
        yield host, ArchiveReading(host, settings.data_dir / FOLDER, budget, log)


def ingest_day(settings: Settings, day: date, log: Log, dids: Sequence[str] = ()) -> Ingested:
    """Write as segments what the archive of the settings has of `day`; `log` is told what is done.

    If there are `dids`, it is of these accounts alone, and so are the blocks that are fetched.

    Raises:
        ArchiveEnds: the archive does not reach to the day.
        ArchiveBudget: more would be fetched than BSKY_ARCHIVE_MAX_BYTES.
        NoArchive, Refused, Unanswered, UnreadableArchive: the host does not let us.
        StreamInUse: another process does the same.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    with (
        archive_segments(settings).collecting() as writer,
        reading_of(settings, log) as (host, reading),
    ):
        span, tables = reading.read(*bounds(day, settings.timezone), dids=dids)
        ingest = DayIngest(settings, writer, host.name, day)
        ingest.add(tables)
        told = _told(host.name, span, ingest.ingested, reading.budget.spent)
        ingest.end(replace(told, accounts=len(dids)) if dids else told)
    return ingest.ingested


def _told(host: str, span: Span, ingested: Ingested, fetched: int) -> Archived:
    return Archived(
        host=host,
        since=span.since.isoformat(),
        until=min(span.until, span.ends).isoformat(),
        as_of=span.as_of.isoformat() if span.as_of else None,
        dated_by=dict(ingested.dated_by),
        undatable=ingested.undatable,
        undated=span.undated,
        fetched_bytes=fetched,
    )


class DayIngest:
    """Segments of one day, filled one after the other."""

    def __init__(self, settings: Settings, writer: SegmentWriter, host: str, day: date) -> None:
        """Write rows of the archive `host` under `day`."""
        self._timezone = settings.timezone
        self._writer = writer
        self._host = host
        self._day = day
        self._received = now()
        self.ingested = Ingested()

    def add(self, tables: Iterable[pa.Table]) -> None:
        """Write rows with the columns of a sheet.

        Raises:
            UnusableDataDirectory: the data directory cannot be written to.
        """
        for rows in _in_parts(tables):
            self._write(take(rows, self._host, self._received, self._timezone))

    def end(
        self,
        told: Archived | None = None,
        healing: Sequence[Healing] = (),
        account_healing: Sequence[AccountHealing] = (),
    ) -> None:
        """Write what the day is to say of its source, or of its gaps, or of accounts' jumps."""
        footer = replace(
            self._footer({}, Counter()),
            archive=told,
            healing=list(healing),
            account_healing=list(account_healing),
        )
        self._writer.write(self._day, {}, footer)

    def _write(self, taken: Taken) -> None:
        counts = {COLUMN_OF[row]: table.num_rows for row, table in taken.tables.items()}
        footer = self._footer(counts, taken.quarantined)
        self._writer.write(self._day, taken.tables, footer)
        self.ingested.rows.update(counts)
        self.ingested.dated_by.update(taken.dated_by)
        self.ingested.undatable += taken.quarantined[UNDATABLE]
        self.ingested.segments += 1

    def _footer(self, rows: dict[str, int], problems: Counter[str]) -> Footer:
        return Footer(
            stream=ARCHIVE,
            host=self._host,
            follows=None,
            cursor=None,
            cursor_time=None,
            received_from=self._received.isoformat(),
            received_to=now().isoformat(),
            rows=rows,
            quarantined=dict(problems),
            reader_version=_reader_version(),
        )


@cache
def _reader_version() -> str:
    """Read off the code once a process."""
    return reader_version(RawFirehosePost)


def _in_parts(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, about as many as a segment is to have at a time."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(one.num_rows for one in waiting) >= _ROWS_A_SEGMENT:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()
