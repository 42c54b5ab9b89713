"""What `bsky-assets doctor` tells: what is damaged, and what it can be made again from."""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import orjson

from bsky_assets.bluesky.collected import all_segments
from bsky_assets.contracts import LEDGER, LeftOut, Quarantined
from bsky_assets.contracts.lineage import DAILY_REPORT
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.settings import Settings
from bsky_assets.storage import network, timezones
from bsky_assets.storage.examination import (
    NO_POINTER,
    STRAY,
    Finding,
    examine_folder,
    examine_lake,
    examine_parquet,
    examine_segments,
)
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.places import Folder, Place

_REPORT_END = "</html>"
_STREAMED = ("raw_firehose_posts", "raw_post_deletions", "raw_moderation_labels")
_CATALOGUE, _TIMEZONE, _ANSWERS = "catalogue", "timezone", "llm_answers"


def examine(settings: Settings) -> Iterator[Finding]:
    """All that is damaged or stray in the data directory and the lake."""
    lake = Lake.of(settings)
    yield from examine_lake(lake)
    for segments in all_segments(settings):
        yield from examine_segments(segments)
    yield from _of_ledger(settings)
    for place in (lake.place, Folder(settings.data_dir / "segments")):
        yield from _of_timezone(place)
    yield from _of_reports(settings)
    yield from _of_catalogue(settings)
    catalogue = settings.catalogue_path
    known = (network.FILE, catalogue.name, f"{catalogue.stem}.lock")
    yield from examine_folder("data directory", settings.data_dir, known)


def _of_ledger(settings: Settings) -> Iterator[Finding]:
    ledger = ledger_of(settings)
    known = {path: row.asset for row in LEDGER for path in ledger.files(row)}
    for path, asset in known.items():
        yield from examine_parquet(asset, path)
    for path in sorted(settings.ledger_dir.glob("*/*/*.parquet")):
        if path not in known and not path.name.startswith("."):
            yield Finding(_ANSWERS, None, path, STRAY)


def _of_timezone(place: Place) -> Iterator[Finding]:
    try:
        content = place.read(timezones.FILE)
    except FileNotFoundError:
        return
    try:
        is_whole = isinstance(orjson.loads(content), dict) and timezones.stored(place)
    except orjson.JSONDecodeError:
        is_whole = False
    if not is_whole:
        yield Finding(_TIMEZONE, None, place.path(timezones.FILE), "it cannot be read")


def _of_reports(settings: Settings) -> Iterator[Finding]:
    for path in sorted(settings.reports_dir.glob("[!.]*")):  # those with a dot come and go
        if not re.fullmatch(r"(\d{4}-\d\d-\d\d|index)\.html", path.name):
            yield Finding(DAILY_REPORT, None, path, STRAY)
        elif not path.read_text("utf-8", errors="replace").rstrip().endswith(_REPORT_END):
            yield Finding(DAILY_REPORT, None, path, "it is not whole")


def _of_catalogue(settings: Settings) -> Iterator[Finding]:
    path: Path = settings.catalogue_path
    if path.exists():
        try:
            duckdb.connect(str(path), read_only=True).close()
        except duckdb.Error as error:
            yield Finding(_CATALOGUE, None, path, str(error).splitlines()[0])


def cure_of(found: Finding) -> str:
    """What it can be made again from."""
    if found.reason == STRAY:
        return "it changes nothing; move it elsewhere, or remove it"
    if found.what in ("firehose", "labels"):
        return "its events are lost unless the host still sends them; the day's checks say which"
    again = {
        _CATALOGUE: "remove it: it is made again by the next `bsky-assets query`",
        _TIMEZONE: "it is made again from BSKY_SYNC_TIMEZONE with what is stored next",
        _ANSWERS: "only from a backup; what it held is asked again",
        "llm_prompts": "it is made again by the next labelling with that prompt",
        LeftOut.asset: "materialise consolidated_posts of its day again",
        "raw_feed_posts": "only from a backup: feeds cannot be read back in time",
        DAILY_REPORT: "make the report of its day again",
    }
    if found.what in again:
        return again[found.what]
    return _cure_of_partition(found)


def _cure_of_partition(found: Finding) -> str:
    if found.what.startswith(Quarantined.asset):
        return "only from a backup"
    pointer = "" if found.reason == NO_POINTER else "remove the day's current.json, then "
    command = f"`bsky-assets materialize --day {found.day} --select {found.what}`"
    if found.what in _STREAMED:
        return f"{pointer}{command} makes it from segments still there; else only from a backup"
    return f"{pointer}{command} makes it again from what is upstream"
