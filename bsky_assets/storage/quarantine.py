"""Adding to what was quarantined on the way into an asset.

What is there stays; what is already there is not added again.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from bsky_assets.contracts import Quarantined, arrow_schema
from bsky_assets.storage.lake import Lake, Partition, select_rows

SCHEMA = arrow_schema(Quarantined)
_ADDED = "quarantined_now"


def add(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    source: str,
    day: date,
    rows: pa.Table | Sequence[Mapping[str, Any]],
) -> Partition | None:
    """Make the quarantine of `source` on `day` what it was and `rows`; unchanged if none is new.

    A row is known by its `Quarantined.key`; of rows with the same key the first stays.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    before = lake.quarantine(source, day)
    added = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist([*rows], schema=SCHEMA)
    if added.num_rows == 0:
        return before
    kept = select_rows(Quarantined, [before] if before else [])
    key = ", ".join(Quarantined.key)
    lake.attach(con)
    con.register(_ADDED, added)
    try:
        table = con.sql(
            f"SELECT * FROM (SELECT * FROM ({kept}) UNION ALL SELECT * FROM {_ADDED}) "
            f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY received_at) = 1 "
            "ORDER BY received_at, position"
        ).to_arrow_table()
    finally:
        con.unregister(_ADDED)
    table = table.cast(SCHEMA)
    if before and table.num_rows == before.rows:
        return before
    return lake.write_quarantine(source, day, table)
