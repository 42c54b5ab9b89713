"""What had landed before the machine was off is followed after it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from bsky_assets_tests.orchestration.following_days import (
    CHICAGO,
    HOUR,
    local,
    require_all_followed,
    settle,
)
from bsky_assets_tests.orchestration.simulated_days import Days

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(900)]


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
