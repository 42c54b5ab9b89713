"""Which accounts a public export names: those that so many follow that they are public figures."""

import duckdb
import pyarrow as pa

from bsky_assets.bluesky.profiles import followers
from bsky_assets.bluesky.xrpc import XrpcHost
from bsky_assets.exports.levels import NAMED
from bsky_assets.settings import Settings


def register_named(con: duckdb.DuckDBPyConnection, settings: Settings, posts: str) -> int | None:
    """Make the table of accounts to name among the authors of the SQL `posts`; how many it has.

    With no BSKY_EXPORT_FOLLOWER_FLOOR in force it is empty, nobody is asked, and None is returned.

    Raises:
        Refused: the AppView does not tell.
        Unanswered: it cannot be reached.
    """
    floor = settings.export_follower_floor
    named: list[str] = []
    if floor is not None:
        authors = con.sql(
            f"SELECT DISTINCT author.did FROM ({posts}) WHERE author.handle IS NOT NULL ORDER BY 1"
        ).fetchall()
        with XrpcHost(settings.appview_url, "BSKY_APPVIEW_URL") as host:
            counts = followers(host, [did for (did,) in authors])
        named = [did for did, count in counts.items() if count >= floor]
    con.register(NAMED, pa.table({"did": pa.array(named, pa.string())}))
    return None if floor is None else len(named)
