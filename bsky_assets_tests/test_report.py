"""The page of a day: what stands on it, and that nothing from the network is markup there."""

from collections import Counter
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bsky_assets.contracts import (
    ConsolidatedPost,
    FilteredPost,
    LlmLabel,
    Quarantined,
    RawFeedPost,
    RawFirehosePost,
)
from bsky_assets.contracts.lineage import report_version
from bsky_assets.orchestration.staleness import stale
from bsky_assets.reporting.health import CheckOutcome
from bsky_assets.reporting.report import NothingToReport, write_report
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.labelling_fixtures import filtered_post
from bsky_assets_tests.rows import NOON, feed_post, firehose_post, record, table

DAY = date(2026, 3, 8)
BEFORE = DAY - timedelta(days=2)
HOSTILE = '"><script src="https://evil.example/x.js"></script><img src=x onerror=alert(1)>{{ 7*7 }}'
VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text("utf-8")
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def completeness(gap: bool) -> dict[str, Any]:
    start, end = NOON, NOON + timedelta(hours=1)
    gap_row = {
        "host": "relay.test", "after": 5, "before": 9, "reason": HOSTILE, "received_at": None,
        "after_time": start.isoformat(), "before_time": end.isoformat(), "missing": 3,
    }  # fmt: skip
    return {
        "stretches": [
            {
                "host": "relay.test", "first": 1, "last": 5,
                "first_time": start.isoformat(), "last_time": start.isoformat(),
            }
        ],
        "gaps": [gap_row] if gap else [],
        "gap_count": int(gap),
        "missing_events": 3 if gap else 0,
        "events": {"#commit": 1234},
        "events_per_minute": {"2026-03-08T18:00Z": 7},
        "largest_lag_seconds": 33913.2,
    }  # fmt: skip


def store(lake: Lake, day: date, *, hostile: str = "harmless", version: str = "v1") -> None:
    post = record(unknown_fields='{"mood": 1}')
    rows = table(RawFirehosePost, [firehose_post("did:plc:a", "1", record=post)])
    details: dict[str, Any] = {"completeness": completeness(gap=True)}
    lake.write(RawFirehosePost, day, rows, details)
    feeds = {hostile: {"items": 1, "problem": hostile}}
    items = [feed_post("did:plc:b", "2"), feed_post("did:plc:c", "3", record=record())]
    if hostile == HOSTILE:
        items[1]["record"]["unknown_fields"] = '{"<script>x</script>": 1}'
    lake.write(RawFeedPost, day, table(RawFeedPost, items), {"feeds": feeds})
    lake.write(ConsolidatedPost, day, table(ConsolidatedPost, []))
    funnel = [
        {"filter": "english", "reached": 4, "stopped": 1, "passed": 3, "reasons": {hostile: 1}},
        {"filter": "spam", "reached": 3, "stopped": 1, "passed": 2, "reasons": {}},
    ]
    lake.write(
        FilteredPost,
        day,
        table(FilteredPost, [filtered_post(number, "a post") for number in range(4)]),
        {
            "funnel": funnel,
            "passed": 2,
            "languages": {hostile: 1, "en": 3},
            "filter_version": version,
        },
    )
    model = {
        "model": hostile, "questions": 2, "already_known": 1, "failed": 0,
        "retries": {"timeout": 4}, "latency_seconds": {"p50": 0.25, "p95": 1.5},
    }  # fmt: skip
    lake.write(
        LlmLabel,
        day,
        table(LlmLabel, []),
        {
            "posts": 40, "labelled": 40, "failed": 0, "prompt_version": "p", "schema_version": "s",
            "shares": {"left": 0.25, "not_sociopolitical": 0.75}, "models": [model],
        },
    )  # fmt: skip
    quarantined = {
        "source": "raw_feed_posts", "origin": hostile, "position": "1", "reason": hostile,
        "detail": hostile, "content": b"", "received_at": NOON,
    }  # fmt: skip
    lake.write_quarantine("raw_feed_posts", day, table(Quarantined, [quarantined]))


def write(lake: Lake, settings: Settings, *checks: CheckOutcome) -> Page:
    with duckdb.connect() as con:
        return Page(write_report(con, lake, settings, DAY, checks))


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake_dir)


def test_the_page_tells_of_coverage_checks_models_and_changes(
    lake: Lake, settings: Settings
) -> None:
    store(lake, BEFORE)
    store(lake, DAY, version="v2")
    failed = CheckOutcome("filtered_posts", "stop_rates_are_usual", False, "spam stopped 90%")
    page = write(lake, settings, failed, CheckOutcome("llm_labels", "all_there", True, ""))
    for said in (
        "1,234 events, 1 gaps (3 events missing)",
        "at most 9 h 25 min behind the network",
        "3 events missing after 5 of relay.test",
        "filtered_posts does not pass stop rates are usual: spam stopped 90%",
        "all there passed",
        "2 of 4 posts passed; configuration v2",
        "harmless 2 1 0 4 0.25 s 1.50 s",
        "left 25.0% 14.2% to 40.2%",
        "on the way into reason rows raw_feed_posts harmless 1",
        f"Since {BEFORE}:",
        "filtered_posts filter version v1 v2",
        "raw_firehose_posts mood 1 at://did:plc:a/app.bsky.feed.post/1",
    ):
        assert said in page.text, said
    assert "new" not in page.text.partition("mood")[2][:8]


def test_a_field_is_marked_as_new_on_the_first_day(lake: Lake, settings: Settings) -> None:
    store(lake, DAY)
    page = write(lake, settings)
    assert "raw_firehose_posts mood new 1 at://did:plc:a/app.bsky.feed.post/1" in page.text
    assert "There is no earlier day to compare with." in page.text


def test_a_course_is_drawn_from_the_second_day_on(lake: Lake, settings: Settings) -> None:
    courses = {"Share of posts that each filter stopped, by day", "Label shares by day"}
    said = "Shares by day are drawn here once two days"
    store(lake, DAY)
    page = write(lake, settings)
    assert not courses & {value for _, name, value in page.attributes if name == "alt"}
    assert page.text.count(said) == len(courses)
    store(lake, BEFORE)
    page = write(lake, settings)
    assert courses <= {value for _, name, value in page.attributes if name == "alt"}
    assert said not in page.text


def test_nothing_from_outside_is_markup_or_fetched(lake: Lake, settings: Settings) -> None:
    store(lake, DAY)
    plain = write(lake, settings, CheckOutcome("a", "b", False, "c"))
    store(lake, DAY, hostile=HOSTILE)
    page = write(lake, settings, CheckOutcome("a", "b", False, HOSTILE))
    assert "script" not in page.elements
    assert page.elements["img"] == plain.elements["img"]
    assert set(page.elements) == set(plain.elements)
    assert page.text.count("{{ 7*7 }}") >= 6
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        if name in {"src", "href"}:
            assert value.startswith("data:image/png;base64,"), (tag, value[:50])
    assert "url(" not in page.source
    assert "@import" not in page.source


def test_the_page_says_which_lineage_it_is_of(lake: Lake, settings: Settings) -> None:
    store(lake, DAY)
    page = write(lake, settings)
    assert ("meta", "content", report_version()) in page.attributes
    assert not [each for each in stale(lake, settings) if each.asset == "daily_report"]
    path = settings.reports_dir / f"{DAY}.html"
    path.write_text(path.read_text().replace(report_version(), "earlier"))
    found = [each.day for each in stale(lake, settings) if each.asset == "daily_report"]
    assert found == [DAY]


def test_a_day_without_labels_is_refused(lake: Lake, settings: Settings) -> None:
    with pytest.raises(NothingToReport, match="2026-03-08 has no filtered_posts"):
        write(lake, settings)
