"""Putting a file in its place so that a kill at any moment leaves the old one or the new one."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from stat import S_ISREG
from typing import NamedTuple
from uuid import uuid4

import orjson

from bsky_assets.errors import UserError

_STAGED = re.compile(r"\..+\.[0-9a-f]{16}")
"""A name that `unfinished` gives."""


class UnusableDataDirectory(UserError):
    """The data directory cannot be written to."""


class StoredFile(NamedTuple):
    """A file that is there, wherever it is kept."""

    path: object
    bytes: int
    modified: float
    """Seconds since 1970."""
    remove: Callable[[], None]


def file_of(path: Path) -> StoredFile:
    """What there is to know of the local file `path`."""
    status = path.stat()
    return StoredFile(path, status.st_size, status.st_mtime, lambda: path.unlink(missing_ok=True))


def folder_of(path: Path) -> StoredFile:
    """The same of the folder `path` with all that is in it, as one file."""
    within = [found.stat() for found in (path, *path.rglob("*"))]
    bytes_within = sum(status.st_size for status in within if S_ISREG(status.st_mode))
    modified = max(status.st_mtime for status in within)
    return StoredFile(path, bytes_within, modified, lambda: rmtree(path, ignore_errors=True))


def unique_id() -> str:
    """A short name that no other writer has, even one that was left behind alive."""
    return uuid4().hex[:16]


def unfinished(target: Path, folder: Path | None = None) -> Path:
    """A path for this writer alone to make `target` at, beside it or in another `folder`.

    It begins with a dot, so that no reader's pattern matches it.
    """
    return (folder or target.parent) / f".{target.name}.{unique_id()}"


def remove_unfinished(paths: Iterable[Path], until: datetime) -> int:
    """Remove those of `paths` that killed writers left; returns the bytes freed.

    What was written to after `until` may still be worked on.
    """
    freed = 0
    for path in list(paths):
        with suppress(FileNotFoundError):  # it was finished, or went with its folder
            if not _STAGED.fullmatch(path.name):
                continue
            left = folder_of(path) if path.is_dir() else file_of(path)
            if left.modified <= until.timestamp():
                left.remove()
                freed += left.bytes
    return freed


@contextmanager
def staged(target: Path, folder: Path | None = None) -> Iterator[Path]:
    """A path beside `target` to write to; on success it is synced to disk and takes its place.

    Or in another `folder` of the same disk.

    On an error it is removed.

    Raises:
        UnusableDataDirectory: the directory cannot be written to, or the disk is full.
    """
    temporary = unfinished(target, folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync(temporary)
        temporary.replace(target)
        sync(target.parent)
    except OSError as error:
        raise unusable(target.parent, error) from error
    finally:
        if temporary.exists():
            temporary.unlink()


def make_folder(folder: Path) -> None:
    """Make sure that `folder` is there.

    Raises:
        UnusableDataDirectory: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(folder, error) from error


def sync(path: Path) -> None:
    """Wait until the file or directory is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(target: Path, value: object) -> None:
    """Put `value` as JSON at `target`, atomically."""
    with staged(target) as path:
        path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2))


def unusable(directory: Path, error: OSError) -> UnusableDataDirectory:
    """The error that tells a person why nothing can be written into `directory`."""
    return UnusableDataDirectory(
        f"cannot write to {directory}: {error.strerror or error}; make room or make it writable, "
        "or set BSKY_DATA_DIR (or BSKY_LAKE_URL) to another folder"
    )
