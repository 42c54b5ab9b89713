"""Nothing that arrives brings a field or an embed that has not come up before.

Of every asset that holds what arrived: a lexicon that changes shows here first.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import pandas as pd
from dagster import AssetCheckResult, AssetCheckSpec
from duckdb import DuckDBPyConnection

from bsky_assets.contracts import Row
from bsky_assets.orchestration.materialisation import check, frame_table
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.unknown_fields import (
    TRAILING_DAYS,
    UnknownField,
    new_fields,
    unknown_fields,
)

LISTED = 5
_TABLED = 50


def spec(row: type[Row]) -> AssetCheckSpec:
    """The check of one asset."""
    return AssetCheckSpec(
        "no_new_fields",
        asset=row.asset,
        description="There is no field and no kind of embed that the contract does not know, or "
        f"could not be read, and that did not come up in the {TRAILING_DAYS} days before. What is "
        "new is kept, in unknown_fields.",
    )


def evaluate(
    con: DuckDBPyConnection, lake: Lake, row: type[Row], day: date, unknown_events: int = 0
) -> AssetCheckResult:
    """The outcome for one day; `unknown_events` were of a kind that is not in the lexicon."""
    present = unknown_fields(con, lake, row, [day])
    new = new_fields(con, lake, row, day, present)
    return check(
        spec(row),
        _problems(new, unknown_events),
        checked=stored.rows if (stored := lake.current(row, day)) else 0,
        nothing="there are no posts",
        new_fields=len(new),
        unknown_fields=len(present),
        unknown_events=unknown_events,
        by_path=frame_table(pd.DataFrame(present[:_TABLED], columns=["path", "rows", "example"])),
    )


def _problems(new: Sequence[UnknownField], unknown_events: int) -> Iterator[str]:
    for field in new[:LISTED]:
        yield f"{printable(field.path)} is new, in {field.rows:,} rows, e.g. {field.example}"
    if len(new) > LISTED:
        yield f"{len(new) - LISTED:,} more are new"
    if unknown_events:
        yield f"{unknown_events:,} events of an unknown kind are in quarantine"


def printable(path: str) -> str:
    """What a stranger called a field, as text that is nothing but text."""
    return "".join(char if char.isalnum() or char in " $#.[]_-" else "?" for char in path)
