"""Simulated days begin in a timezone at a local time."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bsky_assets.settings import get_settings
from bsky_assets_tests.orchestration.simulated_days import Days, simulated_days


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
