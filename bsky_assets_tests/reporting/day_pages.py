"""Days laid down for a report in whatever state, and its page as a parser reads it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb

from bsky_assets.contracts import (
    ConsolidatedPost,
    FilteredPost,
    LlmLabel,
    Quarantined,
    RawFeedPost,
    RawFirehosePost,
)
from bsky_assets.reporting.day import CheckOutcome
from bsky_assets.reporting.report import report_of, write_page
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from testbed.rows import NOON, feed_post, filtered_post, firehose_post, record, table

DAY = date(2026, 3, 8)
BEFORE = DAY - timedelta(days=2)
HOSTILE = '"><script src="https://evil.example/x.js"></script><img src=x onerror=alert(1)>{{ 7*7 }}'
SHARES = {"left": 0.25, "right": 0.1, "moderate": 0.05, "unclear": 0.1, "not_sociopolitical": 0.5}
POSTS = 40


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text("utf-8")
        self.elements: Counter[str] = Counter()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of a kind."""
        return [attributes for found, attributes in self.found if found == tag]


def completeness(gap: bool, day: date = DAY) -> dict[str, Any]:
    noon = NOON + (day - DAY)
    start, end = noon, noon + timedelta(hours=1)
    gap_row = {
        "host": "relay.test", "after": 5, "before": 9, "reason": HOSTILE, "received_at": None,
        "after_time": start.isoformat(), "before_time": end.isoformat(), "missing": 3,
    }  # fmt: skip
    return {
        "stretches": [
            {
                "host": "relay.test", "first": 1, "last": 5,
                "first_time": (start - timedelta(hours=6)).isoformat(),
                "last_time": start.isoformat(),
            }
        ],
        "gaps": [gap_row] if gap else [],
        "gap_count": int(gap),
        "missing_events": 3 if gap else 0,
        "events": {"#commit": 1234},
        "events_per_minute": {f"{start:%Y-%m-%dT%H:%MZ}": 7},
        "largest_lag_seconds": 33913.2,
    }  # fmt: skip


def store_raw(lake: Lake, day: date = DAY, *, hostile: str = "harmless", gap: bool = True) -> None:
    post = record(unknown_fields='{"mood": 1}')
    rows = table(RawFirehosePost, [firehose_post("did:plc:a", "1", record=post)])
    details: dict[str, Any] = {"completeness": completeness(gap, day)}
    lake.write(RawFirehosePost, day, rows, details)
    feeds = {hostile: {"items": 1, "problem": hostile}}
    items = [feed_post("did:plc:b", "2"), feed_post("did:plc:c", "3", record=record())]
    if hostile == HOSTILE:
        items[1]["record"]["unknown_fields"] = '{"<script>x</script>": 1}'
    lake.write(RawFeedPost, day, table(RawFeedPost, items), {"feeds": feeds})
    lake.write(ConsolidatedPost, day, table(ConsolidatedPost, []), {"firehose_posts": 4})
    quarantined = {
        "source": "raw_feed_posts", "origin": hostile, "position": "1", "reason": hostile,
        "detail": hostile, "content": b"", "received_at": NOON,
    }  # fmt: skip
    lake.write_quarantine("raw_feed_posts", day, table(Quarantined, [quarantined]))


def store_filtered(
    lake: Lake, day: date = DAY, *, passed: int = 2, hostile: str = "harmless", version: str = "v1"
) -> None:
    """Four posts, of which so many passed."""
    funnel = [
        {"filter": "english", "reached": 4, "stopped": 1, "passed": 3, "reasons": {hostile: 1}},
        {
            "filter": "spam", "reached": 3, "stopped": 3 - passed, "passed": passed, "reasons": {},
        },
    ]  # fmt: skip
    lake.write(
        FilteredPost,
        day,
        table(FilteredPost, [filtered_post(number, "a post") for number in range(4)]),
        {
            "funnel": funnel,
            "passed": passed,
            "languages": {hostile: 1, "en": 3},
            "filter_version": version,
        },
    )


def store_labels(
    lake: Lake,
    day: date = DAY,
    *,
    shares: dict[str, float] = SHARES,
    labelled: int = POSTS,
    model: str = "llama",
    posts: Mapping[str, str | None] = MappingProxyType({}),
) -> None:
    """Labels in such shares; `posts` are those that have a row, with the side that each takes."""
    asked = {
        "model": model, "questions": 2, "already_known": 1, "failed": 0,
        "retries": {"timeout": 4}, "latency_seconds": {"p50": 0.25, "p95": 1.5},
    }  # fmt: skip
    details = {
        "posts": labelled, "labelled": labelled, "failed": 0, "prompt_version": "p",
        "schema_version": "s", "shares": shares if labelled else {}, "models": [asked],
    }  # fmt: skip
    rows = (_label(uri, side, model) for uri, side in posts.items())
    lake.write(LlmLabel, day, table(LlmLabel, rows), details)


def _label(uri: str, side: str | None, model: str) -> dict[str, Any]:
    return {
        "uri": uri, "is_label_of_record": True, "was_successfully_labeled": True,
        "is_sociopolitical": side is not None, "political_ideology": side, "context": [],
        "label_timestamp": NOON, "text_hash": uri, "question_hash": uri, "model": model,
        "prompt_version": "p", "schema_version": "s", "parameters": "{}", "attempts": 1,
        "batch_size": 1,
    }  # fmt: skip


def store(
    lake: Lake, day: date = DAY, *, hostile: str = "harmless", version: str = "v1", gap: bool = True
) -> None:
    store_raw(lake, day, hostile=hostile, gap=gap)
    store_filtered(lake, day, hostile=hostile, version=version)
    store_labels(lake, day, model=hostile)


def audited(
    name: str, label: str, share: float, shift: tuple[float | None, float | None, float | None]
) -> dict[str, object]:
    """A row of the day's audit."""
    return {
        "filter": name, "label": label, "stopped": 40, "sampled": 20, "share": share,
        "share_low": 0.1, "share_high": 0.6, "day_share": 0.2, "shift": shift[0],
        "shift_low": shift[1], "shift_high": shift[2], "posts": [], "model": "llama",
        "prompt_version": "p", "schema_version": "s",
    }  # fmt: skip


def write(lake: Lake, settings: Settings, *checks: CheckOutcome, day: date = DAY) -> Page:
    with duckdb.connect() as con:
        return Page(write_page(report_of(con, lake, settings, day, checks), lake, settings))


def days_before(count: int) -> Iterator[date]:
    return (DAY - timedelta(days=back) for back in range(count, 0, -1))
