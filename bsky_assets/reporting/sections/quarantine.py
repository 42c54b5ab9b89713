"""What arrived and could not be read."""

from bsky_assets.contracts import Quarantined
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Block, Code, Column, Section, Table, Text
from bsky_assets.storage.partition_sql import select_rows

SHOWN = 12


def section(day: StoredDay) -> Section:
    """How many rows are set aside, by asset and reason."""
    # What each asset quarantined is a dataset of its own.
    found = (day.lake.quarantine(row.asset, day.day) for row in day.lake.rows)
    aside = [partition for partition in found if partition]
    day.lake.attach(day.con)
    counted = (
        day.con.sql(select_rows(Quarantined, aside))
        .aggregate("source, reason, count(*) AS rows")
        .order("rows DESC, source, reason")
        .limit(SHOWN)
        .fetchall()
    )
    block: Block = Text(("Everything that arrived could be read.",))
    if counted:
        columns = (
            Column("reason"),
            Column("on the way into"),
            Column("rows", "What could not be read is kept, in the view quarantine.", True),
        )
        rows = ((reason, Code(source), count) for source, reason, count in counted)
        block = Table("Set aside", columns, tuple(rows))
    return Section("quarantine", "Quarantine", (block,))
