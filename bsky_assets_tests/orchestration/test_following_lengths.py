"""Days of 23 and 25 hours are followed as others are."""

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
    ("timezone", "month", "day"),
    [
        pytest.param(CHICAGO, 3, 8, id="23 hours"),
        pytest.param("Europe/Berlin", 10, 25, id="25 hours"),
    ],
)
def test_days_of_another_length_are_followed_too(
    start: Callable[..., Days], timezone: str, month: int, day: int
) -> None:
    days = start(timezone, 2026, month, day, 0)
    days.at -= 4 * HOUR
    end = local(days, 2026, month, day) + timedelta(hours=29)
    days.pass_time(end, 3 * HOUR)  # the first posts land an hour before the day begins
    settle(days)
    assert len(set(days.posts.values())) == 3
    require_all_followed(days)
