"""The languages that posts are in."""

from bsky_assets.contracts.details import FilterDetails
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Column, Section, Share, Table

SHOWN = 12


def section(day: StoredDay) -> Section | None:
    """The most frequent languages."""
    if day.filtered is None:
        return None
    found = [*day.filtered.told(FilterDetails).languages.items()]
    rows = [(name, count, Share(count / day.filtered.rows)) for name, count in found[:SHOWN]]
    if others := sum(count for _, count in found[SHOWN:]):
        rows.append((f"{len(found) - SHOWN} others", others, Share(others / day.filtered.rows)))
    columns = (
        Column("language", "As the model tells from the text; und: none can be told."),
        Column("posts", is_number=True),
        Column("share", "Of all posts of the day.", is_number=True),
    )
    return Section("languages", "Languages", (Table("Posts by language", columns, tuple(rows)),))
