"""The days on which a post came, and which of them it belongs to.

It belongs to the first on which it came while its account was there; an edit of an older post is
no coming. Only where there is none,
and the account has come back since, it belongs to the first on which it came at all. Whether it
came earlier or later is read off the raw partitions, so the order in which days are made changes
nothing.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import duckdb

from bsky_assets.consolidation.removals import away, deleted, register_removals
from bsky_assets.contracts import RawFeedPost, RawFirehosePost
from bsky_assets.storage.chronology import is_ahead, moment
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import select_days
from bsky_assets.sync_day import LOOK_BACK_DAYS, look_back


def of_days(lake: Lake, days: Sequence[date], where: str = "true") -> str:
    """SQL for the posts that came on `days`, each once a day, whatever source brought it.

    They have sync_day, uri, did, time, received_at, rev (null where a feed's version is taken, as
    it has none), and `is_edit` of older posts that were only edited. `where` is a condition on
    their uri.
    """
    firehose = lake.stored_on(RawFirehosePost, days, days)
    feed = lake.stored_on(RawFeedPost, days, days)
    newer = f"""(
        feed.cid <> firehose.cid
        AND NOT list_contains(coalesce(firehose.earlier_cids, []), feed.cid)
        AND (feed.indexed_at > {moment("firehose.time", "firehose.received_at")}
            OR {is_ahead("firehose.rev", "firehose.received_at")})
    )"""
    return f"""
        WITH firehose AS (
            SELECT sync_day, uri, author AS did, cid, rev, commit_time AS time, received_at, action,
                list_transform(earlier_versions, lambda version: version.cid) AS earlier_cids
            FROM ({select_days(RawFirehosePost, firehose)}) WHERE {where}
        ),
        feed AS (
            SELECT sync_day, uri, any_value(author.did) AS did,
                arg_max(cid, (received_at, metadata.source_feed)) AS cid,
                arg_max(indexed_at, (received_at, metadata.source_feed)) AS indexed_at,
                max(received_at) AS received_at
            FROM ({select_days(RawFeedPost, feed)}) WHERE {where} GROUP BY sync_day, uri
        )
        SELECT sync_day, uri, firehose.did,
            CASE WHEN {newer} THEN feed.indexed_at ELSE firehose.time END AS time,
            firehose.received_at,
            CASE WHEN {newer} THEN NULL ELSE firehose.rev END AS rev,
            coalesce(firehose.action = 'update', false) AND feed.uri IS NULL AS is_edit
        FROM firehose LEFT JOIN feed USING (sync_day, uri)
        UNION ALL
        SELECT sync_day, uri, did, indexed_at, received_at, NULL, false
        FROM feed ANTI JOIN firehose USING (sync_day, uri)
    """


def register_left_out(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> None:
    """Make the temporary tables `left_out` of the day's posts that are not taken up, and `today`.

    `left_out` has uri, did and the first reason that holds. `today` has what `of_days` says of
    those that something may be said against, and of what a feed showed. Nearly all posts come
    once, and nobody deletes them: of these only hashes are looked at, which take a tenth of the
    memory of their URIs. Reads the views `firehose` and `feed`.
    """
    con.execute(_KEYS)
    register_removals(con, lake, day, "keys")
    _register_sightings(con, lake, "earlier", look_back(day), "SELECT uri FROM keys")
    doubted = of_days(lake, [day], f"hash(uri) IN ({_DOUBTED})")
    con.execute(f"CREATE OR REPLACE TEMP TABLE today AS {doubted}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE away_now AS {away('today', now=True)}")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE came_back AS "
        f"SELECT * FROM ({away('today')}) ANTI JOIN away_now USING (uri)"
    )
    later = [day + timedelta(days=ahead) for ahead in range(1, LOOK_BACK_DAYS + 1)]
    if con.sql("SELECT 1 FROM came_back LIMIT 1").fetchall():
        _register_sightings(con, lake, "later", later, "SELECT hash(uri) FROM came_back")
    else:
        con.execute("CREATE OR REPLACE TEMP TABLE later AS FROM earlier LIMIT 0")
    con.execute(_LEFT_OUT)


_KEYS = """
    CREATE OR REPLACE TEMP TABLE keys AS
    SELECT hash(uri) AS uri, hash(author) AS did, coalesce(action = 'update', false) AS is_doubted
    FROM firehose
    UNION ALL
    SELECT hash(uri), hash(author.did), true FROM feed
"""
_DOUBTED = """
    SELECT uri FROM keys WHERE is_doubted
        OR uri IN (SELECT hash(uri) FROM deleted_posts)
        OR uri IN (SELECT hash(uri) FROM earlier)
        OR did IN (SELECT hash(did) FROM account_events)
"""

_LEFT_OUT = f"""
    CREATE OR REPLACE TEMP TABLE left_out AS
    WITH reasons AS (
        SELECT uri, did, 1 AS rank, 'deleted' AS reason
        FROM today SEMI JOIN ({deleted("today")}) USING (uri)
        UNION ALL
        SELECT uri, did, 2, 'account_' || status FROM away_now
        UNION ALL
        SELECT uri, did, 3, 'account_' || status
        FROM came_back SEMI JOIN (FROM later WHERE NOT is_deleted AND NOT is_away) USING (uri)
        UNION ALL
        SELECT uri, did, 4, 'already_consolidated'
        FROM today SEMI JOIN (
            FROM earlier LEFT JOIN (SELECT uri, true AS is_back FROM came_back) USING (uri)
            WHERE NOT is_deleted AND (NOT is_away OR is_back)
        ) USING (uri)
        UNION ALL
        SELECT uri, did, 5, 'edited_older_post' FROM today WHERE is_edit
    )
    SELECT uri, any_value(did) AS did, arg_min(reason, rank) AS reason FROM reasons GROUP BY uri
"""


def _register_sightings(
    con: duckdb.DuckDBPyConnection, lake: Lake, name: str, days: Sequence[date], hashes: str
) -> None:
    """Make the temporary table `name`: sync_day, uri, `is_deleted`, and `is_away` on that day.

    `hashes` is SQL for the hashes of the URIs that are wanted; others may be among them.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE sightings AS "
        f"SELECT * FROM ({of_days(lake, days, f'hash(uri) IN ({hashes})')}) WHERE NOT is_edit"
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {name} AS
        SELECT sync_day, uri, gone.uri IS NOT NULL AS is_deleted, away.uri IS NOT NULL AS is_away
        FROM sightings
        LEFT JOIN ({deleted("sightings")}) AS gone USING (sync_day, uri)
        LEFT JOIN ({away("sightings")}) AS away USING (sync_day, uri)
        """
    )
