"""What coders are shown of an item, and which items are gone because their posts are deleted.

Words of our posts are kept nowhere here: they are read from the ledger, as the model was given
them, and leave with the post. Words of a file from elsewhere stay in the room's own file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa

from bsky_assets.contracts import LlmLabel, RawPostDeletion, Row
from bsky_assets.contracts.raw import ACTIVE
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.labelling.statistics.sampling import shown_of
from bsky_assets.settings import Settings
from bsky_assets.storage.connection import in_memory
from bsky_assets.storage.lake import Lake

Shown = dict[str, str]
"""The text and each piece of context, by name."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to code."""

    number: int
    uri: str | None
    """Of a post of ours or of the network's; None for a text from elsewhere."""
    shown: Shown | None
    """None where the words are the ledger's."""
    stratum: str
    chance: float | None
    """Of being drawn; None where that is not known."""


def words(
    settings: Settings, days: Sequence[date], items: Iterable[Item], asset: str = LlmLabel.asset
) -> dict[int, Shown]:
    """What is shown of each item, by number; without those whose post is gone.

    `asset` has the labels that our posts were drawn from.
    """
    listed = list(items)
    lake, ledger = Lake.of(settings), Ledger(settings.ledger_dir)
    with in_memory() as con:
        gone = _gone(con, lake, [item.uri for item in listed if item.uri])
        asked = {item.uri: item.number for item in listed if item.uri and item.shown is None}
        found = _from_ledger(con, lake, ledger, days, asked, asset)
    own = {item.number: item.shown for item in listed if item.shown is not None}
    numbers = {item.number for item in listed if item.uri not in gone}
    return {number: shown for number, shown in {**own, **found}.items() if number in numbers}


def _gone(con: duckdb.DuckDBPyConnection, lake: Lake, uris: Sequence[str]) -> set[str]:
    """Those whose author deleted them, or whose account is not there now."""
    con.register("items", pa.table({"uri": pa.array(uris, pa.string())}))
    days = lake.days(RawPostDeletion)
    lake.relation(con, RawPostDeletion, days, passing_over=days).create_view("deletions")
    rows = con.execute(
        """
        SELECT uri FROM items WHERE uri IN (SELECT uri FROM deletions WHERE kind = 'post')
            OR split_part(uri, '/', 3) IN (
                SELECT did FROM deletions WHERE kind = 'account'
                GROUP BY did HAVING arg_max(status, (received_at, seq)) <> $active
            )
        """,
        {"active": ACTIVE},
    ).fetchall()
    return {uri for (uri,) in rows}


def _from_ledger(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    ledger: Ledger,
    days: Sequence[date],
    asked: dict[str, int],
    asset: str,
) -> dict[int, Shown]:
    """What the model was given, of the posts that are there still."""
    row = _table(lake, asset)
    if not asked or row is None:
        return {}
    lake.relation(con, row, days).create_view("labels_now")
    con.register("asked", pa.table({"uri": pa.array(asked, pa.string())}))
    rows = con.sql(
        "SELECT uri, question_hash FROM labels_now SEMI JOIN asked USING (uri) "
        "WHERE is_label_of_record"
    ).fetchall()
    asked_with = ledger.questions(con, [key for _, key in rows])
    questions = {question.hash: shown_of(question) for question in asked_with}
    return {asked[uri]: questions[key] for uri, key in rows if key in questions}


def _table(lake: Lake, asset: str) -> type[Row] | None:
    """Its contract, also where its codebook is not there any more; None where nothing is stored."""
    return next((row for row in lake.tables if row.asset == asset), None)


def version(
    settings: Settings, days: Sequence[date], asset: str = LlmLabel.asset
) -> tuple[str, ...]:
    """What changes when posts may have left: the partitions that tell of it."""
    lake = Lake.of(settings)
    row = _table(lake, asset)
    labels = (lake.current(row, day) for day in days if row)
    found = [*filter(None, labels), *lake.partitions(RawPostDeletion)]
    return tuple(sorted(partition.path.name for partition in found))
