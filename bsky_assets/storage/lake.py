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
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from bsky_assets.contracts import ASIDE, Quarantined, Row, arrow_schema, contract_version
from bsky_assets.contracts.codebooks import load_codebooks, rows_of
from bsky_assets.contracts.details import Details, details_version
from bsky_assets.contracts.lineage import ROWS, lineage_version
from bsky_assets.contracts.news import NEWS, VIEWS
from bsky_assets.contracts.stored import StoredRow, row_as_stored
from bsky_assets.contracts.survival import SURVIVAL
from bsky_assets.settings import Settings
from bsky_assets.storage import timezones, upcasts
from bsky_assets.storage.connection import in_memory
from bsky_assets.storage.damage import Damaged, damage_named
from bsky_assets.storage.files import StoredFile, unique_id, unusable
from bsky_assets.storage.objects import Bucket
from bsky_assets.storage.places import Folder, Place, StoredPath, batches, read_schema
from bsky_assets.storage.shape import ContractViolation, check
from bsky_assets.storage.sql import identifier, literal
from bsky_assets.sync_day import now

POINTER = "current.json"
GRACE = timedelta(hours=2)
"""How long a file that was replaced stays for whoever has an earlier catalogue open. The present
day is made again every hour by default, so that it keeps three files of each asset."""

ROW_GROUP_ROWS = 122_880
ROW_GROUP_BYTES = 16 * 2**20
"""What Arrow writes as a row group is of so many rows, or of so many bytes in memory."""
_PARQUET = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"

_POINTER_KEY = re.compile(rf"\w+(/\w+)*/sync_day=\d{{4}}-\d\d-\d\d/{POINTER}")
_log = logging.getLogger(__name__)

Told = TypeVar("Told", bound=Details)
DetailsLater = Callable[[], Details]
"""What is known only once the rows are written."""
Versions = Mapping[str, Mapping[str, str]]
"""Content versions of partitions: by asset, then by day as YYYY-MM-DD."""


@dataclass(frozen=True)
class Partition:
    """The current file of one dataset on one sync day."""

    dataset: str
    day: date
    path: StoredPath
    rows: int
    bytes: int
    contract: str
    """Version of the contract that it was written with."""
    lineage: str | None
    """Version of the lineage that it was made with; None where that was not recorded yet."""
    written_at: datetime
    details: Mapping[str, Any]
    """What its maker has to say of it, as it is stored; `told` reads it."""
    details_version: str | None
    """Version of the model that told it; None where that was not recorded yet."""
    version: str
    """Of its content: another one for rows that are made anew, and the same for what remains of
    them when deleted posts leave or when they are written under another contract."""
    made_from: Versions | None
    """What it was made from; None where it is made of what arrived, or was not recorded yet."""
    replaced: Mapping[str, datetime] = field(default_factory=dict)
    """The files that it took the place of and that are there still, and when each was replaced."""

    def told(self, model: type[Told]) -> Told:
        """What its maker says of it.

        Raises:
            Damaged: it was told in a way that `model` cannot read.
        """
        try:
            return model.model_validate(self.details)
        except ValidationError as error:
            (first, *_) = error.errors(include_url=False, include_input=False)
            at = ".".join(map(str, first["loc"]))
            reason = (
                f"its details, of version {self.details_version}, do not read as "
                f"{details_version(model)}: {at}: {first['msg']}"
            )
            raise Damaged(self.dataset, self.day, self.path, reason) from None

    def unnamed_since(self, name: str, modified: datetime) -> datetime:
        """Since when no pointer names the file `name` beside its own; the latest it can be."""
        return self.replaced.get(name) or max(self.written_at, modified)

    def has_its_length(self) -> bool:
        """Whether its file has the bytes that were written; object storage is not asked."""
        try:
            return isinstance(self.path, Path) and self.path.stat().st_size == self.bytes
        except OSError:
            return False

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Its rows in their order, at most `rows` at a time."""
        return batches(self.path, rows)


class _Origin(NamedTuple):
    """Where rows come from: what they were made with and of."""

    lineage: str | None
    made_from: Versions | None
    version: str | None
    """None for rows that are made anew."""
    details_version: str | None
    """Of the model that told the details before something was noted in them; None for new ones."""
    contract: str

    @classmethod
    def kept(cls, partition: Partition, row: type[Row]) -> "_Origin":
        """That of rows which are those of `partition` still, and are written as rows of `row`."""
        as_stored = issubclass(row, StoredRow)
        return cls(
            partition.lineage,
            partition.made_from,
            partition.version,
            partition.details_version,
            partition.contract if as_stored else contract_version(row),
        )

    @classmethod
    def new(cls, row: type[Row], made_from: Versions | None) -> "_Origin":
        """That of rows which are made now."""
        return cls(lineage_version(row), made_from, None, None, contract_version(row))


class _Written(NamedTuple):
    """A file of rows in its place, without a pointer yet."""

    name: str
    rows: int
    bytes: int


def rows_by_settings(settings: Settings) -> tuple[type[Row], ...]:
    """The contracts of the assets that are not in every lake: those of news and of an archive,
    where the settings name any, and those of codebooks."""
    news = (*NEWS, *(VIEWS if settings.news_views else ())) if settings.news_feeds else ()
    survival = SURVIVAL if settings.archive_url else ()
    return (*news, *survival, *rows_of(load_codebooks(settings.codebooks_dir)))


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
            dataset, _ = _place_of(key)
            name = dataset.partition("/")[0]
            if name in declared or name in done:
                continue
            try:
                yield _as_stored(self._partition(key, self.place.read(key)))
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
        origin = _Origin.kept(kept_from, row) if kept_from else _Origin.new(row, made_from)
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
        return self._point(dataset, day, written, details, _Origin.kept(partition, row))

    def _copy(
        self,
        con: duckdb.DuckDBPyConnection,
        dataset: str,
        row: type[Row],
        day: date,
        sql: str,
        verify: Callable[[Path], None] | None = None,
    ) -> _Written:
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
        schema = arrow_schema(row)
        reader = data.to_reader() if isinstance(data, pa.Table) else data
        key = _new_file(dataset, day)
        with self.place.staged(key) as path:
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                for group in _row_groups(reader):
                    writer.write_table(group.cast(schema), row_group_size=ROW_GROUP_ROWS)
            written = _written(key, path, pq.read_metadata(path))
        origin = _Origin.new(row, made_from)
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
        return self.place.path(f"{_folder(row.asset, day)}/{name}")

    def quarantine(self, source: str, day: date) -> Partition | None:
        """What was quarantined on the way into the asset `source` on `day`, if anything was."""
        return self._current(f"{Quarantined.asset}/{source}", day)

    def days(self, row: type[Row]) -> list[date]:
        """The days that have a partition of `row`, oldest first."""
        return sorted({_place_of(key)[1] for key in self._pointers(row.asset)})

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
        oldest = now() - grace
        # In this order, so that what is written meanwhile is not among the files.
        stored = list(self.place.stored())
        named = {_folder_of(found.path): found for found in self.pointed("")[0]}
        unnamed = [
            file
            for file in stored
            if (since := _leftover_since(file, named)) is not None and since <= oldest
        ]
        for file in unnamed:
            file.remove()
        return sum(file.bytes for file in unnamed)

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
        return [key for key in self.place.named(folder, POINTER) if _POINTER_KEY.fullmatch(key)]

    def _current(self, dataset: str, day: date) -> Partition | None:
        key = f"{_folder(dataset, day)}/{POINTER}"
        try:
            return self._partition(key, self.place.read(key))
        except FileNotFoundError:
            return None

    def _partition(self, key: str, pointer: bytes) -> Partition:
        dataset, day = _place_of(key)
        with damage_named(dataset, day, self.place.path(key)):
            return self._stored_partition(dataset, day, orjson.loads(pointer))

    def _stored_partition(self, dataset: str, day: date, stored: dict[str, Any]) -> Partition:
        return Partition(
            dataset=dataset,
            day=day,
            path=self.place.path(f"{_folder(dataset, day)}/{stored['file']}"),
            rows=stored["rows"],
            bytes=stored["bytes"],
            contract=stored["contract"],
            lineage=stored.get("lineage"),
            written_at=datetime.fromisoformat(stored["written_at"]),
            details=stored["details"],
            details_version=stored.get("details_version"),
            version=stored.get("version") or stored["file"].removesuffix(".parquet"),
            made_from=stored.get("made_from"),
            replaced={
                name: datetime.fromisoformat(at) for name, at in stored.get("replaced", {}).items()
            },
        )

    def _point(
        self,
        dataset: str,
        day: date,
        written: _Written,
        details: Details | DetailsLater | None,
        origin: _Origin,
    ) -> Partition:
        key = f"{_folder(dataset, day)}/{POINTER}"
        at, told = now(), _told(details)
        replaced = self._replaced(dataset, day, at)
        staying = {name: since for name, since in replaced.items() if since > at - GRACE}
        pointer = orjson.dumps(
            {
                "file": written.name,
                "rows": written.rows,
                "bytes": written.bytes,
                "contract": origin.contract,
                "lineage": origin.lineage,
                "version": origin.version,
                "made_from": origin.made_from,
                "written_at": at.isoformat(),
                "replaced": {name: since.isoformat() for name, since in staying.items()},
                "details_version": origin.details_version or details_version(type(told)),
                "details": told.stored(),
            },
            option=orjson.OPT_INDENT_2,
        )
        if self._timezone:
            timezones.keep(self.place, self._timezone)
        self.place.write(key, pointer)
        for name in replaced.keys() - staying.keys():
            self.place.remove(f"{_folder(dataset, day)}/{name}")
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


def _folder(dataset: str, day: date) -> str:
    return f"{dataset}/sync_day={day.isoformat()}"


def _place_of(key: str) -> tuple[str, date]:
    """The dataset and day of a pointer."""
    dataset, day, _ = key.rsplit("/", 2)
    return dataset, date.fromisoformat(day.removeprefix("sync_day="))


def _new_file(dataset: str, day: date) -> str:
    return f"{_folder(dataset, day)}/part-{unique_id()}.parquet"


def _is_of_reading(line: str, target: Path) -> bool:
    """Whether DuckDB says that a file is not there or is no Parquet."""
    missing = ("No such file", "No files found", "magic bytes", "too small to be a Parquet")
    return str(target) not in line and any(words in line for words in missing)


def _folder_of(path: StoredPath) -> str:
    return str(path).rpartition("/")[0]


def _leftover_since(file: StoredFile, named: Mapping[str, Partition]) -> datetime | None:
    """Since when `file` is of no use: half-written, or replaced by the one `named`; or None."""
    folder, _, name = str(file.path).rpartition("/")
    modified = datetime.fromtimestamp(file.modified, UTC)
    if name.startswith("."):
        return modified
    if folder not in named or name in (POINTER, named[folder].path.name):
        return None
    return named[folder].unnamed_since(name, modified)


def _written(key: str, path: Path, metadata: pq.FileMetaData) -> _Written:
    return _Written(key.rpartition("/")[2], metadata.num_rows, path.stat().st_size)


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """`batch` in parts that are no larger than a row group, where its rows are about of a size."""
    fitting = max(1, batch.num_rows * ROW_GROUP_BYTES // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, fitting):
        yield batch.slice(start, fitting)


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together as long as they fit: small row groups cost writer and readers."""
    group: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in chain.from_iterable(map(_parts, batches)):
        if group and (
            rows + batch.num_rows > ROW_GROUP_ROWS or size + batch.nbytes > ROW_GROUP_BYTES
        ):
            yield pa.Table.from_batches(group)
            group, rows, size = [], 0, 0
        group.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
    if group:
        yield pa.Table.from_batches(group)


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


def contract_in(row: type[Row], partition: Partition) -> type[Row]:
    """`row`, or where `partition` cannot be read so, what its file has for columns.

    Raises:
        Damaged: it cannot be read at all.
    """
    try:
        select_rows(row, [partition])
    except ContractViolation:
        return _as_stored(partition)
    return row


def _as_stored(partition: Partition) -> type[Row]:
    with damage_named(partition.dataset, partition.day, partition.path):
        return row_as_stored(partition.dataset, read_schema(partition.path))


def select_days(row: type[Row], partitions: Sequence[Partition]) -> str:
    """SQL for the same with a DATE column `sync_day` first."""
    if not partitions:
        return f"SELECT CAST(NULL AS DATE) AS sync_day, {empty_columns(row)} WHERE false"
    return " UNION ALL ".join(
        f"SELECT DATE {literal(partition.day)} AS sync_day, * "
        f"FROM ({select_rows(row, [partition])})"
        for partition in partitions
    )


@cache
def empty_columns(row: type[Row]) -> str:
    """The columns of `row` as typed nulls, for a SELECT list."""
    with in_memory() as con:
        relation = con.from_arrow(arrow_schema(row).empty_table())
        described = zip(relation.columns, relation.types, strict=True)
        return ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in described)
