"""RSS and Atom, by feedparser."""

import calendar
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import feedparser

from bsky_assets.news.items import Item, make_item
from bsky_assets.news.sources import Kind

_MOST_ENTRIES = 5_000


def _read(_place: str, content: bytes) -> Iterator[Item | None]:
    # A stream: feedparser would take bytes that look like an address or a file's name for one.
    read = feedparser.parse(io.BytesIO(content), resolve_relative_uris=False)
    language = read.feed.get("language")
    for entry in read.entries[:_MOST_ENTRIES]:
        body = "".join(str(part.get("value", "")) for part in entry.get("content", ())[:1])
        # Without its own `get`, which takes one of the dates for the other.
        dates = (_instant(dict.get(entry, name)) for name in ("published_parsed", "updated_parsed"))
        yield make_item(
            entry.get("link"),
            entry.get("title"),
            body or entry.get("summary"),
            language=entry.get("language") or language,
            dates=tuple(dates),
        )
    if read.bozo and not isinstance(read.bozo_exception, feedparser.CharacterEncodingOverride):
        raise ValueError("its XML is broken")
    if not read.get("version"):
        raise ValueError("it is neither RSS nor Atom")


def _instant(parsed: Any) -> datetime | None:
    if not isinstance(parsed, time.struct_time):
        return None
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC)
    except (OverflowError, ValueError, OSError):
        return None


KIND = Kind("feed", lambda _place, _content: True, _read)
