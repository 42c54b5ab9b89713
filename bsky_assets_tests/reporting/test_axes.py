"""What stands at the axes of the report's pictures: each number where it is."""

from datetime import UTC, date, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from bsky_assets.reporting.coverage import STEP, coverage_figure
from bsky_assets.reporting.figures import Ranged, course_figure, ranges_figure
from bsky_assets.reporting.measures import Point
from bsky_assets.storage.completeness import Completeness

DAY = date(2026, 3, 8)
FEW = settings(max_examples=15, deadline=None)
SHARES = st.floats(-4, 0).map(lambda exponent: 10**exponent)


def numbers_stand_where_they_are(figure: Figure, axis: Axis) -> bool:
    figure.draw_without_rendering()
    low, high = axis.get_view_interval()
    ticks = [
        (place, label.get_text())
        for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        if low <= place <= high
    ]
    assert len(ticks) > 1
    return all(value_of(text) == pytest.approx(place, abs=1e-9) for place, text in ticks)


def value_of(text: str) -> float:
    number = float(text.replace(",", "").removesuffix("%"))
    return number / 100 if text.endswith("%") else number


def share(value: float, day: date = DAY) -> Point:
    return Point(day, value, value * 0.9, min(1.0, value * 1.1))


@FEW
@given(events=st.floats(0, 6).map(lambda exponent: round(10**exponent)))
@example(events=7)
def test_events_a_minute_also_where_there_is_less_than_one(events: int) -> None:
    told = Completeness(events_per_minute={"2026-03-08T12:00Z": events})
    figure = coverage_figure(told, UTC)
    assert numbers_stand_where_they_are(figure, figure.axes[0].yaxis), events / STEP


@FEW
@given(values=st.lists(SHARES, min_size=1, max_size=4))
@example(values=[0.01])
def test_shares_also_where_all_are_small(values: list[float]) -> None:
    shown = [Ranged(str(value), "neutral", share(value), None) for value in values]
    figure = ranges_figure(shown)
    assert numbers_stand_where_they_are(figure, figure.axes[0].xaxis)


@FEW
@given(values=st.lists(SHARES, min_size=1, max_size=4))
@example(values=[0.01])
def test_the_course_of_a_share_also_where_it_is_small(values: list[float]) -> None:
    points = [share(value, DAY + timedelta(days=place)) for place, value in enumerate(values)]
    figure = course_figure(points, "political")
    assert numbers_stand_where_they_are(figure, figure.axes[0].yaxis)
