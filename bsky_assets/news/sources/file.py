"""Files of articles: JSON lines or CSV with the columns title, text, url, outlet, published."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from bsky_assets.news.items import Item, instant, make_item
from bsky_assets.news.sources import Kind

_SUFFIXES = (".jsonl", ".csv")


def _read(place: str, content: bytes) -> Iterator[Item | None]:
    text = content.decode("utf-8-sig", "replace")
    for row in _csv(text) if place.lower().endswith(".csv") else _lines(text):
        yield make_item(
            row.get("url"),
            row.get("title"),
            row.get("text"),
            outlet=row.get("outlet"),
            language=row.get("language"),
            dates=(instant(row.get("published")), instant(row.get("updated"))),
        )


def _csv(text: str) -> Iterable[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if missing := {"title", "url"} - {*(reader.fieldnames or ())}:
        raise ValueError(f"it has no column {' nor '.join(sorted(missing))}")
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is no CSV: {error}") from None


def _lines(text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise ValueError(f"line {number} is no JSON") from None
        yield row if isinstance(row, dict) else {}


KIND = Kind("file", lambda place, _content: place.lower().endswith(_SUFFIXES), _read)
