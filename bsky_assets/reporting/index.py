"""The page of all days: what each came to, and the course of every number.

What belongs here: reading the numbers of all days that have a report. A day's own page says more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from bsky_assets.reporting.day import stored
from bsky_assets.reporting.figures import sparkline_figure
from bsky_assets.reporting.head import read_head, report_path
from bsky_assets.reporting.measures import MEASURES, Measure, Point, Stored
from bsky_assets.reporting.page import Fact, Value
from bsky_assets.reporting.rendering import render
from bsky_assets.reporting.sections.answer import TILES, shown
from bsky_assets.reporting.svg import inline_svg
from bsky_assets.storage.files import staged
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.locks import exclusive
from bsky_assets.sync_day import now

NAME = "index.html"
_MEASURES = tuple(measure for measure in MEASURES if measure.key in TILES)


@dataclass(frozen=True)
class Line:
    """A day in the table of days."""

    day: date
    numbers: tuple[Value, ...]
    """In the order of the measures."""
    notices: int | None
    """How many notices its page has; None where it does not say."""


def report_days(folder: Path) -> list[date]:
    """The days that have a report, oldest first."""
    return sorted(_days(folder))


def write_index(lake: Lake, folder: Path, timezone: ZoneInfo) -> Path:
    """Write the page of all days that have a report below `folder`; returns its path.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    target = folder / NAME
    with exclusive(folder):  # so that of two days reported on at a time none is left out
        days = [stored(lake, day) for day in report_days(folder)]
        html = render(
            "index.html",
            timezone,
            measures=_MEASURES,
            facts=[_fact(measure, days) for measure in _MEASURES],
            lines=[_line(day, folder) for day in reversed(days)],
            written_at=now(),
        )
        with staged(target) as path:
            path.write_text(html, encoding="utf-8")
    return target


def _days(folder: Path) -> Iterator[date]:
    for path in folder.glob("????-??-??.html"):
        try:
            yield date.fromisoformat(path.stem)
        except ValueError:
            continue  # somebody else's file


def _line(day: Stored, folder: Path) -> Line:
    numbers = tuple(shown(measure, measure.read(day)) for measure in _MEASURES)
    head = read_head(report_path(folder, day.day))
    return Line(day.day, numbers, head.notices if head else None)


def _fact(measure: Measure, days: Sequence[Stored]) -> Fact:
    points = [point for day in days if (point := measure.read(day))]
    last = points[-1] if points else None
    return Fact(
        measure.name,
        shown(measure, last),
        measure.definition,
        f"on {last.day}" if last else "",
        _sparkline(measure, points),
    )


def _sparkline(measure: Measure, points: Sequence[Point]) -> str:
    if len(points) < 2:
        return ""
    values = [point.value for point in points]
    form = "{:.1%}" if measure.is_share else "{:,.0f}"
    told = f"from {form.format(min(values))} to {form.format(max(values))} on {len(points)} days"
    title = f"{measure.name} by day"
    return inline_svg(sparkline_figure(points, measure.colour), title, told)
