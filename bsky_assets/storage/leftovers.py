"""Files of a lake that are of no use any more: half-written, or replaced."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from bsky_assets.storage.files import StoredFile
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.places import StoredPath
from bsky_assets.storage.pointers import POINTER


def leftovers(
    files: Iterable[StoredFile], current: Iterable[Partition], oldest: datetime
) -> list[StoredFile]:
    """Those of `files` that were of no use at `oldest` already, where `current` are in force.

    In a folder without a partition in force there are none but half-written ones.
    """
    named = {_folder_of(found.path): found for found in current}
    since = ((file, _useless_since(file, named)) for file in files)
    return [file for file, at in since if at is not None and at <= oldest]


def _folder_of(path: StoredPath) -> str:
    return str(path).rpartition("/")[0]


def _useless_since(file: StoredFile, named: Mapping[str, Partition]) -> datetime | None:
    """Since when `file` is of no use: half-written, or replaced by the one `named`; or None."""
    folder, _, name = str(file.path).rpartition("/")
    modified = datetime.fromtimestamp(file.modified, UTC)
    if name.startswith("."):
        return modified
    if folder not in named or name in (POINTER, named[folder].path.name):
        return None
    return named[folder].unnamed_since(name, modified)
