"""The catalogue: one DuckDB file with a view for each table, over its current files.

It holds no rows. It is built beside the one in use and takes its place in one step, so that
readers and writers never wait for each other and whoever has it open keeps a stable picture.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
from filelock import FileLock

from bsky_assets.contracts import ALL, Row
from bsky_assets.storage.files import staged, sync
from bsky_assets.storage.lake import Lake, empty_columns

_STORAGE_VERSION = "v1.0.0"
"""So that DuckDB 1.0 and newer can open it."""


def rebuild(
    lake: Lake, path: Path, others: Mapping[type[Row], Sequence[Path]] | None = None
) -> None:
    """Make the catalogue at `path` show the current partitions of `lake`.

    Args:
        lake: its partitions have a view for each contract of the lake.
        path: where the catalogue is.
        others: further tables and their files, in folders named sync_day=YYYY-MM-DD.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")), staged(path) as fresh, duckdb.connect() as con:
        con.execute(f"ATTACH '{_quoted(fresh)}' AS fresh (STORAGE_VERSION '{_STORAGE_VERSION}')")
        files = {row: [found.path for found in lake.partitions(row)] for row in ALL}
        for row, paths in (files | dict(others or {})).items():
            con.execute(f'CREATE VIEW fresh."{row.asset}" AS {_view(row, paths)}')
        con.execute("DETACH fresh")
        sync(fresh)


def _view(row: type[Row], files: Sequence[Path]) -> str:
    if not files:
        return f"SELECT CAST(NULL AS DATE) AS sync_day, {empty_columns(row)} WHERE false"
    paths = ", ".join(f"'{_quoted(path)}'" for path in files)
    return (
        "SELECT sync_day, * EXCLUDE (sync_day) FROM read_parquet("
        f"[{paths}], hive_partitioning = true, hive_types = {{'sync_day': DATE}})"
    )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
