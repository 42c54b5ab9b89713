"""Two lakes compared, row by row."""

from datetime import date

import duckdb

from bsky_assets.contracts import ConsolidatedPost, FilteredPost, Row
from bsky_assets.storage.lake import Lake

MADE = (ConsolidatedPost, FilteredPost)


# When a thing was done differs from one time to the next; what was done must not.
_TIMESTAMPS = {
    ConsolidatedPost: "REPLACE (struct_update(metadata, processed_timestamp := NULL) AS metadata)",
    FilteredPost: "EXCLUDE (filtered_at, preprocessing_timestamp) "
    "REPLACE (struct_update(metadata, processed_timestamp := NULL) AS metadata)",
}


def differences(one: Lake, other: Lake, row: type[Row], days: list[date]) -> int:
    """Rows that only one of two lakes has on `days`, leaving out when they were made."""
    return sum(_differences(one, other, row, day) for day in days)


def _differences(one: Lake, other: Lake, row: type[Row], day: date) -> int:
    with duckdb.connect() as con:
        for name, lake in (("one", one), ("other", other)):
            lake.relation(con, row, [day]).create_view(name)
        compared = _TIMESTAMPS[row]
        ((found,),) = con.sql(
            f"""
            WITH one_rows AS (SELECT * {compared} FROM one),
                other_rows AS (SELECT * {compared} FROM other)
            SELECT count(*) FROM (
                (FROM one_rows EXCEPT ALL FROM other_rows)
                UNION ALL
                (FROM other_rows EXCEPT ALL FROM one_rows)
            )
            """
        ).fetchall()
        return int(found)
