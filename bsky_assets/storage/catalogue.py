"""The catalogue: one DuckDB file with a view for each asset, over the current partitions.

It holds no rows. It is built beside the one in use and takes its place in one step, so that
readers and writers never wait for each other and whoever has it open keeps a stable picture.
"""

from pathlib import Path

import duckdb
from filelock import FileLock

from bsky_assets.contracts import ALL, Row
from bsky_assets.storage.files import staged, sync
from bsky_assets.storage.lake import Lake, Partition, empty_columns

FILE_NAME = "bsky.duckdb"

_STORAGE_VERSION = "v1.0.0"
"""So that DuckDB 1.0 and newer can open it."""


def rebuild(lake: Lake, path: Path) -> None:
    """Make the catalogue at `path` show the current partitions of `lake`.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")), staged(path) as fresh, duckdb.connect() as con:
        con.execute(f"ATTACH '{_quoted(fresh)}' AS fresh (STORAGE_VERSION '{_STORAGE_VERSION}')")
        for row in ALL:
            con.execute(f'CREATE VIEW fresh."{row.asset}" AS {_view(row, lake.partitions(row))}')
        con.execute("DETACH fresh")
        sync(fresh)


def _view(row: type[Row], partitions: list[Partition]) -> str:
    if not partitions:
        return f"SELECT CAST(NULL AS DATE) AS sync_day, {empty_columns(row)} WHERE false"
    paths = ", ".join(f"'{_quoted(partition.path)}'" for partition in partitions)
    return (
        "SELECT sync_day, * EXCLUDE (sync_day) FROM read_parquet("
        f"[{paths}], hive_partitioning = true, hive_types = {{'sync_day': DATE}})"
    )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
