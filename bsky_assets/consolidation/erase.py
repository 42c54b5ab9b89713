"""Erasing what was deleted for good: of such a post the raw row stays, and its words go.

Its URI, CID, revision and times stay, so that every count stays true; the record goes, and so do
earlier versions of a record key that was used again, and of a feed's row all of the author but
the DID. What is in quarantine about it loses its bytes. An account that is suspended, taken down
or deactivated may come back: its posts are left out of what is made, and not erased here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import orjson
import pyarrow as pa

from bsky_assets.consolidation.erase_quarantine import register_about
from bsky_assets.contracts import (
    ConsolidatedPost,
    FilteredPost,
    Quarantined,
    RawFeedPost,
    RawFirehosePost,
    RawPostDeletion,
    Row,
    arrow_schema,
)
from bsky_assets.contracts.details import Details
from bsky_assets.storage import quarantine
from bsky_assets.storage.chronology import happened, is_ahead, moment
from bsky_assets.storage.examination import ERASED
from bsky_assets.storage.files import write_json
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.locks import exclusive
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets.storage.sql import identifier, literal
from bsky_assets.storage.upcasts import sql_type
from bsky_assets.sync_day import LOOK_BACK_DAYS, now

_FINAL = "deleted"
"""The only status of an account that does not end."""

_NO_REV = "~"


@dataclass(frozen=True)
class Erased:
    """What lost words in one partition."""

    partition: Partition
    rows: int


Forget = Callable[[pa.Table], object]
"""Removes words from wherever else they are; it is given uri and text of posts."""


def erase_deleted(con: duckdb.DuckDBPyConnection, lake: Lake, forget: Forget) -> Iterator[Erased]:
    """Erase the words of posts that were deleted for good from raw partitions and quarantine.

    What such a record held before its key was used again leaves the days made of them, too.
    `forget` is given all of these words first, whichever days are made of them now: a run that is
    interrupted finds them again.

    Raises:
        UnusableDataDirectory: a partition cannot be replaced; those before it are.
    """
    deletions = {p.day: p.path.name for p in lake.partitions(RawPostDeletion)}
    marker = lake.root / ERASED
    known = set(orjson.loads(marker.read_bytes()) if marker.exists() else ())
    new = [day for day, name in deletions.items() if name not in known]
    held: list[str] = [*deletions.values()]
    touched: list[tuple[type[Row], Partition, Sequence[date]]] = []
    words: list[pa.Table] = []
    for row in WITH_WORDS:
        for partition in lake.partitions(row):
            since = partition.day - timedelta(days=LOOK_BACK_DAYS)
            every = [day for day in deletions if day >= since]
            against: Sequence[date] = new if partition.path.name in known else every
            if against:
                register_gone(con, lake, against)
            if against and _register_touched(con, lake, row, partition):
                touched.append((row, partition, against))
                words += _words(con, row)
            else:
                held.append(partition.path.name)
    if words:
        forget(pa.concat_tables(words))
    for row, partition, about in touched:
        register_gone(con, lake, about)
        if after := _erase(con, lake, row, partition):
            yield after
        held.append((after.partition if after else partition).path.name)
    write_json(marker, held)


def _register_touched(
    con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row], partition: Partition
) -> int:
    """Make `erasing` and `touched`, of the rows that are about what is gone; how many these are."""
    if row is Quarantined:
        register_about(con, quarantine.batches(con, lake, partition))
    else:
        lake.attach(con)
        con.execute(
            "CREATE OR REPLACE TEMP VIEW erasing AS SELECT *, row_number() OVER () AS number "
            f"FROM ({select_rows(row, [partition])})"
        )
        con.execute(f"CREATE OR REPLACE TEMP TABLE touched AS {TOUCHED[row]}")
    ((rows,),) = con.sql("SELECT count(DISTINCT number) FROM touched").fetchall()
    return int(rows)


def _words(con: duckdb.DuckDBPyConnection, row: type[Row]) -> Iterator[pa.Table]:
    """Uri and text of what is erased, of tables in which a text was first of all."""
    if row in (RawFirehosePost, RawFeedPost):
        yield con.sql(
            "SELECT uri, record.text AS text FROM erasing "
            "SEMI JOIN (FROM touched WHERE is_gone) USING (number) WHERE record IS NOT NULL"
        ).to_arrow_table()
    if row is RawFirehosePost:
        yield con.sql(
            "SELECT uri, unnest(list_transform(list_filter(earlier_versions, lambda version: "
            "is_gone OR NOT coalesce(version.rev > touched.rev, false)), "
            "lambda version: version.text)) AS text FROM erasing JOIN touched USING (number)"
        ).to_arrow_table()


def _erase(
    con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row], partition: Partition
) -> Erased | None:
    with exclusive(lake.root / row.asset):
        current = [found for found in lake.partitions(row) if found.path == partition.path]
        if not current:  # it has been written anew meanwhile: that is looked at next time
            return None
        rows = _register_touched(con, lake, row, partition)
        return Erased(_rewrite(con, lake, row, partition), rows) if rows else None


def register_gone(con: duckdb.DuckDBPyConnection, lake: Lake, days: Sequence[date]) -> None:
    """Make the temporary tables `gone_records` and `gone_for_good`, of the deletions of `days`."""
    lake.relation(con, RawPostDeletion, days).create_view("deletions", replace=True)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE gone_records AS
        SELECT uri, did, max({happened("rev", "event_time", "received_at", _NO_REV)}) AS happened,
            max({moment("event_time", "received_at")}) AS moment
        FROM deletions WHERE kind = 'post' AND NOT {is_ahead("rev", "received_at")}
        GROUP BY uri, did
        """
    )
    since = [day for day in lake.days(RawPostDeletion) if day >= min(days)]
    lake.relation(con, RawPostDeletion, since).create_view("deletions", replace=True)
    latest = f"arg_max(status, ({moment('event_time', 'received_at')}, received_at, seq))"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE gone_for_good AS
        SELECT did FROM deletions WHERE kind = 'account'
        GROUP BY did HAVING {latest} = {literal(_FINAL)}
        """
    )


def _kept(rev: str) -> str:
    """SQL for the earlier versions that came after the deletion at `rev`."""
    return f"list_filter(earlier_versions, lambda version: coalesce(version.rev > {rev}, false))"


_BEFORE = f"gone.happened > {happened('rev', 'commit_time', 'received_at')}"

_HAS_ERASED = f"len({_kept('gone.happened.rev')}) < len(earlier_versions)"
_WITH_ERASED = f"""
    SELECT number, false AS is_gone, gone.happened.rev AS rev
    FROM erasing JOIN gone_records AS gone USING (uri) WHERE {_HAS_ERASED}
"""
TOUCHED: dict[type[Row], str] = {
    RawFirehosePost: f"""
        SELECT number, {_BEFORE} AS is_gone, gone.happened.rev AS rev
        FROM erasing JOIN gone_records AS gone USING (uri)
        WHERE (record IS NOT NULL AND {_BEFORE}) OR {_HAS_ERASED}
        UNION ALL
        SELECT number, true, {literal(_NO_REV)} FROM erasing SEMI JOIN gone_for_good ON did = author
        WHERE record IS NOT NULL
    """,
    RawFeedPost: """
        SELECT number, true AS is_gone
        FROM erasing JOIN gone_records AS gone USING (uri)
        WHERE record IS NOT NULL AND gone.moment >= indexed_at
        UNION ALL
        SELECT number, true FROM erasing SEMI JOIN gone_for_good ON did = author.did
        WHERE record IS NOT NULL
    """,
    ConsolidatedPost: _WITH_ERASED,
    FilteredPost: _WITH_ERASED,
}
"""Which rows of the view `erasing` are about what is gone."""
WITH_WORDS: tuple[type[Row], ...] = (*TOUCHED, Quarantined)
"""What words are erased from."""


def _rewrite(
    con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row], partition: Partition
) -> Partition:
    if row is Quarantined:
        touched = con.sql("SELECT number - 1 FROM touched").fetchall()
        return quarantine.empty(con, lake, partition, {place for (place,) in touched})
    names = ", ".join(identifier(name) for name in arrow_schema(row).names)
    erased = f"""
        SELECT {names} FROM (
            SELECT erasing.* REPLACE ({_REPLACED[row]})
            FROM erasing LEFT JOIN (
                SELECT {_SUMMARY.get(row, "number")} FROM touched GROUP BY number
            ) AS found USING (number)
        ) ORDER BY number
    """
    details = partition.told(Details).model_copy(update={"erased_at": now().isoformat()})
    return lake.write_query(con, row, partition.day, erased, details, kept_from=partition)


_LATEST = "number, bool_or(is_gone) AS is_gone, max(rev) AS rev"
_SUMMARY: dict[type[Row], str] = {
    RawFirehosePost: _LATEST,
    ConsolidatedPost: _LATEST,
    FilteredPost: _LATEST,
    RawFeedPost: "number, true AS is_gone",
}
_ONLY_DID = ", ".join(
    f"{identifier(part.name)}: "
    + ("author.did" if part.name == "did" else f"CAST(NULL AS {sql_type(part.type)})")
    for part in arrow_schema(RawFeedPost).field("author").type
)
_VERSIONS = f"""
    CASE WHEN found.number IS NULL THEN earlier_versions WHEN found.is_gone THEN NULL
        ELSE nullif({_kept("found.rev")}, []) END AS earlier_versions
"""
_REPLACED: dict[type[Row], str] = {
    RawFirehosePost: f"""
        CASE WHEN found.is_gone THEN NULL ELSE record END AS record, {_VERSIONS}
    """,
    ConsolidatedPost: _VERSIONS,
    FilteredPost: _VERSIONS,
    RawFeedPost: f"""
        CASE WHEN found.is_gone THEN NULL ELSE record END AS record,
        CASE WHEN found.is_gone THEN {{{_ONLY_DID}}} ELSE author END AS author
    """,
}
