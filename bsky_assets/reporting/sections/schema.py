"""How columns and versions differ from the last day before, and fields that are unknown."""

from collections.abc import Iterator
from datetime import date

from bsky_assets.contracts import RAW
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Block, Code, Column, Section, Table, Text, Value
from bsky_assets.storage.schema_diff import differences
from bsky_assets.storage.unknown_fields import new_fields, unknown_fields

_SHOWN_FIELDS = 12


def section(day: StoredDay) -> Section:
    """What changed in the shape of the data."""
    return Section("schema", "Schema", (_changes(day), _unknown(day)))


def _changes(day: StoredDay) -> Block:
    last = _last_before(day)
    if last is None:
        return Text(("There is no earlier day to compare columns and versions with.",))
    rows = tuple(_rows(day, last))
    if not rows:
        return Text((f"Columns and versions are those of {last}.",))
    columns = (Column("of"), Column("what"), Column("was"), Column("is"))
    return Table(f"Changed since {last}", columns, rows)


def _last_before(day: StoredDay) -> date | None:
    earlier = [known for row in day.lake.rows for known in day.lake.days(row) if known < day.day]
    return max(earlier, default=None)


def _rows(day: StoredDay, last: date) -> Iterator[tuple[Value, ...]]:
    readable = tuple(row for row in day.lake.rows if row.asset in day.partitions)
    for difference in differences(day.lake, readable, last, day.day):
        if difference.missing:
            continue
        for what, (before, after) in difference.versions.items():
            yield Code(difference.asset), what.replace("_", " "), before, after
        for column, (before, after) in difference.columns.items():
            yield Code(difference.asset), Code(column), before, after


def _unknown(day: StoredDay) -> Block:
    rows = tuple(_unknown_rows(day))
    if not rows:
        return Text(("Nothing that arrived has a field that the contracts do not know.",))
    columns = (
        Column("field", "Kept in unknown_fields; new: not seen on the days before."),
        Column("of"),
        Column("rows", is_number=True),
        Column("for example"),
    )
    return Table("Fields that no contract knows", columns, rows)


def _unknown_rows(day: StoredDay) -> Iterator[tuple[Value, ...]]:
    """By asset; those first that did not come up before."""
    for row in RAW:
        if day.partition(row) is None:
            continue
        present = unknown_fields(day.con, day.lake, row, [day.day])
        new = {field.path for field in new_fields(day.con, day.lake, row, day.day, present)}
        outer = [field for field in present if field.path in new or not _is_nested(field.path)]
        outer.sort(key=lambda field: field.path not in new)
        for field in outer[:_SHOWN_FIELDS]:
            name = f"{field.path} (new)" if field.path in new else field.path
            yield name, Code(row.asset), field.rows, field.example


def _is_nested(path: str) -> bool:
    return "." in path.partition(" ")[0]
