"""The sync day: the calendar day, in one configured timezone, on which a post was received.

Never `created_at`, which authors set freely. A day has 23 or 25 hours where clocks change.
What does not belong here: Dagster's partitions definition, which is in `partitions`.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bsky_assets.errors import BadUsage

FIRST_DAY = date(2024, 1, 1)
"""The first day that can be materialised; the app opened to the public soon after it."""

LOOK_BACK_DAYS = 7
"""A URI consolidated in this many days before is not filtered and labelled again."""


class NoSuchDay(BadUsage):
    """The day cannot be materialised: it is malformed, in the future or before the first."""


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def sync_day_of(instant: datetime, timezone: ZoneInfo) -> date:
    """The sync day on which `instant` (timezone-aware) falls."""
    return instant.astimezone(timezone).date()


def today(timezone: ZoneInfo) -> date:
    """The sync day of the present instant."""
    return sync_day_of(now(), timezone)


def bounds(day: date, timezone: ZoneInfo) -> tuple[datetime, datetime]:
    """First instant of `day` and first instant after it, both in UTC."""
    start = datetime.combine(day, time(), timezone)
    end = datetime.combine(day + timedelta(days=1), time(), timezone)
    return start.astimezone(UTC), end.astimezone(UTC)


def look_back(day: date) -> list[date]:
    """The days before `day` whose posts are not taken up again, oldest first."""
    days = (day - timedelta(days=back) for back in range(LOOK_BACK_DAYS, 0, -1))
    return [earlier for earlier in days if earlier >= FIRST_DAY]


def parse_day(text: str, timezone: ZoneInfo) -> date:
    """The sync day that a person named: YYYY-MM-DD, `today`, `yesterday`, or -2 for two days ago.

    Raises:
        NoSuchDay: with a message that says which days there are.
    """
    latest = today(timezone)
    if text in ("today", "yesterday"):
        return latest - timedelta(days=("today", "yesterday").index(text))
    try:
        is_relative = re.fullmatch(r"-\d{1,4}", text)
        day = latest + timedelta(days=int(text)) if is_relative else date.fromisoformat(text)
    except ValueError:
        raise NoSuchDay(
            f"{text!r} is not a day; write it as YYYY-MM-DD, `today`, `yesterday` or -2"
        ) from None
    if not FIRST_DAY <= day <= latest:
        raise NoSuchDay(
            f"{day} cannot be materialised: days run from {FIRST_DAY} to {latest} ({timezone.key})"
        )
    return day


def parse_days(text: str, timezone: ZoneInfo) -> list[date]:
    """The sync days from one to another that a person named: `DAY`, or `DAY..DAY`, both included.

    Raises:
        NoSuchDay: one of them is none, or the last is before the first.
    """
    first, dots, last = text.partition("..")
    start = parse_day(first, timezone)
    end = parse_day(last, timezone) if dots else start
    if end < start:
        raise NoSuchDay(f"{text!r} ends before it begins; write the earlier day first")
    return [start + timedelta(days=number) for number in range((end - start).days + 1)]


def synctimestamp(instant: datetime) -> str:
    """`instant` as a synctimestamp: UTC, printed as YYYY-MM-DD-HH:MM:SS."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d-%H:%M:%S")
