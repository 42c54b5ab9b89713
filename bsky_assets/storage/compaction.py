"""From a day's segments to its partitions: what is there and what has landed since, each once.

- `compact_firehose_day(con, lake, segments, day)` writes the partitions of `RawFirehosePost` and
  `RawPostDeletion`;
- `compact_day(con, lake, row, segments, day)` writes that of any other contract;
- `compact_labels_day(con, lake, labels, firehose, day, queried)` writes `RawModerationLabel`,
  from the labeler's stream, the accounts' own labels in the firehose and what was asked for.

Both add what could not be read to the quarantine, and both can be run at any time and again:
a partition says in its details up to which segment it was merged, and where nothing has landed
since it stays as it is; `news` tells what has. Its details are `StreamDetails`. A segment that
cannot be read is passed over, and told there. `vacuum_segments` removes what all have taken in;
so does whoever takes in the labels, which come last.
What does not belong here: deciding when.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bsky_assets.contracts import (
    STREAMED,
    Quarantined,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
    arrow_schema,
    contract_version,
)
from bsky_assets.contracts.arrival import ARCHIVE
from bsky_assets.contracts.lineage import lineage_version
from bsky_assets.contracts.versions import source_version
from bsky_assets.storage import quarantine, upcasts
from bsky_assets.storage.chronology import happened
from bsky_assets.storage.completeness import Completeness, StreamDetails
from bsky_assets.storage.damage import Damaged, is_damage, reason_of
from bsky_assets.storage.healing import later
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.locks import exclusive
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets.storage.segments import (
    COLUMN_OF,
    Footer,
    Mark,
    Segment,
    Segments,
)
from bsky_assets.sync_day import now

_CHUNK_ROWS = 50_000
_SEGMENT_GRACE = timedelta(hours=6)
"""How long a segment stays that all have taken in, for a lake that is put back from a backup."""
MERGED_ROWS = tuple(row for row, arrival in STREAMED.items() if arrival.streams)
"""The contracts whose partitions are made from segments."""
_RULES = ("chronology", "compaction")

_ARRIVED = "arrived"
_ADDED = "added_to_arrived"

_HAPPENED = happened("rev", "commit_time", "received_at")
_UNKNOWN = "CAST(NULL AS TIMESTAMPTZ)"
_LATEST_VERSIONS = f"""
    WITH several AS (SELECT uri FROM {_ARRIVED} GROUP BY uri HAVING count(*) > 1),
    contested AS (SELECT * FROM {_ARRIVED} SEMI JOIN several USING (uri)),
    versions AS (
        SELECT uri, cid, rev, record.text AS text, {_HAPPENED} AS happened FROM contested
        UNION ALL
        SELECT uri, earlier.cid, earlier.rev, earlier.text,
            {happened("earlier.rev", _UNKNOWN, _UNKNOWN)}
        FROM (SELECT uri, unnest(earlier_versions) AS earlier FROM contested)
    ),
    first AS (
        SELECT uri, min(coalesce(action, 'create')) AS action FROM contested GROUP BY uri
    ),
    latest AS (
        SELECT contested.* REPLACE (first.action AS action)
        FROM contested JOIN first USING (uri)
        QUALIFY row_number() OVER (
            PARTITION BY uri ORDER BY {_HAPPENED} DESC, received_at, relay, seq
        ) = 1
    ),
    replaced AS (
        SELECT uri, list({{cid: cid, rev: rev, text: text}}
            ORDER BY happened, cid) AS earlier_versions
        FROM (
            SELECT uri, cid, rev, any_value(text) AS text, min(happened) AS happened
            FROM versions ANTI JOIN latest USING (uri, cid, rev) GROUP BY uri, cid, rev
        )
        GROUP BY uri
    )
    SELECT * FROM (
        SELECT * FROM {_ARRIVED} ANTI JOIN several USING (uri)
        UNION ALL
        SELECT latest.* REPLACE (replaced.earlier_versions AS earlier_versions)
        FROM latest LEFT JOIN replaced USING (uri)
    )
    ORDER BY seq, relay, uri
"""
"""Nearly all posts arrive once: only those that do not are sorted by version."""


def _distinct(row: type[Row]) -> str:
    """SQL for the rows of the view `arrived`, each once."""
    arrival = STREAMED[row]
    if arrival.keeps_versions:
        return _LATEST_VERSIONS
    same, first, order = map(", ".join, (arrival.same, arrival.first, arrival.order))
    return f"""
        SELECT * FROM {_ARRIVED}
        QUALIFY row_number() OVER (PARTITION BY {same} ORDER BY {first}) = 1
        ORDER BY {order}
    """


def compact_firehose_day(
    con: duckdb.DuckDBPyConnection, lake: Lake, segments: Segments, day: date
) -> tuple[Partition, Partition]:
    """Bring the day's posts and deletions up to date with the segments of firehose and archive.

    A post has one row, its latest version of the day; versions that it replaced are listed in
    `earlier_versions`. Rows stand in the order of their sequence numbers.

    Returns:
        The partitions of `RawFirehosePost` and of `RawPostDeletion`.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    footers = cache(Segment.footer_if_readable)
    streams = [segments, segments.beside(ARCHIVE)]
    return (
        _merge(con, lake, RawFirehosePost, day, streams, footers),
        _merge(con, lake, RawPostDeletion, day, streams, footers),
    )


def compact_day(
    con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row], segments: Segments, day: date
) -> Partition:
    """Bring the day's rows of any contract up to date with the segments of its one stream.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    return _merge(con, lake, row, day, [segments], Segment.footer_if_readable)


def compact_labels_day(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    labels: Segments,
    firehose: Segments,
    day: date,
    queried: pa.Table | None = None,
) -> Partition:
    """Bring the day's labels up to date with both streams' segments and with `queried`.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    streams = [labels, firehose]
    partition = _merge(
        con, lake, RawModerationLabel, day, streams, Segment.footer_if_readable, queried
    )
    for segments in streams:
        vacuum_segments(lake, segments)
    return partition


def news(lake: Lake, segments: Segments, day: date) -> dict[type[Row], list[Segment]]:
    """By contract, the segments of `day` that its partition has not taken in."""
    late = {
        row: segments.after(day, _mark_of(lake, row, day, segments.stream))
        for row, arrival in STREAMED.items()
        if segments.stream in arrival.streams
    }
    return {row: found for row, found in late.items() if found}


def vacuum_segments(lake: Lake, segments: Segments, grace: timedelta = _SEGMENT_GRACE) -> int:
    """Remove segments that every partition has taken in and that are older than `grace`.

    Whoever reads segments has not taken them in, so that none is removed that is being read. The
    last two stay in any case: the last is where the stream goes on from, and if it is damaged the
    one before it. A folder of a day goes with its last segment, once a later day has some.

    Returns:
        The bytes freed.
    """
    oldest = (now() - grace).timestamp()
    days, freed = segments.days(), 0
    everything = sorted(segment for day in days for segment in segments.of_day(day))
    kept = set(everything[-2:])
    for day in days:
        kept.update(*news(lake, segments, day).values())
    for segment in everything:
        with suppress(FileNotFoundError):  # another process removes them too
            status = segment.path.stat()
            if segment not in kept and status.st_mtime < oldest:
                segment.path.unlink()
                freed += status.st_size
    for day in days[:-1]:
        with suppress(OSError):  # there is something in it
            segments.folder_of(day).rmdir()
    return freed


def _mark_of(lake: Lake, row: type[Row], day: date, stream: str) -> Mark | None:
    """The mark of the current partition; a damaged one has taken in nothing."""
    try:
        return _mark(lake.current(row, day), stream)
    except Damaged:
        return None


def _mark(partition: Partition | None, stream: str) -> Mark | None:
    """Up to which segment of `stream` it was merged."""
    return partition.told(StreamDetails).mark(stream) if partition else None


@dataclass(frozen=True)
class _Fresh:
    """Segments of one stream that a partition does not have yet, with their footers."""

    stream: str
    segments: list[tuple[Segment, Footer | None]]
    damaged: dict[Segment, str] = field(default_factory=dict)
    """Those that cannot be read, and why."""

    def __post_init__(self) -> None:
        for segment, footer in self.segments:
            if footer is None:
                self.damaged[segment] = "its footer cannot be read"

    def tables(self, row: type[Row]) -> Iterator[pa.Table]:
        """The rows of `row`, segment by segment; of one that cannot be read none."""
        for segment, footer in self.segments:
            if footer is None or segment in self.damaged or not footer.rows.get(COLUMN_OF[row]):
                continue
            try:
                yield segment.read(row, footer)
            except Exception as error:
                if not is_damage(error):
                    raise
                self.damaged[segment] = reason_of(error)


def _merge(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    row: type[Row],
    day: date,
    streams: Sequence[Segments],
    footers: Callable[[Segment], Footer | None],
    added: pa.Table | None = None,
) -> Partition:
    """Write the partition from what it was, the segments that have landed since, and `added`."""
    with exclusive(lake.root / row.asset):
        before = lake.current(row, day)
        fresh = [
            _Fresh(stream.stream, [(found, footers(found)) for found in stream.after(day, mark)])
            for stream in streams
            for mark in (_mark(before, stream.stream),)
        ]
        is_new = added is not None or any(found.segments for found in fresh)
        if before and _is_current(before, row) and not is_new:
            return before
        _quarantine(con, lake, row, day, fresh)
        lake.attach(con)
        with _gathered(lake.root / row.asset, row, fresh) as files:
            _view_arrived(con, row, day, before, files, added)
            try:
                return lake.write_query(con, row, day, _distinct(row), _details(row, before, fresh))
            finally:
                con.execute(f"DROP VIEW {_ARRIVED}")
                con.unregister(_ADDED)


def merge_version(row: type[Row]) -> str:
    """Twelve hex digits that change with how segments are put together, each row once."""
    code = source_version(Path(__file__).with_name(f"{name}.py") for name in _RULES)
    return hashlib.sha256(f"{code} {STREAMED[row]}".encode()).hexdigest()[:12]


def _is_current(partition: Partition, row: type[Row]) -> bool:
    made_as = (partition.contract, partition.lineage, partition.told(StreamDetails).merge_version)
    return made_as == (contract_version(row), lineage_version(row), merge_version(row))


def _details(row: type[Row], before: Partition | None, fresh: Sequence[_Fresh]) -> StreamDetails:
    """Up to where each stream is merged; completeness is that of the first."""
    told = before.told(StreamDetails) if before else StreamDetails()
    merged = dict(told.merged_through or {})
    for found in fresh:
        for segment, footer in found.segments[-1:]:
            merged[found.stream] = _mark_at(segment, footer, found, told.mark(found.stream))
    completeness = told.completeness or Completeness()
    for segment, footer in fresh[0].segments:
        if segment in fresh[0].damaged:
            completeness.lose(str(segment.path), fresh[0].damaged[segment], footer)
        elif footer:
            completeness.add(footer)
    footers = [footer for found in fresh for _, footer in found.segments if footer]
    kept_to = [footer.kept_to for footer in footers if footer.kept_to is not None]
    archived = [footer.archive for footer in footers if footer.archive]
    healed = [one for footer in footers for one in footer.healing]
    of_accounts = [one for footer in footers for one in footer.account_healing]
    readers = {footer.reader_version for footer in footers if footer.reader_version}
    return told.model_copy(
        update={
            "merged_through": merged,
            "completeness": completeness,
            "archive": archived[-1] if archived else told.archive,
            "kept_to": max(kept_to) if kept_to else told.kept_to,
            "healing": tuple(later(told.healing, healed)),
            "account_healing": tuple(later(told.account_healing, of_accounts)),
            "merge_version": merge_version(row),
            "reader_versions": tuple(sorted(readers.union(told.reader_versions))),
        }
    )


def _mark_at(segment: Segment, footer: Footer | None, found: _Fresh, before: Mark | None) -> Mark:
    """The mark of `segment`; the series of a damaged one is that of the others."""
    if footer:
        return Mark(segment.number, footer.series, footer.received_to)
    others = (other.series for _, other in found.segments if other)
    return Mark(segment.number, next(others, before.series if before else ""))


def _quarantine(
    con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row], day: date, fresh: Sequence[_Fresh]
) -> None:
    """Add what could not be read on the way into this asset, and not into another."""
    import pyarrow.compute as pc  # takes time to import, which a look need not wait for

    schema = arrow_schema(Quarantined)
    tables = (table.cast(schema) for found in fresh for table in found.tables(Quarantined))
    mine = (table.filter(pc.equal(table["source"], row.asset)) for table in tables)
    quarantine.add(con, lake, row.asset, day, mine)


@contextmanager
def _gathered(folder: Path, row: type[Row], fresh: Sequence[_Fresh]) -> Iterator[list[Path]]:
    """The rows of many small segments in few files, one for each contract they were written under.

    DuckDB is slow, and remembers much, where files are small and have many columns.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix=".gathered-", dir=folder)))
        writers: dict[pa.Schema, pq.ParquetWriter] = {}
        for table in _chunks(table for found in fresh for table in found.tables(row)):
            if table.schema not in writers:
                path = scratch / f"{len(writers)}.parquet"
                writers[table.schema] = pq.ParquetWriter(path, table.schema)
            writers[table.schema].write_table(table)
        for writer in writers.values():
            writer.close()
        yield sorted(scratch.iterdir())


def _chunks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in fewer, larger tables, each of one schema."""
    waiting: list[pa.Table] = []
    for table in tables:
        count = sum(held.num_rows for held in waiting)
        if waiting and (count >= _CHUNK_ROWS or waiting[0].schema != table.schema):
            yield pa.concat_tables(waiting)
            waiting = []
        waiting.append(table)
    if waiting:
        yield pa.concat_tables(waiting)


def _view_arrived(
    con: duckdb.DuckDBPyConnection,
    row: type[Row],
    day: date,
    before: Partition | None,
    gathered: Sequence[Path],
    added: pa.Table | None,
) -> None:
    parts = [select_rows(row, [before] if before else [])]
    if gathered:
        stored = [upcasts.Stored(day, path, is_current=False) for path in gathered]
        parts.append(upcasts.select(row, stored))
    con.register(_ADDED, added if added is not None else arrow_schema(row).empty_table())
    parts.append(f"SELECT * FROM {_ADDED}")
    con.execute(f"CREATE OR REPLACE TEMP VIEW {_ARRIVED} AS {' UNION ALL '.join(parts)}")
