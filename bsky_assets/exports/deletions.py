"""Leaving out of an export what is known to have been deleted, though it is stored yet.

A deletion may be collected long after its post, and leaves a stored day only when the day is made
again or maintenance is run; an export does not wait for either.
"""

from collections.abc import Sequence
from datetime import date

import duckdb

from bsky_assets.consolidation.consolidate import register_left_out
from bsky_assets.consolidation.removals import without_posts
from bsky_assets.contracts import RawPostDeletion, Row
from bsky_assets.contracts.leaving import LISTING, is_of_posts
from bsky_assets.storage.lake import Lake


class Removed:
    """The posts of some days that are known to be gone: deleted, or with an account that is."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: Lake, days: Sequence[date]) -> None:
        """Find them, as is known now; `con` keeps them in temporary tables."""
        self._con = con
        con.execute(
            "CREATE OR REPLACE TEMP TABLE removed (sync_day DATE, uri VARCHAR, reason VARCHAR)"
        )
        con.execute("CREATE OR REPLACE TEMP TABLE used_again (sync_day DATE, uri VARCHAR)")
        for day in days if lake.days(RawPostDeletion) else ():
            register_left_out(con, lake, day)
            con.execute(
                "INSERT INTO removed SELECT $day, uri, reason FROM left_out "
                "WHERE reason <> 'already_consolidated'",
                {"day": day},
            )
            con.execute(
                "INSERT INTO used_again SELECT DISTINCT $day, uri FROM deleted_posts",
                {"day": day},
            )

    def without(self, row: type[Row], rows: str) -> str:
        """SQL for the rows of `row` that are none of theirs, in their order."""
        if row in LISTING:
            return without_posts(row, rows, "SELECT uri FROM removed")
        if not is_of_posts(row):
            return rows
        columns = "*"
        if "earlier_versions" in row.model_fields:
            columns = (
                "* REPLACE (CASE WHEN (sync_day, uri) NOT IN (FROM used_again) "
                "THEN earlier_versions END AS earlier_versions)"
            )
        return (
            f"SELECT {columns} FROM ({rows}) "
            "WHERE (sync_day, uri) NOT IN (SELECT sync_day, uri FROM removed)"
        )

    def counts(self, row: type[Row], rows: str) -> dict[str, int]:
        """How many of the rows are theirs, by reason."""
        if not is_of_posts(row):
            return {}
        found = self._con.sql(
            f"SELECT removed.reason, count(*) FROM ({rows}) JOIN removed USING (sync_day, uri) "
            "GROUP BY ALL"
        ).fetchall()
        return dict(sorted(found))
