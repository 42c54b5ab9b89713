"""The lake: one immutable Parquet file for each asset and sync day, and a pointer that names it.

A partition is written under a name that no reader looks for, synced, renamed, and only then
named by its pointer, so that readers have the old partition or the new one, whatever is killed
when. Files that no pointer names any more are vacuumed after a grace period.
What does not belong here: what the rows mean, and the catalogue that people query.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bsky_assets.contracts import Quarantined, Row, arrow_schema, contract_version
from bsky_assets.contracts.lineage import lineage_version
from bsky_assets.storage import upcasts
from bsky_assets.storage.files import staged, unique_id, unusable, write_json
from bsky_assets.storage.shape import check

POINTER = "current.json"
GRACE = timedelta(days=1)
"""How long a file that no pointer names stays for readers that have it open."""

ROW_GROUP_ROWS = 122_880
_PARQUET = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"

Details = Mapping[str, Any]


@dataclass(frozen=True)
class Partition:
    """The current file of one dataset on one sync day."""

    dataset: str
    day: date
    path: Path
    rows: int
    bytes: int
    contract: str
    """Version of the contract that it was written with."""
    lineage: str | None
    """Version of the lineage that it was made with; None where that was not recorded yet."""
    written_at: datetime
    details: Details
    """What its maker has to say of it: coverage, counts, versions."""


class Lake:
    """All partitions below one folder."""

    def __init__(self, root: Path) -> None:
        """Look at the lake in `root`; nothing is created before the first write."""
        self.root = root

    def write(
        self,
        row: type[Row],
        day: date,
        data: pa.Table | pa.RecordBatchReader,
        details: Details | None = None,
    ) -> Partition:
        """Make `data` the partition of `row` on `day`.

        Raises:
            ContractViolation: the columns are not those of the contract; nothing is changed.
            UnusableDataDirectory: the folder cannot be written to.
        """
        return self._write_arrow(row.asset, row, day, data, details)

    def write_quarantine(self, source: str, day: date, data: pa.Table) -> Partition:
        """Make `data` (rows of `Quarantined`) the quarantine of the asset `source` on `day`."""
        return self._write_arrow(f"{Quarantined.asset}/{source}", Quarantined, day, data, None)

    def write_query(
        self,
        con: duckdb.DuckDBPyConnection,
        row: type[Row],
        day: date,
        sql: str,
        details: Details | None = None,
        *,
        kept_from: Partition | None = None,
    ) -> Partition:
        """Make the result of `sql` the partition of `row` on `day`, written by DuckDB itself.

        Rows that are not made anew but kept from a partition keep the version of its lineage.

        Raises:
            ContractViolation: the columns are not those of the contract; nothing is changed.
            UnusableDataDirectory: the folder cannot be written to.
        """
        target = self._copy(con, row.asset, row, day, sql)
        lineage = kept_from.lineage if kept_from else lineage_version(row)
        return self._point(row.asset, row, day, target, details, lineage)

    def rewrite(
        self,
        con: duckdb.DuckDBPyConnection,
        row: type[Row],
        partition: Partition,
        verify: Callable[[Path], None],
        details: Details,
    ) -> Partition:
        """Write `partition` anew under today's contract, and let it take the old one's place.

        `verify` sees the new file before it does so, and raises to keep the old one.

        Raises:
            ContractViolation: it cannot be read under today's contract.
            UnusableDataDirectory: the folder cannot be written to.
        """
        sql = select_rows(row, [partition])
        target = self._copy(con, partition.dataset, row, partition.day, sql)
        verify(target)
        return self._point(
            partition.dataset, row, partition.day, target, details, partition.lineage
        )

    def _copy(
        self, con: duckdb.DuckDBPyConnection, dataset: str, row: type[Row], day: date, sql: str
    ) -> Path:
        target = self._new_file(dataset, day)
        with staged(target) as path:
            try:
                con.execute(f"COPY ({sql}) TO '{_quoted(path)}' ({_PARQUET})")
            except duckdb.IOException as error:
                raise unusable(target.parent, OSError(str(error).splitlines()[0])) from error
            check(row, day, pq.read_schema(path))
        return target

    def _write_arrow(
        self,
        dataset: str,
        row: type[Row],
        day: date,
        data: pa.Table | pa.RecordBatchReader,
        details: Details | None,
    ) -> Partition:
        check(row, day, data.schema)
        schema = arrow_schema(row)
        reader = data.to_reader() if isinstance(data, pa.Table) else data
        target = self._new_file(dataset, day)
        with (
            staged(target) as path,
            pq.ParquetWriter(path, schema, compression="zstd") as writer,
        ):
            for batch in reader:
                writer.write_batch(batch.cast(schema), row_group_size=ROW_GROUP_ROWS)
        return self._point(dataset, row, day, target, details, lineage_version(row))

    def current(self, row: type[Row], day: date) -> Partition | None:
        """The partition of `row` on `day`, if there is one."""
        return self._current(row.asset, day)

    def quarantine(self, source: str, day: date) -> Partition | None:
        """What was quarantined on the way into the asset `source` on `day`, if anything was."""
        return self._current(f"{Quarantined.asset}/{source}", day)

    def days(self, row: type[Row]) -> list[date]:
        """The days that have a partition of `row`, oldest first."""
        return sorted({partition.day for partition in self.partitions(row)})

    def partitions(self, row: type[Row]) -> list[Partition]:
        """Every current partition of `row`, oldest first."""
        found = (
            self._read_pointer(pointer)
            for pointer in (self.root / row.asset).glob(f"**/sync_day=*/{POINTER}")
        )
        return sorted(found, key=lambda partition: (partition.day, partition.dataset))

    def relation(
        self, con: duckdb.DuckDBPyConnection, row: type[Row], days: Sequence[date]
    ) -> duckdb.DuckDBPyRelation:
        """The rows of `row` on `days`; no rows, but every column, where there is no partition."""
        return con.sql(select_rows(row, [p for d in days if (p := self.current(row, d))]))

    def vacuum(self, grace: timedelta = GRACE) -> int:
        """Remove files that no pointer has named for `grace`; returns the bytes freed."""
        oldest = (datetime.now(UTC) - grace).timestamp()
        freed = 0
        for folder in self.root.glob("**/sync_day=*"):
            pointer = folder / POINTER
            kept = {POINTER, self._read_pointer(pointer).path.name if pointer.exists() else ""}
            for path in folder.iterdir():
                status = path.stat()
                if path.name not in kept and status.st_mtime < oldest:
                    path.unlink()
                    freed += status.st_size
        return freed

    def _folder(self, dataset: str, day: date) -> Path:
        return self.root / dataset / f"sync_day={day.isoformat()}"

    def _new_file(self, dataset: str, day: date) -> Path:
        return self._folder(dataset, day) / f"part-{unique_id()}.parquet"

    def _current(self, dataset: str, day: date) -> Partition | None:
        try:
            return self._read_pointer(self._folder(dataset, day) / POINTER)
        except FileNotFoundError:
            return None

    def _read_pointer(self, pointer: Path) -> Partition:
        stored = orjson.loads(pointer.read_bytes())
        folder = pointer.parent
        return Partition(
            dataset=folder.parent.relative_to(self.root).as_posix(),
            day=date.fromisoformat(folder.name.removeprefix("sync_day=")),
            path=folder / stored["file"],
            rows=stored["rows"],
            bytes=stored["bytes"],
            contract=stored["contract"],
            lineage=stored.get("lineage"),
            written_at=datetime.fromisoformat(stored["written_at"]),
            details=stored["details"],
        )

    def _point(
        self,
        dataset: str,
        row: type[Row],
        day: date,
        target: Path,
        details: Details | None,
        lineage: str | None,
    ) -> Partition:
        pointer = self._folder(dataset, day) / POINTER
        write_json(
            pointer,
            {
                "file": target.name,
                "rows": pq.read_metadata(target).num_rows,
                "bytes": target.stat().st_size,
                "contract": contract_version(row),
                "lineage": lineage,
                "written_at": datetime.now(UTC).isoformat(),
                "details": dict(details or {}),
            },
        )
        return self._read_pointer(pointer)


def select_rows(row: type[Row], partitions: Sequence[Partition]) -> str:
    """SQL that reads `partitions` of `row`, without the day; no rows where there are none.

    Partitions of earlier contracts read as today's.

    Raises:
        ContractViolation: one cannot be read so; the message names asset, day and column.
    """
    if not partitions:
        return f"SELECT {empty_columns(row)} WHERE false"
    current = contract_version(row)
    stored = (
        upcasts.Stored(partition.day, partition.path, partition.contract == current)
        for partition in partitions
    )
    return upcasts.select(row, list(stored))


def empty_columns(row: type[Row]) -> str:
    """The columns of `row` as typed nulls, for a SELECT list."""
    with duckdb.connect() as con:
        relation = con.from_arrow(arrow_schema(row).empty_table())
        described = zip(relation.columns, relation.types, strict=True)
        return ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in described)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
