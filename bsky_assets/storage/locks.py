"""Taking turns where something is read, changed and written back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from bsky_assets.storage.files import unusable


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Be the only one, among all processes, that changes what is in `folder`.

    Raises:
        UnusableDataDirectory: the folder cannot be made or written to.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise unusable(folder, error) from error
    try:
        yield
    finally:
        lock.release()
