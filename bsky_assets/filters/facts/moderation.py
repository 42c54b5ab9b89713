"""Labels in force: which of the labels on a post or its account stop it.

A label counts from a trusted labeler, and from the account on itself (a self-label); not if it
was taken back later, has expired, or is on another version of the post.
Source: com.atproto.label.defs, and the labels that the AppView shows (app.bsky.feed.defs).
"""

from collections.abc import Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from bsky_assets.filters.registry import declared
from bsky_assets.storage.chronology import moment

PRIORITY = 0
_PROFILE = "app.bsky.actor.profile"


def add_facts(
    con: duckdb.DuckDBPyConnection,
    trusted: Sequence[str],
    at: datetime,
) -> None:
    """Add a fact for each label in force at `at` on a post of `day_posts`.

    Reads the views `day_posts` and `labels`, fills the table `facts`.
    """
    meanings = [(val, one.name) for one in declared() for val in one.labels]
    con.register(
        "meanings",
        pa.table(
            {
                "val": [val for val, _ in meanings],
                "filter": [name for _, name in meanings],
            }
        ),
    )
    con.register("trusted", pa.table({"did": pa.array(trusted, pa.string())}))
    con.execute("SET TimeZone = 'UTC'")
    _add_self_labels(con)
    _add_applied_labels(con, at)
    con.unregister("meanings")
    con.unregister("trusted")


def _add_self_labels(con: duckdb.DuckDBPyConnection) -> None:
    """Labels in the post's own record."""
    con.execute(
        f"""
        INSERT INTO facts
        SELECT row, filter, 'label:' || val || ' self', {PRIORITY}
        FROM (SELECT row, unnest(record.labels) AS val FROM day_posts WHERE len(record.labels) > 0)
        JOIN meanings USING (val)
        """
    )


def _add_applied_labels(con: duckdb.DuckDBPyConnection, at: datetime) -> None:
    """Labels of others, and of the account on its account, as streamed and as a feed showed them.

    The last word of each labeler on each subject and value decides, by the labeler's own time,
    which cannot be after the first receipt of that word; hosts' numbers say nothing of each other.
    Of two words of the same time the one that takes back counts: nothing is taken back before it
    is said. When a feed's label was received is not known here: one whose time cannot be is first.
    A label that names a version of the post speaks of that version alone. On a profile record
    only `bot` says anything of the posts: other labels there are about the picture.
    """
    con.execute(
        f"""
        INSERT INTO facts
        WITH said AS (
            SELECT src, uri, cid, val, neg, cts, exp,
                {moment("cts", "min(received_at)")} AS said_at,
                CASE
                    WHEN starts_with(uri, 'did:') THEN uri
                    WHEN val = 'bot' AND uri LIKE 'at://%/{_PROFILE}/self'
                    THEN split_part(uri, '/', 3)
                END AS account
            FROM labels
            WHERE val IN (SELECT val FROM meanings) AND (
                src IN (SELECT did FROM trusted)
                OR src = uri OR starts_with(uri, 'at://' || src || '/')
            )
            GROUP BY src, uri, cid, val, neg, cts, exp
        ),
        shown AS (
            SELECT row, author.did AS did, unnest(applied_labels) AS label
            FROM day_posts WHERE len(applied_labels) > 0
        ),
        on_posts AS (
            SELECT row, src, said.uri, val, neg, cts, said_at, exp, false AS is_account
            FROM said JOIN day_posts AS post
            ON post.uri = said.uri AND (said.cid IS NULL OR said.cid = post.cid)
            WHERE account IS NULL
            UNION ALL
            SELECT row, src, said.uri, val, neg, cts, said_at, exp, true
            FROM said JOIN day_posts AS post ON post.author.did = said.account
            UNION ALL
            SELECT row, label.src, label.uri, label.val, label.neg, label.cts,
                CASE WHEN label.cts <= $at THEN label.cts ELSE TIMESTAMPTZ '-infinity' END,
                label.exp,
                starts_with(label.uri, 'did:') OR label.uri LIKE '%/{_PROFILE}/self'
            FROM shown
            WHERE (label.src = did OR label.src IN (SELECT did FROM trusted))
            AND (label.val = 'bot' OR label.uri NOT LIKE '%/{_PROFILE}/self')
        ),
        in_force AS (
            FROM on_posts
            QUALIFY row_number() OVER (
                PARTITION BY row, src, uri, val ORDER BY said_at DESC, cts DESC NULLS LAST, neg DESC
            ) = 1
        )
        SELECT row, filter, 'label:' || val || CASE WHEN is_account THEN ' account' ELSE '' END,
            {PRIORITY}
        FROM in_force JOIN meanings USING (val)
        WHERE NOT neg AND (exp IS NULL OR exp > $at)
        """,
        {"at": at},
    )
