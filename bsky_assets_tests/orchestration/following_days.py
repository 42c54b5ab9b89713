"""What the tests of following have in common."""

from datetime import UTC, datetime, timedelta

from bsky_assets_tests.orchestration.simulated_days import Days

CHICAGO, TOKYO = "America/Chicago", "Asia/Tokyo"
HOUR = timedelta(hours=1)


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
