"""Which posts are to leave: deleted by their author, or by an account that is gone.

A deletion holds whenever it arrives, so those of later days are read too: a day that is
materialised again does not bring back what has been deleted since.
Source: com.atproto.sync.subscribeRepos, `#commit` operations and `#account` events.
"""

from datetime import date

import duckdb

from bsky_assets.contracts import RawPostDeletion
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import look_back

GONE = ("deleted", "takendown", "suspended", "deactivated")
"""Account statuses whose posts are not shown; `deactivated` may be followed by `active`."""


def register_removals(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> None:
    """Make the temporary tables `deleted_posts` and `gone_accounts` for the posts of `day`.

    `deleted_posts` has uri, relay and the last seq at which it was deleted; `gone_accounts` has
    did and status, for accounts whose latest status is one of `GONE`.
    """
    first = min([*look_back(day), day])
    days = [known for known in lake.days(RawPostDeletion) if known >= first]
    lake.relation(con, RawPostDeletion, days).create_view("deletions", replace=True)
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE deleted_posts AS
        SELECT uri, relay, max(seq) AS seq FROM deletions WHERE kind = 'post' GROUP BY ALL
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE gone_accounts AS
        SELECT did, arg_max(status, (received_at, seq)) AS status
        FROM deletions WHERE kind = 'account'
        GROUP BY did HAVING list_contains($gone, arg_max(status, (received_at, seq)))
        """,
        {"gone": list(GONE)},
    )
    con.execute("DROP VIEW deletions")
