"""Looking for damage: which files of the lake and of the segments cannot be read, or are strays.

The length and the footer of each Parquet file are looked at, and what pointers say; the rows are
not read.
What does not belong here: saying what can be made again from what, which `doctor` does.
"""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from bsky_assets.storage import network, timezones
from bsky_assets.storage.damage import is_damage, reason_of
from bsky_assets.storage.files import StoredFile
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.objects import ObjectPath
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.places import Folder, read_schema
from bsky_assets.storage.pointers import POINTER
from bsky_assets.storage.segments import Segments

APPLIED_TOMBSTONES = "honoured_deletions.json"
"""Beside the lake: the partitions of deletions that every stored day has been held against. Where
it is missing, all are looked at again."""
FORGOTTEN = "forgotten.json"
"""Beside the partitions: a salt, and the SHA-256 of salt and DID or AT URI of each subject that is
to be forgotten."""
RETURNED = "returned_posts.json"
"""Beside the lake: the days that posts have come back to, made again."""
ERASED = "erased_deletions.json"
"""Beside the lake: the partitions that have been held against each other. Where it is missing, all
are looked at again."""
_MARKERS = (timezones.FILE, network.FILE, APPLIED_TOMBSTONES, RETURNED, ERASED, FORGOTTEN)
STRAY = "nothing names it"
NO_POINTER = "there is no pointer that names the file of this day"
_PLACE = re.compile(r"(?P<dataset>\w+(/\w+)*)/sync_day=(?P<day>\d{4}-\d\d-\d\d)/(?P<name>[^/]+)")
_LAKE_FILE = re.compile(rf"{re.escape(POINTER)}|part-[0-9a-f]{{16}}\.parquet|\..*")


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be."""

    what: str
    """The asset or the kind of file."""
    day: date | None
    path: object
    reason: str


def examine_lake(lake: Lake) -> Iterator[Finding]:
    """What is damaged or stray in the lake."""
    partitions, problems = lake.pointed("")
    for problem in problems:
        yield Finding(problem.dataset, problem.day, problem.path, problem.reason)
    for partition in partitions:
        if reason := _damage_of(partition):
            yield Finding(partition.dataset, partition.day, partition.path, reason)
    pointed = {(found.dataset, found.day) for found in partitions}
    pointed |= {(problem.dataset, problem.day) for problem in problems}
    told: set[tuple[str, date]] = set()
    for file in lake.place.stored():
        yield from _of_file(lake, file, pointed, told)
    if isinstance(lake.place, Folder):
        yield from examine_folder("lake", lake.root, _MARKERS)


def examine_folder(what: str, folder: Path, known: Container[str]) -> Iterator[Finding]:
    """The files in `folder` itself that are not `known`; those with a dot in front come and go."""
    for path in sorted(folder.glob("*")):
        if path.is_file() and path.name not in known and not path.name.startswith("."):
            yield Finding(what, None, path, STRAY)


def _of_file(
    lake: Lake, file: StoredFile, pointed: set[tuple[str, date]], told: set[tuple[str, date]]
) -> Iterator[Finding]:
    path = file.path
    key = path.key if isinstance(path, ObjectPath) else _below(lake.root, str(path))
    place = _PLACE.fullmatch(key)
    if place is None or not _LAKE_FILE.fullmatch(place["name"]):
        if "sync_day=" in key:
            yield Finding("lake", None, path, STRAY)
        return
    of = place["dataset"], date.fromisoformat(place["day"])
    if of not in pointed | told and not place["name"].startswith("."):
        told.add(of)
        yield Finding(*of, str(path).rpartition("/")[0], NO_POINTER)


def _below(root: Path, path: str) -> str:
    return path.removeprefix(f"{root}/")


def _damage_of(partition: Partition) -> str | None:
    try:
        read_schema(partition.path)
        size = partition.path.stat().st_size if isinstance(partition.path, Path) else None
    except Exception as error:
        if not is_damage(error):
            raise
        return reason_of(error)
    if size not in (None, partition.bytes):
        return f"it has {size} bytes, and had {partition.bytes}"
    return None


def examine_segments(segments: Segments) -> Iterator[Finding]:
    """What is damaged or stray among the segments of a stream."""
    known = {found.path: found for day in segments.days() for found in segments.of_day(day)}
    for segment in known.values():
        if segment.footer_if_readable() is None:
            yield Finding(segments.stream, segment.day, segment.path, "its footer cannot be read")
    yield from examine_folder(segments.stream, segments.folder.parent, (timezones.FILE,))
    if segments.folder.is_dir():
        for path in sorted(segments.folder.rglob("*")):
            is_day = re.fullmatch(r"\..*|sync_day=\d{4}-\d\d-\d\d", path.name)
            is_stray = path.is_dir() and not is_day
            if is_stray or (path.is_file() and path not in known and path.name[0] != "."):
                yield Finding(segments.stream, None, path, STRAY)


def examine_parquet(what: str, path: Path) -> Iterator[Finding]:
    """What is wrong with the file at `path`, in a folder of its day."""
    try:
        pq.read_metadata(path)
    except Exception as error:
        if not is_damage(error):
            raise
        day = date.fromisoformat(path.parent.name.removeprefix("sync_day="))
        yield Finding(what, day, path, reason_of(error))
