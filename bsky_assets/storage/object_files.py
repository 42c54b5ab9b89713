"""The files of a bucket as DuckDB reads them, through fsspec's interface.

DuckDB has several threads share one handle, and seeks and reads in two steps, so that a handle
with one position gives one thread the bytes of another. Here each thread has its own.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]  # has no types

_UNCHANGED = datetime(2020, 1, 1, tzinfo=UTC)
"""Files of partitions never change, so that what DuckDB remembers of one stays true."""


class ObjectFiles(AbstractFileSystem):  # type: ignore[misc]  # its base has no types
    """Only what DuckDB asks for; every path is one whole URL."""

    cachable = False

    def __init__(self, scheme: str, open_url: Callable[[str], pa.NativeFile]) -> None:
        """Show the files of URLs with `scheme` that `open_url` opens."""
        super().__init__()
        self.protocol = scheme
        self._file = open_url

    def open(self, path: str, mode: str = "rb", **_: Any) -> "_Handle":
        """A handle for any number of threads.

        Raises:
            PermissionError: it is to be written to; partitions are staged locally.
        """
        if mode != "rb":
            raise PermissionError(f"{path} can be read here, and not written")
        return _Handle(self._file(path))

    def glob(self, path: str, **_: Any) -> list[str]:
        """The path itself: partitions are named one by one."""
        return [path]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self._file(path).size(), "type": "file"}

    def modified(self, path: str) -> datetime:
        """The same instant for every file."""
        return _UNCHANGED


class _Handle:
    """A file with a position for each thread."""

    def __init__(self, file: pa.NativeFile) -> None:
        self._file = file
        self._thread = threading.local()

    def seek(self, position: int) -> int:
        """Where this thread reads next."""
        self._thread.position = position
        return position

    def tell(self) -> int:
        """Where this thread is."""
        return int(getattr(self._thread, "position", 0))

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        position = self.tell()
        found = bytes(self._file.read_at(size, position))
        self._thread.position = position + len(found)
        return found

    def close(self) -> None:
        """Nothing is held open but what others share."""
