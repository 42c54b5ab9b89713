"""One record shape for the posts of a sync day, each once, whatever source brought it.

The keys decide first, in narrow tables: what was deleted, what came up in the look-back window,
what a feed and the firehose both brought, and which of them has the newer version. Only then are
the wide rows read, once, and written.
"""

from datetime import date, datetime
from pathlib import Path

import duckdb

from bsky_assets import sync_day
from bsky_assets.consolidation.forgotten import leave_out_forgotten
from bsky_assets.consolidation.sightings import register_left_out as register_reasons
from bsky_assets.consolidation.versions import register_versions
from bsky_assets.contracts import (
    ConsolidatedPost,
    LeftOut,
    RawFeedPost,
    RawFirehosePost,
    Row,
    arrow_schema,
)
from bsky_assets.contracts.details import ConsolidationDetails, FeedDetails
from bsky_assets.contracts.versions import source_version
from bsky_assets.errors import UserError
from bsky_assets.storage import chronology
from bsky_assets.storage.chronology import count_ahead
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.coverage import feed_problems
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.sql import literal
from bsky_assets.storage.upcasts import sql_type
from bsky_assets.sync_day import now

_RULES = ("consolidate", "forgotten", "removals", "sightings", "versions")
"""The modules that decide which posts there are, and what of several versions of one is taken."""

_AUTHOR = arrow_schema(ConsolidatedPost).field("author").type


class MissingInput(UserError):
    """A day cannot be consolidated: nothing was collected on it."""


SOURCES: tuple[type[Row], ...] = (RawFirehosePost, RawFeedPost)
"""Where posts come from; one of them is enough."""


def is_source(partition: Partition | None) -> bool:
    """Whether it was collected, if only nothing: not where feeds were down or nothing landed."""
    if partition is None or partition.rows:
        return partition is not None
    if (feeds := partition.told(FeedDetails).feeds) is not None:
        return any(not feed.problem for feed in feeds.values())
    told = partition.told(StreamDetails)
    firehose = told.completeness
    return firehose is None or bool(firehose.segments) or told.archive is not None


def consolidate_day(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> Partition:
    """Write the consolidated posts of `day`; `details` counts what came in and what was left out.

    Raises:
        MissingInput: neither raw partition of the day is there.
    """
    inputs = made_from(lake, ConsolidatedPost, day)
    if not any(is_source(lake.current(row, day)) for row in SOURCES):
        raise MissingInput(
            "; ".join(
                [
                    f"nothing was collected on {day}",
                    *feed_problems(lake.current(RawFeedPost, day)),
                    "materialise raw_firehose_posts or raw_feed_posts",
                ]
            )
        )
    register_left_out(con, lake, day)
    register_versions(con)
    made_at = now()
    # First: what follows is made again if this is all that a killed run wrote.
    known_at = f"TIMESTAMPTZ {literal(made_at.isoformat())}"
    left_out = f"SELECT uri, did, reason, {known_at} AS known_at FROM left_out ORDER BY uri"
    lake.write_query(con, LeftOut, day, left_out)
    return lake.write_query(
        con, ConsolidatedPost, day, _posts(made_at), _counts(con), made_from=inputs
    )


def register_left_out(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> None:
    """Make the temporary table `left_out`: uri, did and reason of the day's posts not taken up."""
    lake.relation(con, RawFirehosePost, [day]).create_view("firehose", replace=True)
    lake.relation(con, RawFeedPost, [day]).create_view("feed", replace=True)
    _register_feed_posts(con)
    register_reasons(con, lake, day)
    leave_out_forgotten(con, lake)


def _register_feed_posts(con: duckdb.DuckDBPyConnection) -> None:
    """A feed's post once, as it was shown last, and every source that had it."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE feed_posts AS
        SELECT feed.*, shown.source_feeds
        FROM feed JOIN (
            SELECT uri, list_sort(list(metadata.source_feed)) AS source_feeds,
                first(metadata.source_feed ORDER BY received_at DESC, metadata.source_feed) AS last
            FROM feed GROUP BY uri
        ) AS shown ON feed.uri = shown.uri AND feed.metadata.source_feed = shown.last
        """
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE in_both AS "
        "SELECT uri FROM firehose SEMI JOIN feed_posts USING (uri)"
    )


def _counts(con: duckdb.DuckDBPyConnection) -> ConsolidationDetails:
    ((firehose, feed, feed_unique, both, ahead, back),) = con.sql(
        f"""
        SELECT (SELECT count(*) FROM firehose), (SELECT count(*) FROM feed),
            (SELECT count(*) FROM feed_posts), (SELECT count(*) FROM in_both),
            ({count_ahead("firehose")}),
            (SELECT count(*) FROM came_back ANTI JOIN left_out USING (uri))
        """
    ).fetchall()
    left_out = con.sql("SELECT reason, count(*) FROM left_out GROUP BY reason ORDER BY reason")
    return ConsolidationDetails(
        firehose_posts=firehose,
        feed_items=feed,
        shown_by_several_feeds=feed - feed_unique,
        in_firehose_and_feed=both,
        revs_from_the_future=ahead,
        came_back=back,
        left_out=dict(left_out.fetchall()),
        consolidation_version=consolidation_version(),
    )


def consolidation_version() -> str:
    """Twelve hex digits that change with the rules by which posts are taken up and put together."""
    beside = (Path(__file__).with_name(f"{name}.py") for name in _RULES)
    return source_version([*beside, Path(chronology.__file__), Path(sync_day.__file__)])


def _posts(processed_at: datetime) -> str:
    processed = f"TIMESTAMPTZ {literal(processed_at.isoformat())}"
    return f"""
        SELECT
            uri,
            cid,
            coalesce(commit_time, received_at) AS indexed_at,
            CAST({{did: author}} AS {sql_type(_AUTHOR)}) AS author,
            {{
                synctimestamp: metadata.synctimestamp, url: metadata.url, source: 'firehose',
                source_feeds: ['firehose'], processed_timestamp: {processed}
            }} AS metadata,
            record,
            NULL AS metrics,
            [] AS applied_labels,
            versions AS earlier_versions
        FROM firehose ANTI JOIN in_both USING (uri) ANTI JOIN left_out USING (uri)
        LEFT JOIN earlier_versions USING (uri)
        UNION ALL
        SELECT
            uri,
            coalesce(edited.cid, feed_posts.cid) AS cid,
            coalesce(edited.indexed_at, feed_posts.indexed_at, feed_posts.received_at)
                AS indexed_at,
            author,
            {{
                synctimestamp: metadata.synctimestamp, url: metadata.url, source: 'most_liked',
                source_feeds: CASE WHEN in_both.uri IS NULL THEN source_feeds
                    ELSE ['firehose'] || source_feeds END,
                processed_timestamp: {processed}
            }} AS metadata,
            CASE WHEN edited.uri IS NULL THEN feed_posts.record ELSE edited.record END AS record,
            {{
                like_count: like_count, reply_count: reply_count, repost_count: repost_count,
                quote_count: quote_count
            }} AS metrics,
            post_labels || author_labels AS applied_labels,
            versions AS earlier_versions
        FROM feed_posts LEFT JOIN in_both USING (uri) ANTI JOIN left_out USING (uri)
        LEFT JOIN edited USING (uri) LEFT JOIN earlier_versions USING (uri)
    """
