"""The state of a day for the report: coverage, checks, what models cost, what changed.

What belongs here: numbers that tell whether a day can be trusted. What does not: what the day
says, which is in `report`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from bsky_assets.bluesky.unknown_fields import new_fields, unknown_fields
from bsky_assets.contracts import (
    RawFeedPost,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
)
from bsky_assets.contracts.lineage import ROWS
from bsky_assets.reporting import figures
from bsky_assets.reporting.coverage import coverage_figure
from bsky_assets.storage.completeness import COMPLETENESS, Completeness
from bsky_assets.storage.coverage import gaps, jumps, missing, uncovered
from bsky_assets.storage.lake import Lake, Partition
from bsky_assets.storage.schema_diff import Difference, differences

SHOWN_FIELDS = 12


@dataclass(frozen=True)
class CheckOutcome:
    """What a check of an asset came to."""

    asset: str
    name: str
    passed: bool
    said: str
    """What is wrong; empty if nothing is."""


def firehose_health(lake: Lake, day: date, timezone: ZoneInfo) -> dict[str, Any] | None:
    """How completely the stream was read; None if it was not."""
    partition = lake.current(RawFirehosePost, day)
    if partition is None:
        return None
    completeness = Completeness.from_details(partition.details.get(COMPLETENESS))
    return {
        "figure": figures.png(coverage_figure(completeness, timezone)),
        "events": sum(completeness.events.values()),
        "lost": missing(completeness),
        "jumps": completeness.jump_count,
        "reconnects": completeness.reconnect_count,
        "repeated": completeness.repeated,
        "lag": completeness.largest_lag_seconds,
        "problems": [
            *gaps(completeness),
            *jumps(completeness),
            *uncovered(completeness, partition, timezone),
        ],
    }


def feeds_health(lake: Lake, day: date) -> list[tuple[str, int, str]]:
    """For each feed its name, how many items it gave, and what was wrong with it."""
    partition = lake.current(RawFeedPost, day)
    read = partition.details.get("feeds", {}) if partition else {}
    return [(name, feed["items"], feed["problem"] or "") for name, feed in read.items()]


def model_health(labels: Partition) -> Iterator[dict[str, Any]]:
    """For each model what it was asked, how it fared, and how long it took."""
    for model in labels.details.get("models", ()):
        latency = model.get("latency_seconds", {})
        yield {
            "model": model["model"],
            "questions": model.get("questions", 0),
            "known": model.get("already_known", 0),
            "failed": model.get("failed", 0),
            "retries": sum(model.get("retries", {}).values()),
            "p50": latency.get("p50"),
            "p95": latency.get("p95"),
        }


def schema_changes(lake: Lake, day: date) -> tuple[date | None, list[Difference]]:
    """The last day before that is stored, and how its columns and versions were others."""
    earlier = [known for row in ROWS for known in lake.days(row) if known < day]
    if not earlier:
        return None, []
    last = max(earlier)
    found = differences(lake, ROWS, last, day)
    return last, [difference for difference in found if not difference.missing]


def fields_nobody_knows(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date
) -> list[dict[str, Any]]:
    """Fields that no contract knows, by asset; those first that did not come up before."""
    found: list[dict[str, Any]] = []
    for row in (RawFirehosePost, RawFeedPost, RawPostDeletion, RawModerationLabel):
        present = unknown_fields(con, lake, row, [day])
        new = {field.path for field in new_fields(con, lake, row, day, present)}
        outer = [field for field in present if field.path in new or not _is_nested(field.path)]
        outer.sort(key=lambda field: field.path not in new)
        found += [
            {
                "asset": row.asset,
                "path": field.path,
                "rows": field.rows,
                "example": field.example,
                "is_new": field.path in new,
            }
            for field in outer[:SHOWN_FIELDS]
        ]
    return found


def _is_nested(path: str) -> bool:
    return "." in path.partition(" ")[0]
