"""What a stored report says of itself in its head: versions, what it was made from, and when."""

import html
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import orjson

from bsky_assets.storage.partition import Versions

VERSION, MADE_FROM = "bsky-assets-version", "bsky-assets-made-from"
WRITTEN_AT, NOTICES = "bsky-assets-written-at", "bsky-assets-notices"
"""Names of the meta elements."""

_META = re.compile(r'<meta name="(bsky-assets-[\w-]+)" content="([^"]*)">')
_HEAD_CHARACTERS = 2_000


@dataclass(frozen=True)
class ReportHead:
    """A report that is stored."""

    version: str | None
    made_from: Versions | None
    """None where it was not recorded yet."""
    written_at: datetime
    notices: int | None
    """How much it warns of; None where it does not say."""


def report_path(folder: Path, day: date) -> Path:
    """Where the report of `day` is, or would be."""
    return folder / f"{day.isoformat()}.html"


def read_head(path: Path) -> ReportHead | None:
    """What the report at `path` says of itself; None if there is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as page:
            found = dict(_META.findall(page.read(_HEAD_CHARACTERS)))
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None
    return ReportHead(
        found.get(VERSION),
        _versions(found.get(MADE_FROM)),
        _instant(found.get(WRITTEN_AT)) or changed,
        int(notices) if (notices := found.get(NOTICES, "")).isdecimal() else None,
    )


def _versions(text: str | None) -> Versions | None:
    try:
        stored = orjson.loads(html.unescape(text)) if text else None
    except orjson.JSONDecodeError:
        return None
    return stored if isinstance(stored, dict) else None


def _instant(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
