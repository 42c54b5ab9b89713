"""Whatever lands for a day is followed to its report, once, or the day says what it lacks.

Dagster's own daemon functions are driven over simulated days: see `simulated_days`.
"""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from dagster import AssetCheckKey, AssetKey

from bsky_assets.contracts import ConsolidatedPost, FilteredPost
from bsky_assets.orchestration.following import DAY_IS_COMPLETE, MOST_ATTEMPTS
from bsky_assets_tests.orchestration.following_days import (
    CHICAGO,
    HOUR,
    TOKYO,
    local,
    require_all_followed,
    settle,
)
from bsky_assets_tests.orchestration.simulated_days import ASSETS, Days

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(900)]


def test_what_lands_until_midnight_is_in_the_day_and_nothing_is_asked_before_news(
    start: Callable[..., Days],
) -> None:
    days = start(TOKYO, 2026, 3, 10, 12)  # the other tests are of Chicago and Berlin
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


def test_a_look_in_the_middle_of_a_run_asks_for_nothing_more(start: Callable[..., Days]) -> None:
    days = start(CHICAGO, 2026, 3, 10, 12)
    days.land()
    days.label(next(iter(days.posts)))
    days.at += timedelta(minutes=2)
    days.tick(work=False)
    (run,) = days.queued()
    days.make("raw_firehose_posts", "raw_moderation_labels")  # and no deletions yet
    for _ in range(3):
        days.at += timedelta(minutes=1)
        days.tick(work=False)
        assert [one.run_id for one in days.queued()] == [run.run_id]
    days.work()
    settle(days)
    assert [one[0] for one in days.runs] == ["2026-03-10"]
    assert days.made_twice() == []


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


def test_posts_that_come_back_with_their_account_are_taken_up_the_night_after(
    start: Callable[..., Days],
) -> None:
    days = start(CHICAGO, 2026, 3, 10, 12)
    days.land(author="did:plc:away")
    (absent,) = days.posts
    days.account("did:plc:away", "deactivated")
    days.pass_time(local(days, 2026, 3, 12, 12), 12 * HOUR)
    settle(days)
    assert absent not in days.consolidated()
    days.account("did:plc:away", "active")
    days.pass_time(local(days, 2026, 3, 13, 2), 6 * HOUR)
    before = len(days.runs)
    days.at = local(days, 2026, 3, 13, 3)  # when the nightly job runs
    days.tick()
    assert "lacks 1 posts that have come back" in str(days.lacking(date(2026, 3, 10)))
    settle(days)
    assert days.consolidated()[absent] == [date(2026, 3, 10)]
    assert [run[0] for run in days.runs[before:]].count("2026-03-10") == 1
    assert days.lacking(date(2026, 3, 10)) == []


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
    assert [len(run[1]) for run in tried] == [11, *[5] * MOST_ATTEMPTS]
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
