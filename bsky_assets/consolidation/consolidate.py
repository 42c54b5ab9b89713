"""One record shape for the posts of a sync day, each once, whatever source brought it.

The keys decide first, in narrow tables: what was deleted, what came up in the look-back window,
what a feed and the firehose both brought. Only then are the wide rows read, once, and written.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import duckdb

from bsky_assets.consolidation.removals import register_removals
from bsky_assets.contracts import ConsolidatedPost, RawFeedPost, RawFirehosePost
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake, Partition
from bsky_assets.sync_day import look_back, now


class MissingInput(RuntimeError):
    """A day cannot be consolidated: nothing was collected on it."""


def consolidate_day(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> Partition:
    """Write the consolidated posts of `day`; `details` counts what came in and what was left out.

    Raises:
        MissingInput: neither raw partition of the day is there.
    """
    inputs = made_from(lake, ConsolidatedPost, day)
    sources = [row for row in (RawFirehosePost, RawFeedPost) if lake.current(row, day)]
    if not sources:
        raise MissingInput(
            f"nothing was collected on {day}; materialise raw_firehose_posts or raw_feed_posts"
        )
    register_left_out(con, lake, day)
    return lake.write_query(
        con, ConsolidatedPost, day, _posts(now()), _counts(con), made_from=inputs
    )


def register_left_out(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> None:
    """Make the temporary table `left_out`: uri and reason of the day's posts not taken up."""
    lake.relation(con, RawFirehosePost, [day]).create_view("firehose", replace=True)
    lake.relation(con, RawFeedPost, [day]).create_view("feed", replace=True)
    register_removals(con, lake, day)
    _register_feed_posts(con)
    _register_left_out(con, lake, day)


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
        """
        CREATE OR REPLACE TEMP TABLE in_both AS
        SELECT uri FROM firehose SEMI JOIN feed_posts USING (uri)
        """
    )


def _register_left_out(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> None:
    """Today's URIs that are not taken up, each with the first reason that holds."""
    con.execute(
        """
        CREATE OR REPLACE TEMP VIEW today AS
        SELECT uri, author AS did, relay, seq FROM firehose
        UNION ALL
        SELECT uri, author.did, NULL, NULL FROM feed_posts ANTI JOIN in_both USING (uri)
        """
    )
    _register_seen_before(con, lake, look_back(day))
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE left_out AS
        WITH reasons AS (
            SELECT today.uri, CASE
                WHEN deleted_posts.uri IS NOT NULL AND (
                    today.relay IS DISTINCT FROM deleted_posts.relay
                    OR deleted_posts.seq > today.seq
                ) THEN {rank: 1, reason: 'deleted'}
                WHEN status IS NOT NULL THEN {rank: 2, reason: 'account_' || status}
                WHEN seen_before.uri IS NOT NULL THEN {rank: 3, reason: 'already_consolidated'}
            END AS found
            FROM today
            LEFT JOIN deleted_posts USING (uri)
            LEFT JOIN gone_accounts USING (did)
            LEFT JOIN seen_before USING (uri)
            WHERE found IS NOT NULL
        )
        SELECT uri, arg_min(found.reason, found.rank) AS reason FROM reasons GROUP BY uri
        """
    )


def _register_seen_before(
    con: duckdb.DuckDBPyConnection, lake: Lake, earlier: Sequence[date]
) -> None:
    """URIs of `earlier` days that today has too; by their hashes, so others may be among them.

    Today's hashes take a tenth of the memory of today's URIs, and what is too much meets none.
    """
    lake.relation(con, RawFirehosePost, earlier).create_view("earlier_firehose", replace=True)
    lake.relation(con, RawFeedPost, earlier).create_view("earlier_feed", replace=True)
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE seen_before AS
        SELECT DISTINCT uri
        FROM (SELECT uri FROM earlier_firehose UNION ALL SELECT uri FROM earlier_feed)
        WHERE hash(uri) IN (SELECT hash(uri) FROM today)
        """
    )


def _counts(con: duckdb.DuckDBPyConnection) -> Mapping[str, object]:
    ((firehose, feed, feed_unique, both),) = con.sql(
        """
        SELECT (SELECT count(*) FROM firehose), (SELECT count(*) FROM feed),
            (SELECT count(*) FROM feed_posts), (SELECT count(*) FROM in_both)
        """
    ).fetchall()
    left_out = con.sql("SELECT reason, count(*) FROM left_out GROUP BY reason ORDER BY reason")
    return {
        "firehose_posts": firehose,
        "feed_items": feed,
        "shown_by_several_feeds": feed - feed_unique,
        "in_firehose_and_feed": both,
        "left_out": dict(left_out.fetchall()),
    }


def _posts(processed_at: datetime) -> str:
    processed = f"TIMESTAMPTZ '{processed_at.isoformat()}'"
    return f"""
        SELECT
            uri,
            cid,
            coalesce(commit_time, received_at) AS indexed_at,
            {{
                did: author, handle: NULL::VARCHAR, display_name: NULL::VARCHAR,
                avatar: NULL::VARCHAR
            }} AS author,
            {{
                synctimestamp: metadata.synctimestamp, url: metadata.url, source: 'firehose',
                source_feeds: ['firehose'], processed_timestamp: {processed}
            }} AS metadata,
            record,
            NULL AS metrics,
            [] AS applied_labels
        FROM firehose ANTI JOIN in_both USING (uri) ANTI JOIN left_out USING (uri)
        UNION ALL
        SELECT
            uri,
            cid,
            indexed_at,
            author,
            {{
                synctimestamp: metadata.synctimestamp, url: metadata.url, source: 'most_liked',
                source_feeds: CASE WHEN in_both.uri IS NULL THEN source_feeds
                    ELSE ['firehose'] || source_feeds END,
                processed_timestamp: {processed}
            }} AS metadata,
            record,
            {{
                like_count: like_count, reply_count: reply_count, repost_count: repost_count,
                quote_count: quote_count
            }} AS metrics,
            post_labels || author_labels AS applied_labels
        FROM feed_posts LEFT JOIN in_both USING (uri) ANTI JOIN left_out USING (uri)
    """
