"""Pointers: where that of each partition stands, and what is written in it."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

import orjson

from bsky_assets.contracts.details import Details, details_version
from bsky_assets.storage.damage import damage_named
from bsky_assets.storage.partition import Origin, Partition
from bsky_assets.storage.places import Place

POINTER = "current.json"

_POINTER_KEY = re.compile(rf"\w+(/\w+)*/sync_day=\d{{4}}-\d\d-\d\d/{POINTER}")


class Written(NamedTuple):
    """A file of rows in its place, without a pointer yet."""

    name: str
    rows: int
    bytes: int


def folder_key(dataset: str, day: date) -> str:
    """The folder of a dataset's day."""
    return f"{dataset}/sync_day={day.isoformat()}"


def pointer_key(dataset: str, day: date) -> str:
    """The key of the pointer to a day's current file."""
    return f"{folder_key(dataset, day)}/{POINTER}"


def is_pointer(key: str) -> bool:
    """Whether `key` is that of a pointer; copies that a person made are none."""
    return _POINTER_KEY.fullmatch(key) is not None


def dataset_and_day(key: str) -> tuple[str, date]:
    """Of the pointer `key`."""
    dataset, day, _ = key.rsplit("/", 2)
    return dataset, date.fromisoformat(day.removeprefix("sync_day="))


def pointer_to(
    written: Written,
    origin: Origin,
    details: Details,
    at: datetime,
    replaced: Mapping[str, datetime],
) -> bytes:
    """What the pointer says that is put `at` now; `replaced` are files that it takes the place of,
    and when each was replaced."""
    return orjson.dumps(
        {
            "file": written.name,
            "rows": written.rows,
            "bytes": written.bytes,
            "contract": origin.contract,
            "lineage": origin.lineage,
            "version": origin.version,
            "made_from": origin.made_from,
            "written_at": at.isoformat(),
            "replaced": {name: since.isoformat() for name, since in replaced.items()},
            "details_version": origin.details_version or details_version(type(details)),
            "details": details.stored(),
        },
        option=orjson.OPT_INDENT_2,
    )


def read_pointer(place: Place, key: str, content: bytes) -> Partition:
    """The partition that the pointer `key` names.

    Raises:
        Damaged: it says nothing of use.
    """
    dataset, day = dataset_and_day(key)
    with damage_named(dataset, day, place.path(key)):
        return _partition(place, dataset, day, orjson.loads(content))


def _partition(place: Place, dataset: str, day: date, stored: dict[str, Any]) -> Partition:
    return Partition(
        dataset=dataset,
        day=day,
        path=place.path(f"{folder_key(dataset, day)}/{stored['file']}"),
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
