"""From a day's segments to its partitions: what is there and what has landed since, each once.

- `compact_firehose_day(con, lake, segments, day)` writes the partitions of `RawFirehosePost` and
  `RawPostDeletion`;
- `compact_labels_day(con, lake, labels, firehose, day, queried)` writes `RawModerationLabel`,
  from the labeler's stream, the accounts' own labels in the firehose and what was asked for.

Both add what could not be read to the quarantine, and both can be run at any time and again:
a partition says in its details up to which segment it was merged, and where nothing has landed
since it stays as it is. `details["completeness"]` is a `Completeness`.
What does not belong here: deciding when.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from bsky_assets.contracts import (
    Quarantined,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
    arrow_schema,
    contract_version,
)
from bsky_assets.contracts.lineage import lineage_version
from bsky_assets.storage import quarantine, upcasts
from bsky_assets.storage.completeness import Completeness
from bsky_assets.storage.lake import Lake, Partition, select_rows
from bsky_assets.storage.locks import exclusive
from bsky_assets.storage.segments import COLUMN_OF, Footer, Segment, Segments

MERGED = "merged_through"
COMPLETENESS = "completeness"


_ARRIVED = "arrived"
_ADDED = "added_to_arrived"

_POSTS_ONCE = f"""
    WITH several AS (SELECT uri FROM {_ARRIVED} GROUP BY uri HAVING count(*) > 1),
    contested AS (SELECT * FROM {_ARRIVED} SEMI JOIN several USING (uri)),
    versions AS (
        SELECT uri, cid, rev, record.text AS text FROM contested
        UNION
        SELECT uri, earlier.cid, earlier.rev, earlier.text
        FROM (SELECT uri, unnest(earlier_versions) AS earlier FROM contested)
    ),
    latest AS (
        SELECT * FROM contested
        QUALIFY row_number() OVER (
            PARTITION BY uri ORDER BY rev DESC, received_at, relay, seq
        ) = 1
    ),
    replaced AS (
        SELECT uri, list({{cid: versions.cid, rev: versions.rev, text: versions.text}}
            ORDER BY versions.rev, versions.cid) AS earlier_versions
        FROM versions JOIN latest USING (uri)
        WHERE versions.rev < latest.rev
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

_DELETIONS_ONCE = f"""
    SELECT * FROM {_ARRIVED}
    QUALIFY row_number() OVER (PARTITION BY relay, seq, did, uri ORDER BY received_at) = 1
    ORDER BY seq, relay, did, uri
"""

_LABELS_ONCE = f"""
    SELECT * FROM {_ARRIVED}
    QUALIFY row_number() OVER (
        PARTITION BY src, uri, val, cts, neg ORDER BY received_at, origin, seq
    ) = 1
    ORDER BY cts, src, uri, val, neg
"""


def compact_firehose_day(
    con: duckdb.DuckDBPyConnection, lake: Lake, segments: Segments, day: date
) -> tuple[Partition, Partition]:
    """Bring the day's posts and deletions up to date with the firehose's segments.

    A post has one row, its latest version of the day; versions that it replaced are listed in
    `earlier_versions`. Rows stand in the order of their sequence numbers.

    Returns:
        The partitions of `RawFirehosePost` and of `RawPostDeletion`.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    return (
        _merge(con, lake, RawFirehosePost, day, [segments], _POSTS_ONCE),
        _merge(con, lake, RawPostDeletion, day, [segments], _DELETIONS_ONCE),
    )


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
    return _merge(con, lake, RawModerationLabel, day, [labels, firehose], _LABELS_ONCE, queried)


@dataclass(frozen=True)
class _Fresh:
    """Segments of one stream that a partition does not have yet, with their footers."""

    stream: str
    segments: list[tuple[Segment, Footer]]

    def with_rows(self, row: type[Row]) -> list[Path]:
        """The files that hold rows of `row`."""
        column = COLUMN_OF[row]
        return [segment.path for segment, footer in self.segments if footer.rows.get(column)]


def _merge(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    row: type[Row],
    day: date,
    streams: Sequence[Segments],
    once: str,
    added: pa.Table | None = None,
) -> Partition:
    """Write the partition from what it was, the segments that have landed since, and `added`.

    `once` is SQL that keeps each row of the view `arrived` once.
    """
    with exclusive(lake.root / row.asset):
        before = lake.current(row, day)
        merged = dict(before.details.get(MERGED, {})) if before else {}
        fresh = [_fresh(stream, day, merged.get(stream.stream, 0)) for stream in streams]
        is_new = added is not None or any(found.segments for found in fresh)
        if before and _is_current(before, row) and not is_new:
            return before
        paths = [path for found in fresh for path in found.with_rows(Quarantined)]
        _quarantine(con, lake, row, day, paths)
        paths = [path for found in fresh for path in found.with_rows(row)]
        _view_arrived(con, row, day, before, paths, added)
        try:
            return lake.write_query(con, row, day, once, _details(before, fresh))
        finally:
            con.execute(f"DROP VIEW {_ARRIVED}")
            con.unregister(_ADDED)


def _is_current(partition: Partition, row: type[Row]) -> bool:
    made_as = (partition.contract, partition.lineage)
    return made_as == (contract_version(row), lineage_version(row))


def _fresh(stream: Segments, day: date, after: int) -> _Fresh:
    found = stream.of_day(day, after)
    return _Fresh(stream.stream, [(segment, segment.footer()) for segment in found])


def _details(before: Partition | None, fresh: Sequence[_Fresh]) -> dict[str, Any]:
    """Up to where each stream is merged; completeness is that of the first."""
    details = before.details if before else {}
    merged = dict(details.get(MERGED, {}))
    for found in fresh:
        for segment, _ in found.segments[-1:]:
            merged[found.stream] = segment.number
    completeness = Completeness.from_details(details.get(COMPLETENESS))
    completeness.add(footer for _, footer in fresh[0].segments)
    return {**details, MERGED: merged, COMPLETENESS: completeness.to_details()}


def _quarantine(
    con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row], day: date, paths: Sequence[Path]
) -> None:
    if paths:
        rows = con.sql(
            f"SELECT * FROM ({_select(Quarantined, day, paths)}) WHERE source = '{row.asset}'"
        )
        quarantine.add(con, lake, row.asset, day, rows.to_arrow_table())


def _view_arrived(
    con: duckdb.DuckDBPyConnection,
    row: type[Row],
    day: date,
    before: Partition | None,
    paths: Sequence[Path],
    added: pa.Table | None,
) -> None:
    parts = [select_rows(row, [before] if before else [])]
    if paths:
        parts.append(_select(row, day, paths))
    con.register(_ADDED, added if added is not None else arrow_schema(row).empty_table())
    parts.append(f"SELECT * FROM {_ADDED}")
    con.execute(f"CREATE OR REPLACE TEMP VIEW {_ARRIVED} AS {' UNION ALL '.join(parts)}")


def _select(row: type[Row], day: date, paths: Sequence[Path]) -> str:
    """The rows of `row` in segments, which may be of earlier contracts."""
    stored = [upcasts.Stored(day, path, is_current=False) for path in paths]
    return upcasts.select(row, stored, within=COLUMN_OF[row])
