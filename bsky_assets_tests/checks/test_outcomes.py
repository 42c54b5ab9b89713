"""Every asset check is seen to pass, to fail, and to say so where it checked nothing."""

import csv
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from dagster import AssetCheckResult, AssetCheckSeverity

from bsky_assets.checks import daily_report
from bsky_assets.checks.day import evaluate_day
from bsky_assets.contracts import (
    AuditedShare,
    ConsolidatedPost,
    FilteredPost,
    LlmLabel,
    RawFeedPost,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
    arrow_schema,
)
from bsky_assets.contracts.lineage import DAILY_REPORT
from bsky_assets.contracts.news import ContextEffect, NewsArticle, NewsContext
from bsky_assets.definitions import build_defs, defs
from bsky_assets.orchestration.unfinished import DayState
from bsky_assets.sync_day import bounds
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint
from bsky_assets_tests.support.serving import served
from testbed.rows import (
    feed_post,
    filtered_post,
    firehose_post,
    moderation_label,
    post_deletion,
    record,
    table,
)

CHICAGO = ZoneInfo("America/Chicago")
POSTS, STOPPED = 600, 480
Change = Callable[["Day"], None]


@dataclass
class Day:
    """A day in which nothing is wrong, until a test changes it."""

    lab: Lab
    is_over: bool = True

    def details(self, row: type[Row], **changed: Any) -> None:
        """Store the partition of `row` again with other details."""
        stored = self.lab.lake.current(row, DAY)
        assert stored is not None
        self.store(row, self.rows(row), {**stored.details, **changed})

    def edited(self, row: type[Row], edit: Callable[[list[dict[str, Any]]], Any]) -> None:
        """Store the partition of `row` again with other rows, and the same details."""
        stored = self.lab.lake.current(row, DAY)
        assert stored is not None
        rows = self.rows(row).to_pylist()
        self.store(row, table(row, edit(rows)), dict(stored.details))

    def rows(self, row: type[Row]) -> pa.Table:
        with duckdb.connect() as con:
            found = self.lab.lake.relation(con, row, [DAY]).to_arrow_table()
        return found.cast(arrow_schema(row))

    def store(self, row: type[Row], rows: pa.Table, details: dict[str, Any]) -> None:
        self.lab.lake.write(row, DAY, rows, details)

    def outcome(self, asset: str, name: str) -> AssetCheckResult:
        if asset == DAILY_REPORT:
            (of_report,) = daily_report.evaluate(DayState(DAY, self.is_over, {}, (), None))
            return of_report
        with duckdb.connect() as con:
            results = evaluate_day(con, self.lab.lake, self.lab.settings, DAY)
            return next(one for one in results if _check(one) == (asset, name))


def _check(result: AssetCheckResult) -> tuple[str, str]:
    assert result.asset_key
    assert result.check_name
    return result.asset_key.path[-1], result.check_name


def whole_day(**changed: Any) -> dict[str, Any]:
    start, end = bounds(DAY, CHICAGO)
    stretch = {
        "host": "relay.test", "first": 1, "last": 9,
        "first_time": start.isoformat(), "last_time": end.isoformat(),
    }  # fmt: skip
    counted = {"events": {"#commit": 9}, "commits_followed": 8}
    return {"stretches": [stretch], **counted, **changed}


def funnel(stopped: int = STOPPED) -> dict[str, Any]:
    step = {"filter": "english", "reached": POSTS, "stopped": stopped, "passed": POSTS - stopped}
    return {"funnel": [{**step, "reasons": {}}], "passed": POSTS - stopped}


def read_feed(problem: str | None = None) -> dict[str, Any]:
    return {"feeds": {"today": {"items": 1, "problem": problem}}}


def company(same: int) -> dict[str, Any]:
    return {"posts": 20, "same": same, "low": same / 20, "high": same / 20}


AUDITED = {"audited": {"nsfw": 50}}


def audited(shift: float) -> dict[str, Any]:
    """The share of `left` among the posts that a filter stopped moves the day's by `shift`."""
    return {
        "filter": "nsfw", "label": "left", "stopped": 60, "sampled": 50, "share": 0.3,
        "share_low": 0.2, "share_high": 0.4, "day_share": 0.3, "shift": shift,
        "shift_low": shift - 0.01, "shift_high": shift + 0.01, "posts": [], "model": "fake",
    }  # fmt: skip


def gold(folder: Path, say: Callable[[int], tuple[str, str]]) -> Path:
    """Labels by people of the posts that passed; the model says `left` of all."""
    path = folder / "gold.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["uri", "is_sociopolitical", "political_ideology"])
        for number in range(STOPPED, POSTS):
            writer.writerow([filtered_post(number, "")["uri"], *say(number)])
    return path


def text_of(number: int) -> str:
    return f"{'LN'[number % 2]} number {number}"


def as_the_model(number: int) -> tuple[str, str]:
    return ("false", "") if number % 2 else ("true", "left")


def otherwise(number: int) -> tuple[str, str]:
    return as_the_model(number + 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("checked")
    with served(FakeEndpoint().app()) as url:
        lab = Lab(folder / "data", f"{url}/v1", {"llm_models": ("fake",)})
        posts = [filtered_post(n, text_of(n), passed_filters=n >= STOPPED) for n in range(POSTS)]
        for back in range(1, 4):
            before = DAY - timedelta(days=back)
            lab.lake.write(FilteredPost, before, table(FilteredPost, []), funnel())
        lab.lake.write(FilteredPost, DAY, table(FilteredPost, posts), funnel())
        lab.label(batch_size=10)
        firehose = [firehose_post("did:plc:a", "1")]
        completeness = {"completeness": whole_day()}
        lab.lake.write(RawFirehosePost, DAY, table(RawFirehosePost, firehose), completeness)
        feed = [feed_post("did:plc:a", "1")]
        lab.lake.write(RawFeedPost, DAY, table(RawFeedPost, feed), read_feed())
        consolidated = [
            {name: post[name] for name in ConsolidatedPost.model_fields if name in post}
            for post in posts
        ]
        lab.lake.write(
            ConsolidatedPost,
            DAY,
            table(ConsolidatedPost, consolidated),
            {
                "firehose_posts": POSTS + 5, "feed_items": 4, "left_out": {"deleted": 6},
                "shown_by_several_feeds": 1, "in_firehose_and_feed": 2,
            },
        )  # fmt: skip
        deletion = post_deletion("did:plc:b", "1", seq=8)
        lab.lake.write(RawPostDeletion, DAY, table(RawPostDeletion, [deletion]))
        lab.lake.write(
            RawModerationLabel, DAY, table(RawModerationLabel, [moderation_label("did:plc:b")])
        )
        lab.lake.write(AuditedShare, DAY, table(AuditedShare, [audited(0)]), AUDITED)
        Day(lab).details(LlmLabel, company=company(same=20))
        lab.options["llm_gold"] = gold(folder, as_the_model)
        yield lab


@pytest.fixture
def day(made: Lab, tmp_path: Path) -> Day:
    shutil.copytree(made.folder, tmp_path / "data")
    return Day(Lab(tmp_path / "data", made.url, dict(made.options)))


def unlike_its_post(day: Day) -> None:
    """The post is another than the one that was sent."""
    day.edited(
        FilteredPost, lambda rows: [*rows[:-1], {**rows[-1], "record": record("another text")}]
    )


def every_label_is_political(day: Day) -> None:
    stored = day.lab.lake.current(LlmLabel, DAY)
    assert stored is not None
    day.details(LlmLabel, shares={**stored.details["shares"], "sociopolitical": 0.81})


def a_post_twice(day: Day) -> None:
    day.edited(ConsolidatedPost, lambda rows: [*rows, rows[0]])


def one_more(day: Day) -> None:
    stored = day.lab.lake.current(ConsolidatedPost, DAY)
    assert stored is not None
    day.details(ConsolidatedPost, feed_items=stored.details["feed_items"] + 1)


def unknown_field(row: type[Row]) -> Change:
    return lambda day: day.edited(
        row,
        lambda rows: [{**rows[0], "record": record(unknown_fields='{"mood": 1}')}, *rows[1:]],
    )


def odd_field(row: type[Row]) -> Change:
    return lambda day: day.edited(
        row, lambda rows: [{**rows[0], "unknown_fields": '{"mood": 1}'}, *rows[1:]]
    )


def no_rows(row: type[Row], **changed: Any) -> Change:
    def empty(day: Day) -> None:
        stored = day.lab.lake.current(row, DAY)
        assert stored is not None
        day.store(row, table(row, []), {**stored.details, **changed})

    return empty


def with_gold(path: Callable[[Day], Path | None]) -> Change:
    def change(day: Day) -> None:
        day.lab.options["llm_gold"] = path(day)

    return change


def gap(day: Day) -> None:
    lost = {
        "host": "relay.test", "after": 5, "before": 9, "reason": "x", "received_at": None,
        "missing": 3,
    }  # fmt: skip
    day.details(RawFirehosePost, completeness=whole_day(gaps=[lost], gap_count=1))


def jumped(day: Day) -> None:
    jump = {"did": "did:plc:a", "had": None, "rev": "3k", "at": "2026", "shown_by": "sync"}
    day.details(RawFirehosePost, completeness=whole_day(jumps=[jump], jump_count=1))


def half_a_day(day: Day) -> None:
    middle = (bounds(DAY, CHICAGO)[0] + timedelta(hours=12)).isoformat()
    stretch = {**whole_day()["stretches"][0], "last_time": middle}
    day.details(RawFirehosePost, completeness=whole_day(stretches=[stretch]))


def not_over(day: Day) -> None:
    day.is_over = False


def forget_the_days_before(day: Day) -> None:
    for back in range(1, 4):
        day.lab.lake.write(
            FilteredPost, DAY - timedelta(days=back), table(FilteredPost, []),
            {"funnel": [], "passed": 0},
        )  # fmt: skip


EMPTY_FUNNEL = {"funnel": [], "passed": 0}
FAILING: dict[tuple[str, str], Change] = {
    (DAILY_REPORT, "day_is_complete"): not_over,
    ("raw_firehose_posts", "firehose_has_no_gaps"): gap,
    ("raw_firehose_posts", "firehose_covers_the_day"): half_a_day,
    ("raw_firehose_posts", "repositories_are_whole"): jumped,
    ("raw_firehose_posts", "no_new_fields"): unknown_field(RawFirehosePost),
    ("raw_post_deletions", "no_new_fields"): odd_field(RawPostDeletion),
    ("raw_moderation_labels", "no_new_fields"): odd_field(RawModerationLabel),
    ("filter_audit", "filters_do_not_move_the_shares"): lambda day: day.store(
        AuditedShare, table(AuditedShare, [audited(0.2)]), AUDITED
    ),
    ("raw_feed_posts", "feeds_are_complete"): lambda day: day.details(
        RawFeedPost, **read_feed("it is down")
    ),
    ("raw_feed_posts", "no_new_fields"): unknown_field(RawFeedPost),
    ("consolidated_posts", "every_raw_post_is_accounted_for"): one_more,
    ("consolidated_posts", "uris_are_unique"): a_post_twice,
    ("filtered_posts", "every_post_has_a_verdict"): lambda day: day.edited(
        FilteredPost, lambda rows: rows[1:]
    ),
    ("filtered_posts", "stop_rates_are_usual"): lambda day: day.details(
        FilteredPost, **funnel(stopped=150)
    ),
    ("llm_labels", "labels_cover_all_passed_posts"): lambda day: day.edited(
        LlmLabel, lambda rows: rows[1:]
    ),
    ("llm_labels", "label_shares_in_range"): every_label_is_political,
    ("llm_labels", "request_contains_the_post"): unlike_its_post,
    ("llm_labels", "company_does_not_change_labels"): lambda day: day.details(
        LlmLabel, company=company(same=5)
    ),
    ("llm_labels", "labels_agree_with_people"): with_gold(
        lambda day: gold(day.lab.folder, otherwise)
    ),
}
"""What makes each check fail, in a day in which all pass."""
CHECKING_NOTHING: dict[tuple[str, str], Change] = {
    ("raw_firehose_posts", "firehose_has_no_gaps"): lambda day: day.details(
        RawFirehosePost, completeness=whole_day(events={})
    ),
    ("raw_firehose_posts", "repositories_are_whole"): lambda day: day.details(
        RawFirehosePost, completeness=whole_day(commits_followed=0)
    ),
    ("raw_firehose_posts", "no_new_fields"): no_rows(RawFirehosePost),
    ("raw_post_deletions", "no_new_fields"): no_rows(RawPostDeletion),
    ("raw_moderation_labels", "no_new_fields"): no_rows(RawModerationLabel),
    ("filter_audit", "filters_do_not_move_the_shares"): no_rows(AuditedShare, audited={}),
    ("raw_feed_posts", "feeds_are_complete"): lambda day: day.lab.options.update(feeds={}),
    ("raw_feed_posts", "no_new_fields"): no_rows(RawFeedPost),
    ("consolidated_posts", "every_raw_post_is_accounted_for"): no_rows(
        ConsolidatedPost, firehose_posts=0, feed_items=0, left_out={},
        shown_by_several_feeds=0, in_firehose_and_feed=0,
    ),
    ("consolidated_posts", "uris_are_unique"): no_rows(ConsolidatedPost),
    ("filtered_posts", "every_post_has_a_verdict"): lambda day: [
        change(day)
        for change in (no_rows(ConsolidatedPost), no_rows(FilteredPost, **EMPTY_FUNNEL))
    ],
    ("filtered_posts", "stop_rates_are_usual"): forget_the_days_before,
    ("llm_labels", "labels_cover_all_passed_posts"): no_rows(FilteredPost),
    ("llm_labels", "label_shares_in_range"): no_rows(LlmLabel),
    ("llm_labels", "request_contains_the_post"): no_rows(LlmLabel),
    ("llm_labels", "company_does_not_change_labels"): lambda day: day.details(
        LlmLabel, company=None
    ),
    ("llm_labels", "labels_agree_with_people"): with_gold(lambda day: None),
}  # fmt: skip
"""What leaves a check nothing to look at."""

CHECKS = sorted(
    (key.asset_key.path[-1], key.name) for key in defs.resolve_asset_graph().asset_check_keys
)


def test_checks_pass_where_nothing_is_wrong_and_say_how_much_they_looked_at(made: Lab) -> None:
    with duckdb.connect() as con:
        outcomes = list(evaluate_day(con, made.lake, made.settings, DAY))
    outcomes += daily_report.evaluate(DayState(DAY, True, {}, (), None))
    assert sorted(map(_check, outcomes)) == CHECKS, "each is made once"
    for found in outcomes:
        assert found.passed, (_check(found), found.description)
        assert found.description is None, _check(found)
        assert found.metadata["checked"].value > 0, _check(found)


@pytest.mark.parametrize(("asset", "name"), CHECKS)
def test_a_check_fails_where_something_is_wrong_and_says_what(
    day: Day, asset: str, name: str
) -> None:
    FAILING[asset, name](day)
    found = day.outcome(asset, name)
    assert not found.passed
    assert found.description
    assert "nothing was checked" not in found.description


def test_checks_of_news_are_asked_again_with_those_of_the_day(day: Day) -> None:
    feeds = {"news_feeds": {"a": "https://a.example/rss"}, "news_context": "on"}
    day.lab.options.update(feeds)
    read = {"readings": {"a": {"items": 1, "problem": "a: it is down"}}}
    day.store(NewsArticle, table(NewsArticle, []), read)
    day.store(NewsContext, table(NewsContext, []), {})
    day.store(ContextEffect, table(ContextEffect, []), {"coded": 9})
    with_news = build_defs(day.lab.settings).resolve_asset_graph().asset_check_keys
    for key in with_news - defs.resolve_asset_graph().asset_check_keys:
        found = day.outcome(key.asset_key.path[-1], key.name)
        assert not found.passed
        assert found.description


@pytest.mark.parametrize(("asset", "name"), sorted(CHECKING_NOTHING))
def test_a_check_that_checked_nothing_says_so_and_stops_nothing(
    day: Day, asset: str, name: str
) -> None:
    CHECKING_NOTHING[asset, name](day)
    found = day.outcome(asset, name)
    assert (found.passed, found.severity) == (False, AssetCheckSeverity.WARN)
    assert (found.description or "").startswith("nothing was checked: ")
    assert found.metadata["checked"].value == 0


def test_only_what_is_about_the_day_itself_cannot_check_nothing() -> None:
    """Where nothing was collected, that is what it says."""
    assert {check for check in CHECKS if check not in CHECKING_NOTHING} == {
        ("raw_firehose_posts", "firehose_covers_the_day"),
        (DAILY_REPORT, "day_is_complete"),
    }


@pytest.mark.parametrize(
    ("asset", "name", "change", "passes"),
    [
        # The tolerances, to either side.
        ("llm_labels", "label_shares_in_range", 0.80, True),
        ("llm_labels", "label_shares_in_range", 0.01, True),
        ("llm_labels", "label_shares_in_range", 0.009, False),
    ],
)
def test_a_share_at_the_bound_is_in_range(
    day: Day, asset: str, name: str, change: float, passes: bool
) -> None:
    stored = day.lab.lake.current(LlmLabel, DAY)
    assert stored is not None
    day.details(LlmLabel, shares={**stored.details["shares"], "sociopolitical": change})
    assert day.outcome(asset, name).passed is passes


@pytest.mark.parametrize(
    ("begins", "ends", "passes"),
    [
        (timedelta(minutes=5), timedelta(0), True),
        (timedelta(minutes=5, seconds=1), timedelta(0), False),
        (timedelta(0), timedelta(minutes=5), True),
        (timedelta(0), timedelta(minutes=5, seconds=1), False),
    ],
)
def test_a_day_is_covered_from_its_beginning_to_its_end(
    day: Day, begins: timedelta, ends: timedelta, passes: bool
) -> None:
    start, end = bounds(DAY, CHICAGO)
    stretch = {
        **whole_day()["stretches"][0],
        "first_time": (start + begins).isoformat(),
        "last_time": (end - ends).isoformat(),
    }
    day.details(RawFirehosePost, completeness=whole_day(stretches=[stretch]))
    assert day.outcome("raw_firehose_posts", "firehose_covers_the_day").passed is passes


@pytest.mark.parametrize(("minutes", "passes"), [(5, True), (6, False)])
def test_what_is_missing_in_between_is_not_covered(day: Day, minutes: int, passes: bool) -> None:
    start, _ = bounds(DAY, CHICAGO)
    one = whole_day()["stretches"][0]
    noon = start + timedelta(hours=12)
    later = (noon + timedelta(minutes=minutes)).isoformat()
    stretches = [{**one, "last_time": noon.isoformat()}, {**one, "first_time": later}]
    day.details(RawFirehosePost, completeness=whole_day(stretches=stretches))
    assert day.outcome("raw_firehose_posts", "firehose_covers_the_day").passed is passes


@pytest.mark.parametrize(("stopped", "passes"), [(243, True), (237, False)])
def test_a_rate_is_unusual_from_half_of_what_is_usual(day: Day, stopped: int, passes: bool) -> None:
    day.details(FilteredPost, **funnel(stopped=stopped))
    assert day.outcome("filtered_posts", "stop_rates_are_usual").passed is passes
