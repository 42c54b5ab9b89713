"""The partitions that can be made anywhere: by their assets' names, the functions that make them.

What does not belong here: Dagster, and where the work is done.
"""

from datetime import date

import duckdb

from bsky_assets.contracts import ConsolidatedPost, FilteredPost, LlmLabel, Row
from bsky_assets.contracts.progress import Reporter
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

ROWS: dict[str, type[Row]] = {row.asset: row for row in (ConsolidatedPost, FilteredPost, LlmLabel)}
"""The contracts of these partitions, by their assets' names; every codebook has its own beside."""


def make_partition(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    row: type[Row],
    day: date,
    settings: Settings,
    progress: Reporter,
) -> Partition:
    """Make the partition of `row` on `day`, from what the lake holds.

    Raises:
        UserError: it cannot be made as things are; the message says what to do.
    """
    # Each imports what it needs only when it is asked for: the models take seconds to load.
    if row is ConsolidatedPost:
        from bsky_assets.consolidation.consolidate import consolidate_day

        return consolidate_day(con, lake, day)
    if row is FilteredPost:
        from bsky_assets.filters.chain import filter_day

        return filter_day(con, lake, day, settings, progress=progress)
    from bsky_assets.labelling.day import label_day

    return label_day(con, lake, day, settings, row=row, progress=progress)
