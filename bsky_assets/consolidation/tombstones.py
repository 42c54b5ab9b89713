"""Honouring deletions in days that are stored already: posts, verdicts and labels leave.

A deletion usually arrives days after its post. Materialising the day again would apply it too;
this does so for every stored day, without filtering or labelling anything again. Days are looked
into only if a deletion is about them that was not there the last time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa

from bsky_assets.consolidation.consolidate import register_left_out
from bsky_assets.consolidation.removals import without_posts
from bsky_assets.consolidation.returned import note_returned
from bsky_assets.contracts import (
    RAW,
    ConsolidatedPost,
    LeftOut,
    RawPostDeletion,
    Row,
)
from bsky_assets.contracts.details import ConsolidationDetails, Details, Since
from bsky_assets.contracts.leaving import has_posts
from bsky_assets.contracts.raw import ACTIVE
from bsky_assets.storage.examination import APPLIED_TOMBSTONES
from bsky_assets.storage.files import write_json
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import contract_in, select_rows
from bsky_assets.storage.sql import literal
from bsky_assets.sync_day import LOOK_BACK_DAYS, now


def rewritten(lake: Lake) -> Iterator[type[Row]]:
    """What a post leaves: all that is made of posts and stored, whether or not anything makes it
    still. Last comes what says which posts there are, so that a run that was interrupted finds
    them again."""
    for row in reversed(lake.tables):
        if has_posts(row) and row not in (*RAW, ConsolidatedPost):
            yield row
    yield ConsolidatedPost


@dataclass(frozen=True)
class Removal:
    """What left one partition."""

    partition: Partition
    rows: int
    reasons: dict[str, int]
    """How many posts left, by reason; a post may have several labels."""


def apply_tombstones(
    con: duckdb.DuckDBPyConnection, lake: Lake, forget: Callable[[pa.Table], object]
) -> Iterator[Removal]:
    """Remove from every stored day what has been deleted since; yields what was rewritten.

    Days that posts come back to are noted (`returned`).
    `forget` is handed uri and text of these posts first, to remove their words from wherever else
    they are: a run that is interrupted finds them again.
    """
    deletions = {str(p.day): p.path.name for p in lake.partitions(RawPostDeletion)}
    applied = _applied(lake.root / APPLIED_TOMBSTONES)
    new = [date.fromisoformat(day) for day, name in deletions.items() if applied.get(day) != name]
    _find_removed(con, lake, _touched_days(con, lake, new))
    removed = con.sql("SELECT uri, text FROM removed_posts").to_arrow_table()
    if removed.num_rows:
        forget(removed)
    days = con.sql("SELECT DISTINCT sync_day FROM removed_posts ORDER BY sync_day").fetchall()
    tables = [*rewritten(lake)]
    for (day,) in days:
        yield from _apply(con, lake, tables, day)
    note_returned(con, lake, new)
    write_json(lake.root / APPLIED_TOMBSTONES, deletions)


def _touched_days(con: duckdb.DuckDBPyConnection, lake: Lake, new: Sequence[date]) -> list[date]:
    """Stored days with a post that a deletion of the `new` days may be about, or that may have come
    on a later day, too, to which it belongs then."""
    lake.relation(con, RawPostDeletion, new, passing_over=new).create_view(
        "new_deletions", replace=True
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE news AS
        SELECT DISTINCT CASE kind WHEN 'post' THEN uri ELSE did END AS subject FROM new_deletions
        WHERE status <> $active
        """,
        {"active": ACTIVE},
    )
    stored = lake.partitions(ConsolidatedPost)
    recent = now().date() - timedelta(days=2 * LOOK_BACK_DAYS)
    return [
        one.day
        for one in stored
        if (one.day >= recent and one.told(ConsolidationDetails).came_back)
        or (new and _is_touched(con, lake, one.day))
    ]


def _applied(marker: Path) -> dict[str, str]:
    """What it says; nothing where it is not there or is damaged."""
    try:
        found = orjson.loads(marker.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_touched(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> bool:
    lake.relation(con, ConsolidatedPost, [day], passing_over=[day]).create_view(
        "consolidated", replace=True
    )
    found = con.sql(
        """
        SELECT EXISTS (FROM consolidated SEMI JOIN news ON uri = subject)
            OR EXISTS (FROM consolidated SEMI JOIN news ON author.did = subject)
        """
    ).fetchall()
    return bool(found[0][0])


def _find_removed(con: duckdb.DuckDBPyConnection, lake: Lake, days: Iterable[date]) -> None:
    """Make the temporary table `removed_posts`: sync_day, uri, did, reason and text."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE removed_posts "
        "(sync_day DATE, uri VARCHAR, did VARCHAR, reason VARCHAR, text VARCHAR)"
    )
    for day in days:
        register_left_out(con, lake, day)
        lake.relation(con, ConsolidatedPost, [day]).create_view("consolidated", replace=True)
        con.execute(
            """
            INSERT INTO removed_posts
            SELECT $day, uri, left_out.did, left_out.reason, consolidated.record.text
            FROM left_out JOIN consolidated USING (uri)
            WHERE left_out.reason <> 'already_consolidated'
            """,
            {"day": day},
        )


def _apply(
    con: duckdb.DuckDBPyConnection, lake: Lake, tables: Sequence[type[Row]], day: date
) -> Iterator[Removal]:
    con.execute(
        "CREATE OR REPLACE TEMP TABLE removed AS "
        "SELECT uri, did, reason FROM removed_posts WHERE sync_day = $day",
        {"day": day},
    )
    by_reason = con.sql("SELECT reason, count(*) FROM removed GROUP BY reason ORDER BY reason")
    reasons: dict[str, int] = dict(by_reason.fetchall())
    _note(con, lake, day)
    for row in tables:
        if before := lake.current(row, day):
            yield _rewrite(con, lake, contract_in(row, before), before, reasons)


def _note(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> None:
    """Add what leaves to what was left out of the day; a run that was interrupted has done so."""
    lake.relation(con, LeftOut, [day]).create_view("left_out_before", replace=True)
    lake.write_query(
        con,
        LeftOut,
        day,
        f"""
        SELECT * FROM left_out_before
        UNION ALL
        SELECT uri, did, reason, TIMESTAMPTZ {literal(now().isoformat())} AS known_at
        FROM removed ANTI JOIN left_out_before USING (uri)
        ORDER BY uri
        """,
    )


def _rewrite(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    row: type[Row],
    before: Partition,
    reasons: dict[str, int],
) -> Removal:
    told, rows = before.told(Details), select_rows(row, [before])
    removal = Since(at=now().isoformat(), posts_by_reason=reasons)
    after = lake.write_query(
        con,
        row,
        before.day,
        without_posts(row, rows, "SELECT uri FROM removed"),
        told.model_copy(update={"removed_since": (*told.removed_since, removal)}),
        kept_from=before,
    )
    return Removal(after, before.rows - after.rows, reasons)
