"""Segments: what a stretch of a stream brought, each one file that is whole or not there.

A segment holds the rows of every kind and, in its footer, what the stretch was: from where to
where, how many events, where something is missing and why. Where a stream goes on is read off
the last segment and is stored nowhere else, so data and cursor cannot disagree.
What does not belong here: connections, and what becomes of segments.

Files: `<root>/<stream>/sync_day=YYYY-MM-DD/<number>.parquet`, numbers rising within a stream. They
are a series, with an identity that its first segment brings: where all have gone, as when a
backup without them is restored, numbers begin anew, and so does the series.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from bsky_assets.contracts import STREAMED, Row, arrow_schema
from bsky_assets.contracts.arrival import ARCHIVE
from bsky_assets.errors import UserError
from bsky_assets.storage import timezones
from bsky_assets.storage.archived import Archived
from bsky_assets.storage.damage import is_damage
from bsky_assets.storage.files import make_folder, staged, sync, unfinished, unique_id, unusable
from bsky_assets.storage.healing import AccountHealing, Healing
from bsky_assets.storage.places import Folder
from bsky_assets.storage.stretches import Gap, Jump, Reconnect, Strays, Stretch

GROUP_BYTES = 16 * 2**20
"""About as many bytes of rows are read at a time, whatever a segment holds."""
_DAY = re.compile(r"sync_day=\d{4}-\d\d-\d\d$")
_SEGMENT = re.compile(r"\d{10}\.parquet$")

FOOTER_KEY = b"bsky_assets.segment"
COLUMN_OF: Mapping[type[Row], str] = {row: arrival.column for row, arrival in STREAMED.items()}
"""The struct column that holds the rows of each contract; the others are null in that row."""


def _nullable(kind: pa.DataType) -> pa.DataType:
    """`kind` with everything in it nullable, as it must be where a row is of another contract."""
    if pa.types.is_struct(kind):
        return pa.struct([(part.name, _nullable(part.type)) for part in kind])
    if pa.types.is_list(kind):
        return pa.list_(_nullable(kind.value_type))
    return kind


SCHEMA = pa.schema(
    [(column, _nullable(pa.struct(list(arrow_schema(row))))) for row, column in COLUMN_OF.items()]
)
_FEW_VALUES = frozenset(
    (
        *("kind", "media_kind", "mime_type", "langs", "labels", "width", "height", "py_type"),
        *("synctimestamp", "source_feed", "url", "relay", "action", "dated_by", "unknown_fields"),
        *("status", "source", "origin", "reason", "detail", "src", "val"),
    )
)
"""Columns whose values are repeated; of others a dictionary costs time and saves nothing."""


def _paths(name: str, kind: pa.DataType) -> Iterator[tuple[str, str]]:
    """The columns of a file that `kind` is stored in: by their own names, and by their paths."""
    if pa.types.is_struct(kind):
        for part in kind:
            yield from ((own, f"{name}.{path}") for own, path in _paths(part.name, part.type))
    elif pa.types.is_list(kind):
        for own, path in _paths("element", kind.value_type):
            yield (name if own == "element" else own), f"{name}.list.{path}"
    else:
        yield name, name


_DICTIONARY = [
    path
    for column in SCHEMA
    for name, path in _paths(column.name, column.type)
    if name in _FEW_VALUES
]
"""The columns of a file that are stored with a dictionary."""


class StreamInUse(UserError):
    """Another process is collecting this stream into this data directory."""


@dataclass(frozen=True)
class Footer:
    """What a segment says of itself. Times are ISO 8601 in UTC."""

    stream: str
    host: str
    follows: int | None
    """The event that it goes on from; null where it began with the live stream."""
    cursor: int | None
    """Its own last event."""
    cursor_time: str | None
    """The time of that event, as the host wrote it, by which it is known when it comes again."""
    received_from: str
    received_to: str
    place: str | None = None
    """About where in the host's time it ends."""
    passing_until: str | None = None
    """Events were passed over, as we have had them, and still are up to this time of the host."""
    cursors: dict[str, int] = field(default_factory=dict)
    """The last event of every host that this stream was ever read from."""
    stretches: list[Stretch] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    reconnects: list[Reconnect] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    """Events by kind."""
    late: list[int] = field(default_factory=list)
    """Numbers in gaps that earlier segments tell of, whose events are in this one."""
    is_counted: bool = True
    """Whether the host numbers its events without holes."""
    strays: list[Strays] = field(default_factory=list)
    jumps: list[Jump] = field(default_factory=list)
    """The first of them."""
    jump_count: int = 0
    commits_followed: int = 0
    """Commits that could be compared with the last revision that had come of their repository."""
    repeated: int = 0
    """Events that the host sent again."""
    events_per_minute: dict[str, int] = field(default_factory=dict)
    largest_lag_seconds: float | None = None
    rows: dict[str, int] = field(default_factory=dict)
    """Rows by column of `COLUMN_OF`."""
    quarantined: dict[str, int] = field(default_factory=dict)
    """Rows in quarantine by reason."""
    series: str = ""
    """The series that it is of; empty where segments had none yet."""
    archive: Archived | None = None
    """In the last segment of what was fetched of an archive for a day."""
    healing: list[Healing] = field(default_factory=list)
    """Gaps of the day that an archive was asked about."""
    account_healing: list[AccountHealing] = field(default_factory=list)
    """Jumps of accounts on the day that were asked about."""
    kept_to: int | None = None
    """To how many accounts it was kept; null where everybody's rows are in it."""
    reader_version: str = ""
    """The version of the code that made its rows; empty where segments did not say yet."""

    def to_json(self) -> bytes:
        """The footer as it is stored."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> "Footer":
        """The footer that was stored."""
        return _FOOTER.validate_json(text)


_FOOTER = TypeAdapter(Footer)


@dataclass(frozen=True, order=True)
class Segment:
    """One committed segment."""

    number: int
    path: Path

    @property
    def day(self) -> date:
        """The sync day on which all of it was received."""
        return date.fromisoformat(self.path.parent.name.removeprefix("sync_day="))

    def footer(self) -> Footer:
        """What it says of itself."""
        return Footer.from_json(pq.read_metadata(self.path).metadata[FOOTER_KEY])

    def footer_if_readable(self) -> Footer | None:
        """What it says of itself; None where it is damaged."""
        try:
            return self.footer()
        except Exception as error:
            if is_damage(error):
                return None
            raise

    def read(self, row: type[Row], footer: Footer) -> pa.Table:
        """Its rows of `row`, with the columns of the contract that it was written under."""
        column = COLUMN_OF[row]
        with pq.ParquetFile(self.path) as file:
            groups = [
                file.read_row_group(group, columns=[column])[column].combine_chunks()
                for group in _groups(footer, file.metadata)[column]
            ]
        return pa.concat_tables(map(pa.Table.from_struct_array, groups))

    def groups(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Its row groups, one after the other, with `columns` or every one as it was written."""
        with pq.ParquetFile(self.path) as file:
            for at in range(file.num_row_groups):
                yield file.read_row_group(at, columns=columns)

    def replace(
        self, groups: Iterable[pa.Table], folder: Path, footer: bytes | None = None
    ) -> None:
        """Put `groups` in the place of its own; its time stays.

        What it says of itself stays, too, unless `footer` says it anew.

        `folder` is where it is written first, see `Segments.replacing`.

        Raises:
            UnusableDataDirectory: it cannot be written.
        """
        footer = footer or pq.read_metadata(self.path).metadata[FOOTER_KEY]
        schema, status = pq.read_schema(self.path).remove_metadata(), self.path.stat()
        with staged(self.path, folder) as path:
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                writer.add_key_value_metadata({FOOTER_KEY: footer})
                for group in groups:
                    writer.write_table(group, row_group_size=max(1, group.num_rows))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _groups(footer: Footer, metadata: pq.FileMetaData) -> dict[str, list[int]]:
    """The row groups of each column's rows, which stand in the order of the footer's counts."""
    found: dict[str, list[int]] = {}
    at = 0
    for column, count in footer.rows.items():
        found[column] = []
        while count > 0:
            count -= metadata.row_group(at).num_rows
            found[column].append(at)
            at += 1
    return found


@dataclass(frozen=True)
class Mark:
    """Up to which segment something was taken in."""

    number: int
    series: str = ""
    received_to: str | None = None
    """Of that segment, by which it is known."""


class Segments:
    """The segments of one stream."""

    def __init__(self, root: Path, stream: str, timezone: str | None = None) -> None:
        """Look at the segments of `stream` below `root`; nothing is created before the first.

        Whoever collects makes sure that their sync days are of `timezone`.
        """
        self.folder = root / stream
        self.stream = stream
        self._timezone = timezone

    def seen_once(self) -> "Segments":
        """The same, of which each folder is read once: for a look at many days."""
        return _SeenOnce(self.folder.parent, self.stream, self._timezone)

    @contextmanager
    def collecting(self) -> Iterator["SegmentWriter"]:
        """Be the only process that writes segments of this stream; clear away half-written ones.

        The lock is the operating system's: a process that died does not hold it.

        Raises:
            StreamInUse: another process is at it.
            OtherTimezone: the segments that are there have sync days of another.
            UnusableDataDirectory: the folder cannot be written to.
        """
        if self._timezone:
            timezones.keep(Folder(self.folder.parent), self._timezone)
        lock = FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except Timeout:
            raise StreamInUse(
                f"another process is collecting the {self.stream} stream into "
                f"{self.folder.parent.parent}; stop it, or set BSKY_DATA_DIR to another folder"
            ) from None
        except OSError as error:
            raise unusable(self.folder, error) from error
        try:
            for leftover in self.folder.glob("sync_day=*/.*"):
                leftover.unlink()
            yield SegmentWriter(self)
        finally:
            lock.release()

    @contextmanager
    def replacing(self) -> Iterator[Path]:
        """Be the only process that replaces segments; gives the folder to write into first.

        A collector that begins meanwhile clears away what is half-written, and looks nowhere else
        than in the days: so it is not there.

        Raises:
            UnusableDataDirectory: the folder cannot be written to.
        """
        folder = self.folder / ".replacing"
        make_folder(folder)
        with FileLock(self.folder / ".replacing.lock"):
            for leftover in folder.iterdir():
                leftover.unlink()
            yield folder

    def is_being_collected(self) -> bool:
        """Whether some process is collecting this stream now."""
        if not self.folder.is_dir():
            return False
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return True
        lock.release()
        return False

    def beside(self, stream: str) -> "Segments":
        """The segments of another stream in the same place."""
        return Segments(self.folder.parent, stream, self._timezone)

    def days(self) -> list[date]:
        """The sync days that have segments, oldest first."""
        folders = (folder for folder in self.folder.glob("sync_day=*") if _DAY.match(folder.name))
        return sorted(
            date.fromisoformat(folder.name.removeprefix("sync_day="))
            for folder in folders
            if any(map(_is_segment, folder.glob("*.parquet")))
        )

    def of_day(self, day: date) -> list[Segment]:
        """The committed segments of `day`, in order.

        Files of other names, such as copies that a person made, are none.
        """
        found = filter(_is_segment, self.folder_of(day).glob("*.parquet"))
        return sorted(Segment(int(path.stem), path) for path in found)

    def last(self) -> Segment | None:
        """The segment committed last."""
        return max((found for day in self.days() for found in self.of_day(day)), default=None)

    def last_footer(self) -> Footer | None:
        """What the last segment says of itself; one that cannot be read is passed over."""
        for day in reversed(self.days()):
            for segment in reversed(self.of_day(day)):
                if footer := segment.footer_if_readable():
                    return footer
        return None

    def after(self, day: date, mark: Mark | None) -> list[Segment]:
        """The segments of `day` that whoever left `mark` has not taken in.

        A mark of another series is not believed, nor one of a segment that has not been committed
        since, as where older segments were put back.
        """
        segments = self.of_day(day)
        if mark is None or not segments or not self._is_believed(mark):
            return segments
        at_mark = next((found for found in segments if found.number == mark.number), None)
        footer = at_mark.footer_if_readable() if at_mark else None
        if footer and mark.received_to not in (None, footer.received_to):
            return segments
        return [found for found in segments if found.number > mark.number]

    def _is_believed(self, mark: Mark) -> bool:
        last, footer = self.last(), self.last_footer()
        if last is None or footer is None:
            return True
        return footer.series == mark.series and mark.number <= last.number

    def folder_of(self, day: date) -> Path:
        """Where the segments of `day` are."""
        return self.folder / f"sync_day={day.isoformat()}"


class _SeenOnce(Segments):
    """The segments of a stream as they were when they were first asked for."""

    def __init__(self, root: Path, stream: str, timezone: str | None = None) -> None:
        super().__init__(root, stream, timezone)
        self._of_day: dict[date, list[Segment]] = {}

    @cached_property
    def _days(self) -> list[date]:
        return super().days()

    def days(self) -> list[date]:
        return list(self._days)

    def of_day(self, day: date) -> list[Segment]:
        if day not in self._of_day:
            self._of_day[day] = super().of_day(day)
        return list(self._of_day[day])

    @cached_property
    def _last(self) -> tuple[Segment | None, Footer | None]:
        return super().last(), super().last_footer()

    def last(self) -> Segment | None:
        return self._last[0]

    def last_footer(self) -> Footer | None:
        return self._last[1]


class SegmentWriter:
    """Commits segments of one stream, one after the other."""

    def __init__(self, segments: Segments) -> None:
        self.segments = segments
        self.last = segments.last()
        self.resumed = segments.last_footer()
        """What the last segment that can be read says of itself."""
        self._series = self.resumed.series if self.resumed else unique_id()

    def write(self, day: date, tables: Mapping[type[Row], pa.Table], footer: Footer) -> Segment:
        """Commit a segment.

        Raises:
            UnusableDataDirectory: the folder cannot be written to, or the disk is full.
        """
        number = self.last.number + 1 if self.last else 1
        target = self.segments.folder_of(day) / f"{number:010d}.parquet"
        temporary = unfinished(target)
        try:
            target.parent.mkdir(exist_ok=True)
            _write(temporary, tables, replace(footer, series=self._series))
            sync(temporary)
            os.link(temporary, target)
            sync(target.parent)
        except OSError as error:
            raise unusable(target.parent, error) from error
        finally:
            if temporary.exists():
                temporary.unlink()
        self.last = Segment(number, target)
        return self.last


def _is_segment(path: Path) -> bool:
    return _SEGMENT.match(path.name) is not None


def _write(path: Path, tables: Mapping[type[Row], pa.Table], footer: Footer) -> None:
    """Each contract's rows are row groups of their own, in the order of the footer's counts."""
    # Of an archive it is taken in at once, and then goes.
    compression = "lz4" if footer.stream == ARCHIVE else "zstd"
    with pq.ParquetWriter(
        path, SCHEMA, compression=compression, use_dictionary=_DICTIONARY, write_statistics=False
    ) as writer:
        writer.add_key_value_metadata({FOOTER_KEY: footer.to_json()})
        for row, table in tables.items():
            if table.num_rows:
                fitting = max(1, table.num_rows * GROUP_BYTES // max(1, table.nbytes))
                writer.write_table(_widened(row, table), row_group_size=fitting)


def _widened(row: type[Row], table: pa.Table) -> pa.Table:
    """`table` as the struct column of its contract, all other columns null."""
    struct = SCHEMA.field(COLUMN_OF[row]).type
    rows = table.cast(pa.schema(list(struct))).to_struct_array()
    return pa.Table.from_arrays(
        [
            rows if column.name == COLUMN_OF[row] else pa.nulls(table.num_rows, column.type)
            for column in SCHEMA
        ],
        schema=SCHEMA,
    )
