"""Days that something which came later would bring posts to, if they were made again.

A post that was left out is taken up when its account has come back, or when what it came up in
before is deleted. Nothing can be put into a stored day without making it again, and what is made
from it: so such days are named here, for whoever looks what is behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import orjson

from bsky_assets.consolidation.consolidate import register_left_out
from bsky_assets.contracts import ConsolidatedPost, LeftOut, RawPostDeletion
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.examination import RETURNED
from bsky_assets.storage.files import write_json
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition


@dataclass(frozen=True)
class Returned:
    """Posts that a day would have, made again."""

    version: str
    """Of the consolidated posts that lack them."""
    posts: int


def returned(lake: Lake) -> dict[date, Returned]:
    """What was noted of each day; nothing where that is not there or is damaged."""
    try:
        found = orjson.loads((lake.root / RETURNED).read_bytes())
        return {date.fromisoformat(day): Returned(**told) for day, told in found.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def lacking(noted: Mapping[date, Returned], consolidated: Partition | None) -> int:
    """How many posts these consolidated ones lack, made as they are stored."""
    found = noted.get(consolidated.day) if consolidated else None
    return found.posts if found and consolidated and found.version == consolidated.version else 0


def note_returned(con: duckdb.DuckDBPyConnection, lake: Lake, new: Sequence[date]) -> None:
    """Note the days to which posts have come back, by the deletions that are `new`.

    Raises:
        UnusableDataDirectory: it cannot be written.
    """
    if not new:
        return
    noted = returned(lake)
    stored = lake.stored_on(ConsolidatedPost, noted, passing_over=noted)
    noted = {one.day: noted[one.day] for one in stored if lacking(noted, one)}
    lake.relation(con, RawPostDeletion, new, passing_over=new).create_view(
        "new_deletions", replace=True
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE news AS SELECT DISTINCT "
        "CASE kind WHEN 'post' THEN uri ELSE did END AS subject FROM new_deletions"
    )
    for day in lake.days(LeftOut):
        for consolidated in lake.stored_on(ConsolidatedPost, [day], passing_over=[day]):
            if posts := _returned(con, lake, day):
                noted[day] = Returned(consolidated.version, posts)
    write_json(
        lake.root / RETURNED, {day.isoformat(): vars(told) for day, told in sorted(noted.items())}
    )


def _returned(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> int:
    """How many posts that were left out of `day` would be taken up today."""
    lake.relation(con, LeftOut, [day], passing_over=[day]).create_view("left_before", replace=True)
    about = "EXISTS (FROM left_before SEMI JOIN news ON {} = subject)"
    ((is_touched,),) = con.sql(f"SELECT {about.format('uri')} OR {about.format('did')}").fetchall()
    if not is_touched:
        return 0
    try:
        register_left_out(con, lake, day)
    except Damaged:
        return 0  # which status and doctor tell; it cannot be made again either
    ((posts,),) = con.sql(
        "SELECT count(*) FROM left_before ANTI JOIN left_out USING (uri)"
    ).fetchall()
    return int(posts)
