"""By how much the day's shares would move had a filter stopped nothing, from the day's audit."""

from collections.abc import Iterable, Mapping
from typing import Any

from bsky_assets.contracts import AuditedShare
from bsky_assets.labelling.audit import ALL_FILTERS
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Column, Section, Share, Shift, Table, Value


def section(day: StoredDay) -> Section | None:
    """All filters together; None where the day is not audited."""
    rows = [row for row in _rows(day) if row["filter"] == ALL_FILTERS]
    return _section("audit", "Do the filters move the shares?", rows) if rows else None


def by_filter(day: StoredDay) -> Section | None:
    """Each filter by itself; None where the day is not audited."""
    rows = [row for row in _rows(day) if row["filter"] != ALL_FILTERS]
    return (
        _section("audit-by-filter", "What each filter does to the shares", rows) if rows else None
    )


def _rows(day: StoredDay) -> list[dict[str, Any]]:
    if day.partition(AuditedShare) is None:
        return []
    found = day.lake.relation(day.con, AuditedShare, [day.day]).filter("shift IS NOT NULL")
    rows: list[dict[str, Any]] = found.order("filter, label").to_arrow_table().to_pylist()
    return rows


def _section(name: str, title: str, rows: Iterable[Mapping[str, Any]]) -> Section:
    columns = (
        Column("filter"),
        Column("label"),
        Column("judged", "Posts of the random sample that the model judged.", is_number=True),
        Column("share", "Of the English posts that were stopped, by this sample.", is_number=True),
        Column(
            "shift",
            "Percentage points by which the day's share would move had nothing been stopped, and "
            "their 95% interval.",
            is_number=True,
        ),
    )
    table = Table("By a random sample of what was stopped", columns, tuple(map(_row, rows)))
    return Section(name, title, (table,))


def _row(row: Mapping[str, Any]) -> tuple[Value, ...]:
    return (
        row["filter"].replace("_", " "),
        row["label"].replace("_", " "),
        row["sampled"],
        Share(row["share"]),
        Shift(row["shift"], row["shift_low"], row["shift_high"]),
    )
