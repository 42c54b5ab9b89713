"""How completely a stream was read: its share of a day, and the picture of events and gaps."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bsky_assets.reporting.figures import blank_figure, round_marks
from bsky_assets.reporting.palette import LIGHT
from bsky_assets.storage.completeness import Completeness
from bsky_assets.storage.coverage import covered
from bsky_assets.sync_day import bounds, now

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEP = 10
"""Minutes that are drawn as one."""
_SECONDS_A_DAY = 24 * 3600
"""Matplotlib counts in days."""
_LEAST_SPAN = 3600 / _SECONDS_A_DAY
_MOST_STEPS = 72 * 60 // STEP
"""A relay keeps three days, and a host's clock may be wrong by years."""
_MARKED_HOURS = (0.25, 0.5, 1, 3, 6, 12)
_MOST_MARKS = 6


def share_covered(completeness: Completeness, day: date, timezone: ZoneInfo) -> float | None:
    """How much of `day`, as far as it has come, the stretches span; None before it begins."""
    start, end = bounds(day, timezone)
    end = min(end, now())
    return None if end <= start else covered(completeness, day, timezone) / (end - start)


def coverage_figure(completeness: Completeness, timezone: tzinfo) -> "Figure":
    """Events per minute of the host's clock, and where something is missing."""
    figure, axes = blank_figure(height=2.1)
    rates = _rates(completeness)
    if rates:
        last = max(rates)
        steps = range(max(min(rates), last - _MOST_STEPS * STEP), last + STEP, STEP)
        edges = [minute * 60 / _SECONDS_A_DAY for minute in (*steps, steps[-1] + STEP)]
        heights = [rates.get(minute, 0.0) for minute in steps]
        axes.stairs(heights, edges, fill=True, color=LIGHT["neutral"], lw=0)
        # A stream that was read in one go is no block as wide as the picture.
        axes.set_xlim(edges[0], max(edges[-1], edges[0] + _LEAST_SPAN))
    for start, end in _merged(_gap_spans(completeness)):
        axes.axvspan(
            start / _SECONDS_A_DAY, end / _SECONDS_A_DAY, color=LIGHT["alarm"], alpha=0.5, lw=1
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("events a minute", fontsize=11)
    round_marks(axes.yaxis, 4)
    _mark_times(axes, timezone)
    return figure


def _mark_times(axes: "Axes", timezone: tzinfo) -> None:
    """Round times of the day, the date where one begins."""
    low, high = (edge * _SECONDS_A_DAY for edge in axes.get_xlim())
    hours = next((step for step in _MARKED_HOURS if (high - low) / 3600 / step <= _MOST_MARKS), 24)
    first = datetime.fromtimestamp(low, timezone).replace(minute=0, second=0, microsecond=0)
    each = (first + timedelta(minutes=minutes) for minutes in range(0, 5 * 24 * 60, 15))
    marks = [
        instant
        for instant in each
        if low <= instant.timestamp() <= high
        and (instant.hour * 60 + instant.minute) % (hours * 60) == 0
    ]
    axes.set_xticks(
        [instant.timestamp() / _SECONDS_A_DAY for instant in marks],
        [
            f"{mark:%H:%M}" if mark.hour or mark.minute else f"{mark.day} {mark:%b}"
            for mark in marks
        ],
    )


def _rates(completeness: Completeness) -> dict[int, float]:
    """Events a minute by step, which its first minute names, counted from 1970."""
    events: Counter[int] = Counter()
    latest = now().timestamp() + _SECONDS_A_DAY
    for minute, count in completeness.events_per_minute.items():
        if (seconds := int(_seconds(minute))) < latest:
            events[seconds // 60 // STEP * STEP] += count
    return {minute: count / STEP for minute, count in events.items()}


def _gap_spans(completeness: Completeness) -> Iterator[tuple[float, float]]:
    """From step to step, so that gaps close to each other are drawn as one."""
    step = STEP * 60
    for gap in completeness.gaps:
        if gap.after_time and gap.before_time:
            start, end = sorted((_seconds(gap.after_time), _seconds(gap.before_time)))
            yield start // step * step, (end // step + 1) * step


def _merged(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Spans of seconds in their order, those put together that touch each other."""
    current: tuple[float, float] | None = None
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if current and start <= current[1]:
            current = current[0], max(current[1], end)
            continue
        if current:
            yield current
        current = start, end
    if current:
        yield current


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()
