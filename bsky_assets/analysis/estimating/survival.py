"""The bias of survivors: which posts that came by the stream are gone from an archive.

What the archive has is read off its local index; the day's raw partition stays as it is.
What does not belong here: making a day of what survives, which is `bluesky.archive`'s.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.bluesky.archive.blocks import UPDATE
from bsky_assets.bluesky.archive.dating import LIVE, clocks
from bsky_assets.bluesky.archive.ingest import reading_of
from bsky_assets.bluesky.archive.reading import ArchiveEnds, ArchiveReading, Span
from bsky_assets.bluesky.records import POST
from bsky_assets.contracts import FilteredPost, LlmLabel, RawFirehosePost, arrow_schema
from bsky_assets.contracts.details import SurvivalDetails
from bsky_assets.contracts.progress import Log
from bsky_assets.contracts.survival import ArchiveSurvival
from bsky_assets.labelling.asking.answers import NOT_SOCIOPOLITICAL
from bsky_assets.labelling.statistics.weighing import wilson
from bsky_assets.settings import Settings
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.inputs import SURVIVAL_INPUTS, versions
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.sql import literal
from bsky_assets.sync_day import bounds, now

UNKNOWN = "not known"
_AROUND = timedelta(microseconds=LIVE)
"""How far apart the stream and the archive may date the same post."""
_AFTER = timedelta(microseconds=1)
_NAMED = pa.schema([pa.field("did", pa.string()), pa.field("rkey", pa.string())])

_AGE = f"""
    CASE WHEN created_at IS NULL THEN {literal(UNKNOWN)}
        WHEN date_diff('day', created_at, commit_time) < 30 THEN 'under 30 days'
        WHEN date_diff('day', created_at, commit_time) < 365 THEN '30 to 364 days'
        ELSE '365 days or more' END
"""
_DIVISIONS = {
    "all": "'all'",
    "verdict": "CASE WHEN passed_filters THEN 'passed' ELSE filtered_by_func END",
    "label": f"CASE WHEN label = {literal(NOT_SOCIOPOLITICAL)} THEN label "
    "WHEN label IS NOT NULL THEN 'political' END",
    "side": f"nullif(label, {literal(NOT_SOCIOPOLITICAL)})",
    "hour": "strftime(timezone($timezone, commit_time), '%H')",
    "account_age": _AGE,
}
"""SQL of the stratum of a post."""


class _NotMeasured(Exception):
    """Why nothing can be measured of a day, in words."""


def write_survival(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, day: date, log: Log
) -> Partition:
    """Make the partition of `archive_survival` of `day`; without rows where it cannot be measured.

    Raises:
        ArchiveBudget: more would be fetched than BSKY_ARCHIVE_MAX_BYTES.
        NoArchive, Refused, Unanswered, UnreadableArchive: the host does not let us.
    """
    inputs = versions(lake, SURVIVAL_INPUTS, day)
    rows = pa.Table.from_pylist([], schema=arrow_schema(ArchiveSurvival))
    try:
        details = _compare(con, lake, settings, day, log)
        rows = _counted(con, settings)
    except (_NotMeasured, ArchiveEnds) as why:
        details = SurvivalDetails(problem=str(why))
    return lake.write(ArchiveSurvival, day, rows, details, made_from=inputs)


def _compare(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, day: date, log: Log
) -> SurvivalDetails:
    """Make the table `measured` of the posts that are compared."""
    _check(lake, settings, day)
    live, left_out = _live(con, lake, day)
    times = live["commit_time"]
    ends = pc.min_max(times).as_py()
    with reading_of(settings, log) as (host, reading):
        span = _read(con, reading, ends["min"], ends["max"])
    if not span.covers:
        raise _NotMeasured(
            f"the archive of {host.name} does not span {ends['min']:%Y-%m-%d %H:%M} to "
            f"{ends['max']:%Y-%m-%d %H:%M} UTC without a segment missing"
        )
    con.register("live_posts", live)
    lake.relation(con, FilteredPost, [day]).create_view("verdicts", replace=True)
    lake.relation(con, LlmLabel, [day]).create_view("labels", replace=True)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE measured AS
        SELECT live.uri NOT IN (FROM kept_posts) AS is_gone, commit_time, passed_filters,
            filtered_by_func, verdict.author.created_at AS created_at, label
        FROM live_posts AS live
        LEFT JOIN verdicts AS verdict USING (uri)
        LEFT JOIN (
            SELECT uri, coalesce(political_ideology, {literal(NOT_SOCIOPOLITICAL)}) AS label
            FROM labels WHERE is_label_of_record AND was_successfully_labeled
        ) USING (uri)
        """
    )
    con.unregister("live_posts")
    counts = "count(*), count(*) FILTER (is_gone), count(*) FILTER (passed_filters IS NULL)"
    posts, gone, without_verdict = con.sql(f"SELECT {counts} FROM measured").fetchall()[0]
    return SurvivalDetails(
        host=host.name,
        as_of=span.as_of.isoformat() if span.as_of else None,
        posts=posts,
        gone=gone,
        left_out=left_out,
        without_verdict=without_verdict,
    )


def _check(lake: Lake, settings: Settings, day: date) -> None:
    if bounds(day, settings.timezone)[1] > now():
        raise _NotMeasured(f"{day} is not over yet")
    partition = lake.current(RawFirehosePost, day)
    if partition is None:
        raise _NotMeasured(f"the stream brought nothing on {day}")
    if partition.told(StreamDetails).archive:
        raise _NotMeasured(f"{day} was itself made from an archive")


def _live(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> tuple[pa.Table, int]:
    """uri and commit_time of the posts that an archive dates as the stream does, and how many it
    may not."""
    posts = lake.relation(con, RawFirehosePost, [day])
    posts = posts.filter("dated_by IS NULL AND commit_time IS NOT NULL")
    found = posts.select("uri, commit_time, action, split_part(uri, '/', 5) AS rkey")
    table = found.to_arrow_table()
    keys = clocks(table["rkey"].combine_chunks())
    at = table["commit_time"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    is_older = pc.fill_null(pc.equal(table["action"], "update"), False).to_numpy()
    live = table.filter(pa.array((np.abs(keys - at) <= LIVE) & ~is_older))
    if not live.num_rows:
        raise _NotMeasured(f"no post that the stream brought on {day} can be compared")
    return live.select(["uri", "commit_time"]), table.num_rows - live.num_rows


def _read(
    con: duckdb.DuckDBPyConnection, reading: ArchiveReading, first: datetime, last: datetime
) -> Span:
    """Make the table `kept_posts` of what the archive has of about the same time."""
    span, tables = reading.read(first, last + _AFTER, around=_AROUND)
    named = pa.RecordBatchReader.from_batches(_NAMED, _names(tables))
    con.register("archived_rows", named)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE kept_posts AS "
        f"SELECT DISTINCT concat('at://', did, {literal(f'/{POST}/')}, rkey) FROM archived_rows"
    )
    con.unregister("archived_rows")
    return span


def _names(tables: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    for rows in tables:
        posts = rows.filter(pc.less_equal(rows["kind"], UPDATE))
        yield from posts.select(_NAMED.names).cast(_NAMED).to_batches()


def _counted(con: duckdb.DuckDBPyConnection, settings: Settings) -> pa.Table:
    """The rows of the partition."""
    counts = " UNION ALL ".join(
        f"SELECT {literal(name)} AS divided_by, coalesce({stratum}, {literal(UNKNOWN)}) AS stratum,"
        " count(*) AS posts, count(*) FILTER (is_gone) AS gone FROM measured GROUP BY ALL"
        for name, stratum in _DIVISIONS.items()
    )
    found = con.execute(
        f"FROM ({counts}) ORDER BY divided_by, stratum", {"timezone": settings.timezone.key}
    ).fetchall()
    rows = [
        {
            "divided_by": name,
            "stratum": stratum,
            "posts": posts,
            "gone": gone,
            **dict(
                zip(("share", "share_low", "share_high"), wilson(gone / posts, posts), strict=True)
            ),
        }
        for name, stratum, posts, gone in found
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(ArchiveSurvival))
