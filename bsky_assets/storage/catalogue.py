"""The catalogue: one DuckDB file with a view for each table, over its current files.

It holds no rows but what partitions say of themselves (`provenance`). It is built beside the one
in use and takes its place in one step, so that readers and writers never wait for each other and
whoever has it open keeps a stable picture.
"""

import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
from filelock import FileLock

from bsky_assets.contracts import Row, contract_version
from bsky_assets.storage import provenance
from bsky_assets.storage.connection import in_memory
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.files import make_folder, staged
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import empty_columns
from bsky_assets.storage.places import mapped
from bsky_assets.storage.shape import ContractViolation
from bsky_assets.storage.sql import identifier, literal
from bsky_assets.storage.upcasts import Stored, select

_STORAGE_VERSION = "v1.0.0"
"""So that DuckDB 1.0 and newer can open it."""


def rebuild(
    lake: Lake, path: Path, others: Mapping[type[Row], Sequence[Path]] | None = None
) -> list[Damaged]:
    """Make the catalogue at `path` show the current partitions of `lake`.

    A file that cannot be read is left out; returns what is wrong with each.

    Args:
        lake: its partitions have a view for each contract of the lake.
        path: where the catalogue is.
        others: further tables and their files, in folders named sync_day=YYYY-MM-DD.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    make_folder(path.parent)
    with FileLock(path.with_suffix(".lock")):
        for leftover in path.parent.glob(f".{path.name}.*"):
            leftover.unlink()
        tables = _tables(lake, others)
        problems = [problem for row, files in tables.items() for problem in _damaged(row, files)]
        out = {str(problem.path) for problem in problems}
        tables = {
            row: [file for file in files if str(file.path) not in out]
            for row, files in tables.items()
        }
        with staged(path) as fresh, TemporaryDirectory() as folder, in_memory() as con:
            lake.attach(con)
            _write(con, Path(folder) / path.name, tables, provenance.tables(lake))
            shutil.copyfile(Path(folder) / path.name, fresh)
    return [*lake.pointed("")[1], *problems]


def _tables(
    lake: Lake, others: Mapping[type[Row], Sequence[Path]] | None
) -> dict[type[Row], list[Stored]]:
    return {row: _partitions(lake, row) for row in lake.tables} | {
        row: _files(paths) for row, paths in (others or {}).items()
    }


def _damaged(row: type[Row], files: Sequence[Stored]) -> list[Damaged]:
    """What is wrong with those of `files` that cannot be read."""

    def problem_of(file: Stored) -> Damaged | None:
        try:
            select(row, [file])
        except Damaged as problem:
            return problem
        except ContractViolation:
            return None  # which the view says to whoever asks it
        return None

    return [found for found in mapped(problem_of, files, [f.path for f in files]) if found]


def _write(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    tables: Mapping[type[Row], Sequence[Stored]],
    told: Mapping[type[Row], pa.Table],
) -> None:
    """Make the file at `path`, a path without a question mark: DuckDB cannot write at another."""
    con.execute(f"ATTACH {literal(path)} AS fresh (STORAGE_VERSION {literal(_STORAGE_VERSION)})")
    con.execute("BEGIN")  # or else the disk is waited for after each of them
    for row, files in tables.items():
        con.execute(f"CREATE VIEW fresh.{identifier(row.asset)} AS {_view(row, files)}")
    con.execute("CREATE SCHEMA fresh.told")
    for row, rows in told.items():
        con.register("rows_told", rows)
        con.execute(f"CREATE TABLE fresh.told.{identifier(row.asset)} AS FROM rows_told")
        con.unregister("rows_told")
    con.execute("USE fresh")
    for row in told:
        name = identifier(row.asset)
        con.execute(f"CREATE VIEW {name} AS SELECT * FROM told.{name}")
    con.execute("COMMIT")
    con.execute("USE memory")
    con.execute("DETACH fresh")


def _partitions(lake: Lake, row: type[Row]) -> list[Stored]:
    current = contract_version(row)
    return [
        Stored(found.day, found.path, found.contract == current) for found in lake.partitions(row)
    ]


def _files(paths: Sequence[Path]) -> list[Stored]:
    days = (date.fromisoformat(path.parent.name.removeprefix("sync_day=")) for path in paths)
    return [Stored(day, path, is_current=False) for day, path in zip(days, paths, strict=True)]


def _view(row: type[Row], files: Sequence[Stored]) -> str:
    """The rows of `files`; where one cannot be read, a view that says so to whoever asks it."""
    nothing = f"SELECT CAST(NULL AS DATE) AS sync_day, {empty_columns(row)}"
    if not files:
        return f"{nothing} WHERE false"
    try:
        return select(row, files, sync_day=True)
    except ContractViolation as violation:
        return f"{nothing} WHERE error({literal(violation)})"
