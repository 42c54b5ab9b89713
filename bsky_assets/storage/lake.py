"""The lake: one immutable Parquet file for each asset and sync day, and a pointer that names it.

A partition is written under a name that no reader looks for, put in its place whole, and only
then named by its pointer, so that readers have the old partition or the new one, whatever is
killed when. Of two writers of the same partition the last to put the pointer wins. A pointer
also says which files it replaced, and when: after a grace period whoever replaces the next one
removes them, or `vacuum` does.
What does not belong here: what the rows mean, where files are kept (`places`), and the catalogue
that people query.
"""

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bsky_assets.contracts import ASIDE, Quarantined, Row, arrow_schema
from bsky_assets.contracts.details import Details
from bsky_assets.contracts.lineage import ROWS
from bsky_assets.settings import Settings
from bsky_assets.storage import timezones
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.files import unique_id, unusable
from bsky_assets.storage.leftovers import leftovers
from bsky_assets.storage.objects import Bucket
from bsky_assets.storage.partition import Origin, Partition, Versions
from bsky_assets.storage.partition_sql import contract_as_stored, select_rows
from bsky_assets.storage.places import Folder, Place, StoredPath
from bsky_assets.storage.pointers import (
    POINTER,
    Written,
    dataset_and_day,
    folder_key,
    is_pointer,
    pointer_key,
    pointer_to,
    read_pointer,
)
from bsky_assets.storage.row_groups import ROW_GROUP_ROWS, write_rows
from bsky_assets.storage.shape import check
from bsky_assets.storage.sql import literal
from bsky_assets.storage.tables import rows_by_settings
from bsky_assets.sync_day import now

GRACE = timedelta(hours=2)
"""How long a file that was replaced stays for whoever has an earlier catalogue open. The present
day is made again every hour by default, so that it keeps three files of each asset."""

_PARQUET = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"

_log = logging.getLogger(__name__)

DetailsLater = Callable[[], Details]
"""What is known only once the rows are written."""


class Lake:
    """All partitions in one place."""

    def __init__(
        self,
        place: Place | Path,
        timezone: str | None = None,
        more: Sequence[type[Row]] = (),
    ) -> None:
        """Look at the lake in `place`; nothing is created before the first write.

        `more` are the contracts of its tables that are not in every lake: news, and codebooks.

        Raises:
            OtherTimezone: its sync days are not of `timezone`.
        """
        self.place: Place = Folder(place) if isinstance(place, Path) else place
        self._timezone = timezone
        self.rows: tuple[type[Row], ...] = (*ROWS, *more)
        """The contracts of its assets, in the order of the lineage."""
        if timezone:
            timezones.check(self.place, timezone)

    @classmethod
    def of(cls, settings: Settings) -> "Lake":
        """The lake of the settings: their folder, or their bucket.

        Raises:
            OtherTimezone: its sync days are of another timezone than the settings say.
        """
        timezone = settings.sync_timezone
        more = rows_by_settings(settings)
        if settings.lake_bucket is None:
            return cls(settings.lake_dir, timezone, more)
        endpoint, work = settings.lake_endpoint_url, settings.data_dir / "lake-work"
        return cls(Bucket(settings.lake_bucket, endpoint, work), timezone, more)

    @property
    def tables(self) -> tuple[type[Row], ...]:
        """The contracts of all that it holds: `rows`, what could not be read, and what is stored
        though nothing declares it any more."""
        declared = (*self.rows, *ASIDE)
        return (*declared, *self._undeclared({row.asset for row in declared}))

    def _undeclared(self, declared: Container[str]) -> Iterator[type[Row]]:
        """The contracts of further tables: of each that of its last day that can be read."""
        done: set[str] = set()
        for key in sorted(self._pointers(""), reverse=True):
            dataset, _ = dataset_and_day(key)
            name = dataset.partition("/")[0]
            if name in declared or name in done:
                continue
            try:
                yield contract_as_stored(self._partition(key, self.place.read(key)))
                done.add(name)
            except (Damaged, FileNotFoundError) as problem:
                _log.warning("%s", problem)

    @property
    def timezone(self) -> str | None:
        """The timezone of its sync days; before it keeps one, that of the settings."""
        return timezones.stored(self.place) or self._timezone

    @property
    def root(self) -> Path:
        """The local folder of its locks and scratch files: its own, if it is in a folder."""
        return self.place.work

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        """Let `con` read what `select_rows` selects; whatever is given `con` here does so too."""
        self.place.attach(con)

    def write(
        self,
        row: type[Row],
        day: date,
        data: pa.Table | pa.RecordBatchReader,
        details: Details | DetailsLater | None = None,
        *,
        made_from: Versions | None = None,
    ) -> Partition:
        """Make `data` the partition of `row` on `day`; `made_from` is what it was made of.

        Raises:
            ContractViolation: the columns are not those of the contract; nothing is changed.
            UnusableDataDirectory: the folder cannot be written to.
        """
        return self._write_arrow(row.asset, row, day, data, details, made_from)

    def write_quarantine(
        self, source: str, day: date, data: pa.Table | pa.RecordBatchReader
    ) -> Partition:
        """Make `data` (rows of `Quarantined`) the quarantine of the asset `source` on `day`."""
        return self._write_arrow(f"{Quarantined.asset}/{source}", Quarantined, day, data, None)

    def write_query(
        self,
        con: duckdb.DuckDBPyConnection,
        row: type[Row],
        day: date,
        sql: str,
        details: Details | DetailsLater | None = None,
        *,
        made_from: Versions | None = None,
        kept_from: Partition | None = None,
    ) -> Partition:
        """Make the result of `sql` the partition of `row` on `day`, written by DuckDB itself.

        Rows that are not made anew but kept from a partition keep its version, and those of its
        lineage and of what it was made from: nothing that was made of it is out of date.

        Raises:
            ContractViolation: the columns are not those of the contract; nothing is changed.
            UnusableDataDirectory: the folder cannot be written to.
        """
        written = self._copy(con, row.asset, row, day, sql)
        origin = Origin.kept(kept_from, row) if kept_from else Origin.new(row, made_from)
        return self._point(row.asset, day, written, details, origin)

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
        sql, dataset, day = select_rows(row, [partition]), partition.dataset, partition.day
        written = self._copy(con, dataset, row, day, sql, verify)
        return self._point(dataset, day, written, details, Origin.kept(partition, row))

    def _copy(
        self,
        con: duckdb.DuckDBPyConnection,
        dataset: str,
        row: type[Row],
        day: date,
        sql: str,
        verify: Callable[[Path], None] | None = None,
    ) -> Written:
        self.attach(con)
        key = _new_file(dataset, day)
        with self.place.staged(key) as path:
            try:
                con.execute(f"COPY ({sql}) TO {literal(path)} ({_PARQUET})")
            except duckdb.IOException as error:
                line = str(error).splitlines()[0]
                if _is_of_reading(line, path):
                    raise Damaged(dataset, day, "what it is made from", line) from error
                raise unusable(path.parent, OSError(line)) from error
            metadata = pq.read_metadata(path)
            check(row, day, metadata.schema.to_arrow_schema())
            if verify:
                verify(path)
            return _written(key, path, metadata)

    def _write_arrow(
        self,
        dataset: str,
        row: type[Row],
        day: date,
        data: pa.Table | pa.RecordBatchReader,
        details: Details | DetailsLater | None,
        made_from: Versions | None = None,
    ) -> Partition:
        check(row, day, data.schema)
        key = _new_file(dataset, day)
        with self.place.staged(key) as path:
            write_rows(path, arrow_schema(row), data)
            written = _written(key, path, pq.read_metadata(path))
        origin = Origin.new(row, made_from)
        return self._point(dataset, day, written, details, origin)

    def current(self, row: type[Row], day: date) -> Partition | None:
        """The partition of `row` on `day`, if there is one."""
        return self._current(row.asset, day)

    def whole(self, row: type[Row], day: date) -> Partition | Damaged | None:
        """The partition of `row` on `day`, if there is one, or what is wrong with it."""
        try:
            if found := self.current(row, day):
                select_rows(row, [found])
        except Damaged as problem:
            return problem
        return found

    def glance(self, row: type[Row], day: date) -> Partition | Damaged | None:
        """The same for a look at many days: a file of the length that it had is not opened."""
        try:
            found = self.current(row, day)
        except Damaged as problem:
            return problem
        if found and not found.has_its_length():
            return self.whole(row, day)
        return found

    def file(self, row: type[Row], day: date, name: str) -> StoredPath:
        """Where the file `name` of `row` on `day` is, whether it is the current one or was."""
        return self.place.path(f"{folder_key(row.asset, day)}/{name}")

    def quarantine(self, source: str, day: date) -> Partition | None:
        """What was quarantined on the way into the asset `source` on `day`, if anything was."""
        return self._current(f"{Quarantined.asset}/{source}", day)

    def days(self, row: type[Row]) -> list[date]:
        """The days that have a partition of `row`, oldest first."""
        return sorted({dataset_and_day(key)[1] for key in self._pointers(row.asset)})

    def partitions(self, row: type[Row]) -> list[Partition]:
        """Every current partition of `row`, oldest first; damaged pointers are passed over."""
        found, _ = self.pointed(row.asset)
        return sorted(found, key=lambda partition: (partition.day, partition.dataset))

    def relation(
        self,
        con: duckdb.DuckDBPyConnection,
        row: type[Row],
        days: Sequence[date],
        *,
        passing_over: Container[date] = (),
    ) -> duckdb.DuckDBPyRelation:
        """The rows of `row` on `days`; no rows, but every column, where there is no partition.

        Of the days `passing_over`, a damaged one is told in the log and has no rows.

        Raises:
            Damaged: a partition of another day cannot be read.
        """
        self.attach(con)
        return con.sql(select_rows(row, self.stored_on(row, days, passing_over)))

    def stored_on(
        self, row: type[Row], days: Iterable[date], passing_over: Container[date] = ()
    ) -> list[Partition]:
        """The partitions of `row` on `days`, as `relation` reads them.

        Raises:
            Damaged: a partition of a day that is not passed over cannot be read.
        """
        partitions: list[Partition] = []
        for day in days:
            try:
                if found := self.current(row, day):
                    select_rows(row, [found])
                    partitions.append(found)
            except Damaged as problem:
                if day not in passing_over:
                    raise
                _log.warning("%s", problem)
        return partitions

    def vacuum(self, grace: timedelta = GRACE) -> int:
        """Remove files that no pointer has named for `grace`; returns the bytes freed.

        Where the pointer is missing or damaged nothing is removed: it may name any of them.
        """
        # In this order, so that what is written meanwhile is not among the files.
        stored = list(self.place.stored())
        left = leftovers(stored, self.pointed("")[0], now() - grace)
        for file in left:
            file.remove()
        return sum(file.bytes for file in left)

    def pointed(self, folder: str) -> tuple[list[Partition], list[Damaged]]:
        """The current partitions below `folder`, and what is wrong with pointers that are no use.

        Whether the files that they name can be read is not looked at.
        """
        keys = self._pointers(folder)
        found: list[Partition] = []
        problems: list[Damaged] = []
        for key, content in zip(keys, self.place.read_all(keys), strict=True):
            try:
                found.append(self._partition(key, content))
            except Damaged as problem:
                problems.append(problem)
        return found, problems

    def _pointers(self, folder: str) -> list[str]:
        """The keys of the pointers below `folder`; copies that a person made are none."""
        return [key for key in self.place.named(folder, POINTER) if is_pointer(key)]

    def _current(self, dataset: str, day: date) -> Partition | None:
        key = pointer_key(dataset, day)
        try:
            return self._partition(key, self.place.read(key))
        except FileNotFoundError:
            return None

    def _partition(self, key: str, pointer: bytes) -> Partition:
        return read_pointer(self.place, key, pointer)

    def _point(
        self,
        dataset: str,
        day: date,
        written: Written,
        details: Details | DetailsLater | None,
        origin: Origin,
    ) -> Partition:
        key = pointer_key(dataset, day)
        at, told = now(), _told(details)
        replaced = self._replaced(dataset, day, at)
        staying = {name: since for name, since in replaced.items() if since > at - GRACE}
        pointer = pointer_to(written, origin, told, at, staying)
        if self._timezone:
            timezones.keep(self.place, self._timezone)
        self.place.write(key, pointer)
        for name in replaced.keys() - staying.keys():
            self.place.remove(f"{folder_key(dataset, day)}/{name}")
        return self._partition(key, pointer)

    def _replaced(self, dataset: str, day: date, at: datetime) -> dict[str, datetime]:
        """The files of before that are there still, with the one that is replaced `at` now."""
        try:
            before = self._current(dataset, day)
        except Damaged:  # `vacuum` knows since when nothing names what is there
            before = None
        return {**before.replaced, before.path.name: at} if before else {}


def _told(details: Details | DetailsLater | None) -> Details:
    return Details.model_validate(details() if callable(details) else details or {})


def _new_file(dataset: str, day: date) -> str:
    return f"{folder_key(dataset, day)}/part-{unique_id()}.parquet"


def _is_of_reading(line: str, target: Path) -> bool:
    """Whether DuckDB says that a file is not there or is no Parquet."""
    missing = ("No such file", "No files found", "magic bytes", "too small to be a Parquet")
    return str(target) not in line and any(words in line for words in missing)


def _written(key: str, path: Path, metadata: pq.FileMetaData) -> Written:
    return Written(key.rpartition("/")[2], metadata.num_rows, path.stat().st_size)
