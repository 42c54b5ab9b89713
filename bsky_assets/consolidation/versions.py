"""Which version of a post is taken where sources had several, and which came before it.

The firehose orders versions by their rev. A feed gives none: one that it shows and the firehose
had too has its place there, another is held against the firehose's by when the AppView indexed it.
What was written before a deletion of the record is no earlier version: it has been deleted.
"""

import duckdb

from bsky_assets.consolidation.removals import is_before
from bsky_assets.storage.chronology import happened

_SEVERAL = """
    CREATE OR REPLACE TEMP TABLE several AS
    SELECT uri FROM (
        SELECT uri, cid FROM feed
        UNION ALL
        SELECT uri, cid FROM firehose SEMI JOIN feed USING (uri)
    ) GROUP BY uri HAVING count(DISTINCT cid) > 1
"""

_EDITED = """
    CREATE OR REPLACE TEMP TABLE edited AS
    SELECT firehose.uri, firehose.cid, firehose.record,
        coalesce(firehose.commit_time, firehose.received_at) AS indexed_at
    FROM firehose SEMI JOIN several USING (uri)
    SEMI JOIN (FROM today WHERE rev IS NOT NULL) AS taken USING (uri)
"""
"""Of posts with several versions those of which the firehose's is taken."""

_EARLIER = f"""
    CREATE OR REPLACE TEMP TABLE earlier_versions AS
    WITH taken AS (
        SELECT uri, cid FROM edited
        UNION ALL
        SELECT uri, cid FROM feed_posts ANTI JOIN edited USING (uri)
    ),
    versions AS (
        SELECT uri, cid, rev, record.text AS text, commit_time AS time, received_at
        FROM firehose SEMI JOIN several USING (uri)
        UNION ALL
        SELECT uri, unnest(earlier_versions, max_depth := 2), NULL, NULL
        FROM firehose WHERE earlier_versions IS NOT NULL
        UNION ALL
        SELECT uri, cid, NULL, record.text, indexed_at, received_at
        FROM feed SEMI JOIN several USING (uri)
    ),
    told AS (
        SELECT uri, cid, max(rev) AS rev, any_value(text) AS text, max(time) AS time,
            max(received_at) AS received_at
        FROM versions ANTI JOIN taken USING (uri, cid)
        GROUP BY uri, cid
    ),
    deleted AS (
        SELECT told.uri, cid FROM told JOIN deleted_posts AS gone USING (uri)
        WHERE {is_before("told.rev", "told.time", "told.received_at")}
    )
    SELECT uri, list({{cid: cid, rev: rev, text: text}}
        ORDER BY {happened("rev", "time", "received_at")}, cid) AS versions
    FROM told ANTI JOIN deleted USING (uri, cid)
    GROUP BY uri
"""


def register_versions(con: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary tables `edited` and `earlier_versions`.

    `edited` has uri, cid, record and indexed_at of posts that a feed showed in an older version
    than the firehose had; `earlier_versions` has uri and `versions`, oldest first, of every post
    that had others than the one that is taken. Reads the views `firehose`, `feed`, `feed_posts`
    and `today`, and `deleted_posts`.
    """
    con.execute(_SEVERAL)
    con.execute(_EDITED)
    con.execute(_EARLIER)
