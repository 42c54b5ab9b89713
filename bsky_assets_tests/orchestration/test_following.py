"""Whatever lands for a day is followed to its report, once, or the day says what it lacks.

Dagster's own daemon functions are driven over simulated days: see `simulated_days`.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from dagster import AssetCheckKey, AssetKey

from bsky_assets.contracts import ConsolidatedPost, FilteredPost
from bsky_assets.orchestration.following import DAY_IS_COMPLETE, MOST_ATTEMPTS
from bsky_assets.settings import get_settings
from bsky_assets_tests.orchestration.simulated_days import ASSETS, Days, simulated_days

pytestmark = pytest.mark.timeout(900)

HOUR = timedelta(hours=1)
CHICAGO, TOKYO = "America/Chicago", "Asia/Tokyo"


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Days]]:
    """Begins simulated days in a timezone at a local time."""
    opened = []

    def begin(timezone: str, year: int, month: int, day: int, hour: int) -> Days:
        for name, value in {
            "BSKY_SYNC_TIMEZONE": timezone,
            "BSKY_LIVE": "true",
            "BSKY_DATA_DIR": str(tmp_path / "data"),
        }.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        manager = simulated_days(get_settings(), tmp_path)
        days = manager.__enter__()
        opened.append(manager)
        days.at = datetime(year, month, day, hour, tzinfo=ZoneInfo(timezone)).astimezone(UTC)
        days.tick()
        return days

    yield begin
    for manager in opened:
        manager.__exit__(None, None, None)


def local(days: Days, year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    zone = days.settings.timezone
    return datetime(year, month, day, hour, minute, tzinfo=zone).astimezone(UTC)


def settle(days: Days) -> None:
    """A few more turns without news, so that what waits its turn has it."""
    for _ in range(4):
        days.at += timedelta(minutes=2)
        days.tick()


def require_all_followed(days: Days, *lost: str) -> None:
    """Every post is consolidated on the day it landed, and closed days say that they are whole."""
    found = days.consolidated()
    present = days.day
    for uri, day in days.posts.items():
        if day < present and uri not in lost:
            assert found.get(uri) == [day], (uri, day)
    for day in {day for day in days.posts.values() if day < present}:
        assert days.lacking(day) == []
        assert days.report_is_of(day) >= days.end_of(day)
    assert days.made_twice() == []
    assert [run for run in days.runs if not run[2]] == []


@pytest.mark.parametrize("timezone", [CHICAGO, TOKYO])
def test_what_lands_until_midnight_is_in_the_day_and_nothing_is_asked_before_news(
    start: Callable[..., Days], timezone: str
) -> None:
    days = start(timezone, 2026, 3, 10, 12)
    assert days.runs == []
    days.pass_time(local(days, 2026, 3, 10, 23, 50), 2 * HOUR)
    days.pass_time(local(days, 2026, 3, 10, 23, 59), timedelta(minutes=3))
    before = len(days.runs)
    for second in (0, 32):  # nothing has landed yet
        days.at = local(days, 2026, 3, 11) + timedelta(seconds=second)
        days.tick()
    assert len(days.runs) == before
    days.at = local(days, 2026, 3, 11, 0, 1)
    days.land()
    days.tick()
    assert [run[:2] for run in days.runs[before:]] == [("2026-03-10", FOLLOWED)]
    settle(days)
    assert [run[0] for run in days.runs[before:]] == ["2026-03-10", "2026-03-11"]
    days.pass_time(local(days, 2026, 3, 12, 1), 3 * HOUR)
    settle(days)
    require_all_followed(days)


FOLLOWED = tuple(name for name in ASSETS if name != "raw_feed_posts")
"""The assets of one run after news of the firehose."""


def test_the_present_day_is_followed_once_an_hour_in_one_run(start: Callable[..., Days]) -> None:
    days = start(CHICAGO, 2026, 3, 10, 6)
    days.pass_time(local(days, 2026, 3, 10, 9), timedelta(minutes=10))
    assert [run[0] for run in days.runs] == ["2026-03-10"] * 3
    assert {run[1] for run in days.runs} == {FOLLOWED}


@pytest.mark.parametrize(
    ("off", "on"),
    [
        pytest.param((10, 15), (10, 17), id="over 16:00"),
        pytest.param((10, 18), (11, 7), id="over midnight"),
        pytest.param((10, 14), (13, 9), id="over three days"),
    ],
)
def test_what_had_landed_before_an_outage_is_followed_after_it(
    start: Callable[..., Days], off: tuple[int, int], on: tuple[int, int]
) -> None:
    days = start(CHICAGO, 2026, 3, 10, 11)
    days.pass_time(local(days, 2026, 3, *off), HOUR)
    for _ in range(5):  # lands, and the machine goes off before anything looks
        days.at += timedelta(minutes=1)
        days.land(20)
    days.is_collecting = False
    days.at = local(days, 2026, 3, *on)
    days.tick()
    days.is_collecting = True
    days.pass_time(local(days, 2026, 3, on[0] + 1, 1), 6 * HOUR)
    settle(days)
    require_all_followed(days)
    feeds = [run[0] for run in days.runs if "raw_feed_posts" in run[1]]
    missed = [day for day in range(10, on[0]) if off < (day, 16) <= on]
    assert feeds == [f"2026-03-{day}" for day in range(10, on[0] + 1) if day not in missed]


@pytest.mark.parametrize(
    ("timezone", "month", "day"),
    [
        pytest.param(CHICAGO, 3, 8, id="23 hours"),
        pytest.param(CHICAGO, 11, 1, id="25 hours"),
        pytest.param("Europe/Berlin", 10, 25, id="25 hours elsewhere"),
    ],
)
def test_days_of_another_length_are_followed_too(
    start: Callable[..., Days], timezone: str, month: int, day: int
) -> None:
    days = start(timezone, 2026, month, day, 0)
    days.at -= 2 * HOUR
    end = local(days, 2026, month, day) + timedelta(hours=29)
    days.pass_time(end, HOUR)
    settle(days)
    assert len(set(days.posts.values())) == 3
    require_all_followed(days)


def test_late_labels_and_deletions_reach_every_day_they_are_about_once(
    start: Callable[..., Days],
) -> None:
    days = start(CHICAGO, 2026, 3, 10, 20)
    days.pass_time(local(days, 2026, 3, 10, 23, 59), HOUR)
    doomed = next(iter(days.posts))
    days.label(doomed)  # seconds before the day ends
    days.at = local(days, 2026, 3, 11, 0, 2)
    days.tick()
    settle(days)
    filtered = days.lake.current(FilteredPost, date(2026, 3, 10))
    assert filtered
    assert filtered.made_from
    assert "2026-03-10" in filtered.made_from["raw_moderation_labels"]
    before = days.runs[:]

    days.at = local(days, 2026, 3, 11, 2)
    days.delete(doomed)  # a day late: the nightly job honours it, and makes nothing anew
    days.tick()
    days.at = local(days, 2026, 3, 11, 3)
    days.tick()
    settle(days)
    assert doomed not in days.consolidated()
    assert {run[0] for run in days.runs[len(before) :]} == {"2026-03-11"}
    days.pass_time(local(days, 2026, 3, 12, 1), 6 * HOUR)
    settle(days)
    require_all_followed(days, doomed)


def test_a_late_change_of_an_old_day_reaches_the_days_that_read_it_once(
    start: Callable[..., Days],
) -> None:
    days = start(CHICAGO, 2026, 3, 10, 12)
    days.pass_time(local(days, 2026, 3, 13, 1), 12 * HOUR)
    settle(days)
    before, then = len(days.runs), days.at
    days.at = local(days, 2026, 3, 11, 12)
    days.land(3)
    days.at = then + timedelta(minutes=2)
    days.tick()
    settle(days)
    assert [run[0] for run in days.runs[before:]] == ["2026-03-11", "2026-03-12"]
    days.pass_time(local(days, 2026, 3, 14, 1), 12 * HOUR)
    settle(days)
    require_all_followed(days)


def test_a_run_that_was_lost_is_asked_for_again(start: Callable[..., Days]) -> None:
    days = start(CHICAGO, 2026, 3, 10, 12)
    days.land()
    days.at += timedelta(minutes=2)
    days.tick(work=False)
    (lost,) = days.queued()
    days.at += timedelta(minutes=5)
    days.tick(work=False)
    assert [run.run_id for run in days.queued()] == [lost.run_id]
    with days.clock():
        days.instance.report_run_failed(lost)
    days.at += HOUR
    days.tick()
    assert [run[0] for run in days.runs] == ["2026-03-10"]


def test_a_day_that_fails_is_tried_a_few_times_told_and_holds_up_no_other(
    start: Callable[..., Days],
) -> None:
    days = start(CHICAGO, 2026, 3, 10, 23)
    days.land()
    days.broken = {"llm_labels"}
    days.at = local(days, 2026, 3, 11, 0, 2)
    for _ in range(24):
        days.tick()
        days.at += HOUR
    tried = [run for run in days.runs if run[0] == "2026-03-10"]
    # The first is news by itself: what it took in is not asked for again.
    assert [len(run[1]) for run in tried] == [9, *[4] * MOST_ATTEMPTS]
    assert any(line.startswith("llm_labels:") for line in days.lacking(date(2026, 3, 10)))
    check = AssetCheckKey(AssetKey("daily_report"), DAY_IS_COMPLETE)
    told = [
        record.event.asset_check_evaluation
        for record in days.instance.event_log_storage.get_asset_check_execution_history(check, 99)
        if record.event
    ]
    about = [one for one in told if one and str(one.description).startswith("2026-03-10")]
    assert not any(one.passed for one in about)
    last = str(about[0].description)
    assert f"{MOST_ATTEMPTS} runs have not finished it" in last
    assert "materialise the day" in last
    assert "llm_labels: is not made yet" in last
    days.broken = set()
    days.land()
    days.at += HOUR
    settle(days)
    assert [run[0] for run in days.runs if run[2]] == ["2026-03-11", "2026-03-12"]
    assert days.lake.current(ConsolidatedPost, days.day)
