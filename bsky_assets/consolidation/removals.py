"""Which posts are to leave: deleted by their author, or by an account that is gone.

A deletion holds whenever it arrives, so those of later days are read too: a day that is
materialised again does not bring back what has been deleted since. An account may come back, so
its status at the end of a day and its status as known now are told apart.
Source: com.atproto.sync.subscribeRepos, `#commit` operations and `#account` events.
"""

from datetime import date

import duckdb

from bsky_assets.contracts import RawPostDeletion, Row
from bsky_assets.contracts.leaving import LISTING
from bsky_assets.contracts.raw import ACTIVE
from bsky_assets.storage.chronology import happened, is_ahead, moment
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import select_days
from bsky_assets.storage.sql import literal
from bsky_assets.sync_day import LOOK_BACK_DAYS, look_back

_AFTER_ALL = "~"
"""Later than any rev: of a deletion and a post that no rev tells apart the deletion counts."""


def without_posts(row: type[Row], rows: str, gone: str) -> str:
    """SQL for the `rows` of `row` without the posts `gone`, SQL for their `uri`, in their order."""
    if column := LISTING.get(row):
        left = f"list_filter({column}, lambda uri: NOT list_contains(uris_gone, uri))"
        return (
            f"SELECT listing.* REPLACE ({left} AS {column}) FROM ({rows}) AS listing, "
            f"(SELECT coalesce(list(uri), []) AS uris_gone FROM ({gone}))"
        )
    return f"SELECT * FROM ({rows}) ANTI JOIN ({gone}) USING (uri)"


def register_removals(con: duckdb.DuckDBPyConnection, lake: Lake, day: date, keys: str) -> None:
    """Make the temporary tables `deleted_posts` and `account_events` for posts seen about `day`.

    Both are of the posts in `keys` alone, which has the hashes of their uri and did; others whose
    hash is the same may be among them. `deleted_posts` has sync_day,
    uri, and `happened` and `moment` as in `storage.chronology`; `account_events` has sync_day,
    did, status and `happened`.
    """
    first = min([*(before for back in look_back(day) for before in look_back(back)), day])
    days = [known for known in lake.days(RawPostDeletion) if known >= first]
    others = [known for known in days if known != day]
    stored = lake.stored_on(RawPostDeletion, days, others)
    lake.attach(con)
    con.execute(f"CREATE OR REPLACE TEMP VIEW deletions AS {select_days(RawPostDeletion, stored)}")
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE deleted_posts AS
        SELECT sync_day, uri,
            {happened("rev", "event_time", "received_at", _AFTER_ALL)} AS happened,
            {moment("event_time", "received_at")} AS moment
        FROM deletions
        WHERE kind = 'post' AND hash(uri) IN (SELECT uri FROM {keys})
            AND NOT {is_ahead("rev", "received_at")}
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE account_events AS
        SELECT sync_day, did, status, {{
            'at': {moment("event_time", "received_at")}, 'received_at': received_at, 'seq': seq
        }} AS happened
        FROM deletions
        WHERE kind = 'account' AND hash(did) IN (SELECT did FROM {keys})
        """
    )
    con.execute("DROP VIEW deletions")


def deleted(posts: str) -> str:
    """SQL for sync_day and uri of those of `posts` that their author has deleted.

    They have sync_day, uri, rev (null where only a feed showed them), time and received_at.
    """
    return f"""
        SELECT DISTINCT post.sync_day, post.uri
        FROM {posts} AS post JOIN deleted_posts AS gone
        ON post.uri = gone.uri AND gone.sync_day >= post.sync_day - {LOOK_BACK_DAYS}
        WHERE {is_before("post.rev", "post.time", "post.received_at")}
    """


def is_before(rev: str, time: str, received_at: str) -> str:
    """SQL for whether something was written before the deletion `gone`."""
    return (
        f"CASE WHEN {rev} IS NULL THEN gone.moment >= {moment(time, received_at)} "
        f"ELSE gone.happened > {happened(rev, time, received_at)} END"
    )


def away(posts: str, *, now: bool = False) -> str:
    """SQL for sync_day, uri, did and status of those of `posts` whose account is gone.

    At the end of the sync day that the post is of, or as is known now.
    """
    until = "" if now else "AND event.sync_day <= post.sync_day"
    latest = "arg_max(event.status, event.happened)"
    return f"""
        SELECT post.sync_day, post.uri, post.did, {latest} AS status
        FROM {posts} AS post JOIN account_events AS event
        ON post.did = event.did AND event.sync_day >= post.sync_day - {LOOK_BACK_DAYS} {until}
        GROUP BY ALL HAVING {latest} <> {literal(ACTIVE)}
    """
