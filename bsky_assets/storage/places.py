"""Where the lake's files are kept, and how one is opened for reading.

A place is a folder (`Folder`) or a bucket of object storage (`objects.Bucket`). Both put a file
there whole or not at all, and name it by a key: its path below the place, with slashes.
What does not belong here: what the files are, which the lake knows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bsky_assets.storage.files import StoredFile, file_of, folder_of, staged
from bsky_assets.storage.objects import ObjectPath, in_parallel

StoredPath = Path | ObjectPath
"""Where a file is; as text it is what DuckDB reads it by."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Place(Protocol):
    """Where files are kept."""

    @property
    def work(self) -> Path:
        """A local folder for locks, and for what is not finished."""

    def path(self, key: str) -> StoredPath:
        """Where the file `key` is."""

    def read(self, key: str) -> bytes:
        """What it holds now.

        Raises:
            FileNotFoundError: there is no such file.
        """

    def read_all(self, keys: Iterable[str]) -> list[bytes]:
        """What each of `keys` holds now."""

    def write(self, key: str, content: bytes) -> None:
        """Put `content` there, in the place of what is there, in one step."""

    def remove(self, key: str) -> None:
        """Remove the file `key`, if it is there."""

    def staged(self, key: str) -> AbstractContextManager[Path]:
        """A local path to write to; on success its content is put at `key`, in one step."""

    def named(self, folder: str, name: str) -> list[str]:
        """The keys of the files called `name` in the folders of days anywhere below `folder`."""

    def stored(self) -> Iterator[StoredFile]:
        """Every file in the folders of days, and what killed processes left half-way."""

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        """Let `con` read the files by their paths."""


@dataclass(frozen=True)
class Folder:
    """A folder, on a local disk or a shared one; nothing is created before the first write."""

    root: Path

    @property
    def work(self) -> Path:
        """The folder itself: whoever shares it must see the locks too."""
        return self.root

    def path(self, key: str) -> Path:
        """Where the file `key` is."""
        return self.root / key

    def read(self, key: str) -> bytes:
        """What it holds now."""
        return self.path(key).read_bytes()

    def read_all(self, keys: Iterable[str]) -> list[bytes]:
        """What each of `keys` holds now."""
        return [self.read(key) for key in keys]

    def write(self, key: str, content: bytes) -> None:
        """Put `content` there."""
        with self.staged(key) as path:
            path.write_bytes(content)

    def remove(self, key: str) -> None:
        """Remove the file `key`, if it is there."""
        self.path(key).unlink(missing_ok=True)

    def staged(self, key: str) -> AbstractContextManager[Path]:
        """A path beside the file's, to write to."""
        return staged(self.path(key))

    def named(self, folder: str, name: str) -> list[str]:
        """The keys of the files called `name` below `folder`."""
        found = (self.root / folder).glob(f"**/sync_day=*/{name}")
        return [path.relative_to(self.root).as_posix() for path in found]

    def stored(self) -> Iterator[StoredFile]:
        """Every file in the folders of days, and the scratch folders, each as one."""
        yield from map(file_of, self.root.glob("**/sync_day=*/*"))
        yield from (folder_of(path) for path in self.root.glob("**/.*-*") if path.is_dir())

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        """DuckDB reads local files by itself."""


def read_schema(path: StoredPath) -> pa.Schema:
    """The columns of a Parquet file."""
    return pq.read_schema(_readable(path))


def batches(path: StoredPath, rows: int) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file in their order, at most `rows` at a time."""
    if isinstance(path, Path):
        # With a buffer ahead, Arrow would keep all that was read until the end of the file.
        yield from pq.ParquetFile(path, pre_buffer=False).iter_batches(rows)
        return
    # Of a row group all columns are fetched together, and of the next none before its turn.
    file = pq.ParquetFile(path.open(), pre_buffer=True)
    for group in range(file.num_row_groups):
        yield from file.iter_batches(rows, row_groups=[group])


def mapped(
    function: Callable[[_Item], _Result], items: Sequence[_Item], paths: Sequence[StoredPath]
) -> list[_Result]:
    """What `function` gives for each of `items`; together where their `paths` are far away."""
    if all(isinstance(path, Path) for path in paths):
        return list(map(function, items))
    found: list[_Result] = in_parallel(function, items)
    return found


def _readable(path: StoredPath) -> Path | pa.NativeFile:
    return path if isinstance(path, Path) else path.open()
