"""Accounts that are run by a program, told by the lists, their names and their habits.

What belongs here: aggregates over the posts of an account within the day and the look-back
window. What does not: labels, which `moderation` reads.
"""

import duckdb
import pyarrow as pa

from bsky_assets.filters.config import BotConfig, ListedAccount
from bsky_assets.storage.sql import literal

_PRIORITY_LISTED = 1
_PRIORITY_HABIT = 2
_LETTERS_TO_COMPARE = 20
"""A text with fewer letters (links, names, tags and numbers aside) is nobody's mark."""
_HEAD_LETTERS = 24

_LINK = r"https?://\S+"
_NAMES_AND_TAGS = r"[@#]\S+"


def add_facts(con: duckdb.DuckDBPyConnection, config: BotConfig) -> None:
    """Add a fact for each post of `day_posts` whose account is a bot's.

    Reads the views `day_posts` and `earlier_posts`, fills the table `facts`.
    """
    _find_busy_accounts(con, config)
    _find_fast_accounts(con, config)
    _find_habits(con, config)
    _find_listed(con, "allowed", config.allow)
    _find_listed(con, "denied", config.deny)
    con.execute(
        f"""
        INSERT INTO facts
        SELECT row, 'bot', reason, {_PRIORITY_LISTED}
        FROM day_posts JOIN denied ON author.did = denied.did
        WHERE author.did NOT IN (SELECT did FROM allowed)
        UNION ALL
        SELECT row, 'bot', reason, {_PRIORITY_HABIT}
        FROM day_posts JOIN habits ON author.did = habits.did
        WHERE author.did NOT IN (SELECT did FROM allowed)
        """
    )


def _find_busy_accounts(con: duckdb.DuckDBPyConnection, config: BotConfig) -> None:
    """Who posted often enough within the day and the window for habits to show."""
    least = min(config.repeated_posts, config.clock_posts, config.link_feed_posts)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE busy AS
        SELECT did, count(*) FILTER (is_today) AS today FROM (
            SELECT author.did AS did, true AS is_today FROM day_posts
            UNION ALL SELECT author.did, false FROM earlier_posts
        )
        GROUP BY did HAVING count(*) >= {least} AND today > 0
        """
    )


def _find_fast_accounts(con: duckdb.DuckDBPyConnection, config: BotConfig) -> None:
    """Who posts faster than people do: the plainest sign, after which no text is looked at."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE fast AS
        SELECT did, CASE
            WHEN max(posts) >= {config.posts_an_hour} THEN 'rule:posts_an_hour'
            WHEN sum(posts) >= {config.posts_a_day} THEN 'rule:posts_a_day'
        END AS reason
        FROM (
            SELECT author.did AS did, date_trunc('hour', indexed_at), count(*) AS posts
            FROM day_posts
            WHERE author.did IN (
                SELECT did FROM busy
                WHERE today >= {min(config.posts_an_hour, config.posts_a_day)}
            )
            GROUP BY ALL
        )
        GROUP BY did HAVING reason IS NOT NULL
        """
    )
    con.execute("DELETE FROM busy WHERE did IN (SELECT did FROM fast)")


def _find_habits(con: duckdb.DuckDBPyConnection, config: BotConfig) -> None:
    """What other busy accounts do that people don't, the plainer sign first."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE habits AS
        WITH activity AS (
            {_activity("day_posts", "true")}
            UNION ALL
            {_activity("earlier_posts", "false")}
        ),
        gaps AS (
            SELECT did, count(*) AS posts, avg(gap) AS gap, stddev_pop(gap) AS deviation FROM (
                SELECT did, epoch(instant - lag(instant) OVER one_account) AS gap
                FROM activity WHERE is_today
                WINDOW one_account AS (PARTITION BY did ORDER BY instant)
            ) GROUP BY did
        ),
        said AS (
            SELECT did, max(posts) AS repeated, sum(posts) AS comparable FROM (
                SELECT did, hash(letters), count(*) AS posts FROM activity
                WHERE len(letters) >= {_LETTERS_TO_COMPARE} GROUP BY ALL
            ) GROUP BY did
        ),
        heads AS (
            SELECT did, max(posts) AS repeated, sum(posts) AS comparable FROM (
                SELECT did, hash(letters[:{_HEAD_LETTERS}]), count(*) AS posts FROM activity
                WHERE len(letters) >= {_LETTERS_TO_COMPARE} AND NOT is_reply GROUP BY ALL
            ) GROUP BY did
        ),
        linked AS (
            SELECT did, max(posts) AS repeated FROM (
                SELECT did, host, count(*) AS posts FROM activity
                WHERE host IS NOT NULL AND NOT is_reply GROUP BY ALL
            ) GROUP BY did
        ),
        totals AS (SELECT did, count(*) AS posts FROM activity GROUP BY did)
        SELECT did, CASE
            WHEN said.repeated >= {config.repeated_posts}
                AND said.repeated >= {config.repeated_share} * totals.posts
                THEN 'rule:repeats_itself'
            WHEN heads.repeated >= {2 * config.repeated_posts}
                AND heads.repeated >= {config.repeated_share} * totals.posts
                THEN 'rule:fills_a_form'
            WHEN linked.repeated >= {config.link_feed_posts}
                AND linked.repeated >= {config.link_feed_share} * totals.posts
                THEN 'rule:link_feed'
            WHEN gaps.posts >= {config.clock_posts} AND gaps.gap >= 60
                AND deviation <= {config.clock_variation} * gaps.gap THEN 'rule:clock'
        END AS reason
        FROM gaps JOIN totals USING (did)
        LEFT JOIN said USING (did) LEFT JOIN heads USING (did) LEFT JOIN linked USING (did)
        WHERE reason IS NOT NULL
        UNION ALL SELECT did, reason FROM fast
        """
    )


def _activity(view: str, is_today: str) -> str:
    apart = literal(f"{_LINK}|{_NAMES_AND_TAGS}")
    plain = f"regexp_replace(lower(record.text), {apart}, ' ', 'g')"
    address = f"coalesce(record.embed.link_uri, regexp_extract(record.text, {literal(_LINK)}))"
    return rf"""
        SELECT author.did AS did, indexed_at AS instant, {is_today} AS is_today,
            record.reply_parent IS NOT NULL AS is_reply,
            regexp_replace({plain}, '[^\p{{L}}]+', '', 'g') AS letters,
            nullif(regexp_extract({address}, '^https?://(?:www\.)?([^/?#]+)', 1), '') AS host
        FROM {view} WHERE author.did IN (SELECT did FROM busy)"""


def _find_listed(
    con: duckdb.DuckDBPyConnection, table: str, accounts: tuple[ListedAccount, ...]
) -> None:
    """The accounts of the day that are on a list, by DID or by a pattern of handles."""
    con.register(
        "listed",
        pa.table(
            {
                "did": pa.array([account.did for account in accounts], pa.string()),
                "handle": pa.array([account.handle for account in accounts], pa.string()),
                "reason": pa.array([account.reason for account in accounts], pa.string()),
            }
        ),
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {table} AS
        SELECT post.did, 'list:' || any_value(listed.reason) AS reason
        FROM (
            SELECT DISTINCT author.did AS did, author.handle AS handle FROM day_posts
            WHERE author.handle IS NOT NULL OR author.did IN (SELECT did FROM listed)
        ) AS post
        JOIN listed ON listed.did = post.did OR lower(post.handle) GLOB listed.handle
        GROUP BY post.did
        """
    )
    con.unregister("listed")
