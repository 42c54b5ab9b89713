"""How many posts, how many of them political, which way, and whether that is usual."""

from collections.abc import Iterator

from bsky_assets.analysis.estimating.shares import ALL, POLITICAL, DayShares
from bsky_assets.contracts import LlmLabel
from bsky_assets.reporting.day import FORTNIGHT, StoredDay
from bsky_assets.reporting.figures import Ranged, course_figure, ranges_figure, sparkline_figure
from bsky_assets.reporting.measures import MEASURES, Measure, Point, Usual
from bsky_assets.reporting.page import Block, Fact, Facts, Picture, Section, Share, Text, Value
from bsky_assets.reporting.palette import SIDES
from bsky_assets.reporting.sections.labels import as_share
from bsky_assets.reporting.svg import inline_svg

TILES = ("posts", "passed", "political", "left", "right")
_BY_KEY = {measure.key: measure for measure in MEASURES}
_SIDE_PHRASES = {
    "left": "take the side of the left",
    "right": "that of the right",
    "moderate": "a moderate position",
    "unclear": "no clear side",
}


def section(day: StoredDay) -> Section:
    return Section("answer", "The answer", tuple(_blocks(day)))


def shown(measure: Measure, point: Point | None) -> Value:
    """A number of a day as the page shows it."""
    if point is None:
        return None
    return Share(point.value, point.low, point.high) if measure.is_share else int(point.value)


def _blocks(day: StoredDay) -> Iterator[Block]:
    if isinstance(day.corrected, DayShares):
        yield Text(tuple(_corrected(day.corrected)), is_lead=True)
    yield Text(tuple(_sentences(day)), is_lead=True)
    yield Facts(tuple(_fact(day, _BY_KEY[key]) for key in TILES))
    yield from _pictures(day)
    yield Text((_compared_with(day),))


def _corrected(found: DayShares) -> Iterator[Value]:
    """The shares corrected by what people coded, before those by the model."""
    yield f"Corrected by {found.coded:,} posts that people coded, "
    told = [(row, row.corrected) for row in found.rows if row.corrected]
    for row, one in told:
        if row.label == POLITICAL and row.share_of == ALL:
            yield from (as_share(one), " of the posts are political")
    sides = [(row.label, one) for row, one in told if row.share_of == POLITICAL]
    for place, (side, one) in enumerate(sides):
        yield ", " if place else "; of the political ones "
        yield from (as_share(one), f" {_SIDE_PHRASES[side]}")
    yield ". By the model alone:"


def _sentences(day: StoredDay) -> Iterator[Value]:
    numbers = {key: shown(_BY_KEY[key], point) for key, point in day.measured.items()}
    if numbers["posts"] is None:
        yield "How many posts there are cannot be told: filtered_posts cannot be read."
        return
    yield from (numbers["posts"], " posts were received; ", numbers["passed"])
    yield " are in English and passed the filters."
    if numbers["political"] is None:
        yield f" {_why_not_labelled(day)}"
        return
    yield from (" Of these, ", numbers["political"], " are political.")
    if numbers["left"] is None:
        return
    yield " Of the political ones "
    for place, side in enumerate(SIDES):
        yield from (" and " if place == len(SIDES) - 1 else ", " if place else "", numbers[side])
        yield f" {_SIDE_PHRASES[side]}"
    yield "."


def _why_not_labelled(day: StoredDay) -> str:
    if LlmLabel.asset in day.damaged:
        return "Their labels cannot be read."
    passed = day.measured["passed"]
    return "None of them has a label yet." if passed and passed.value else "There is none to label."


def _fact(day: StoredDay, measure: Measure) -> Fact:
    point, course = day.measured[measure.key], day.course(measure)
    sparkline = ""
    if point and len(course) > 1:
        title = f"{measure.name} from {course[0].day} to {course[-1].day}"
        told = ", ".join(f"{each.day}: {_words(measure, each.value)}" for each in course)
        sparkline = inline_svg(sparkline_figure(course, measure.colour), title, told)
    return Fact(
        measure.name,
        shown(measure, point),
        measure.definition,
        _against(day, measure, point, day.usual(measure)),
        sparkline,
    )


def _against(day: StoredDay, measure: Measure, point: Point | None, usual: Usual | None) -> str:
    if point is None or usual is None:
        return ""
    range_ = f"{_words(measure, usual.low)} to {_words(measure, usual.high)}"
    if not day.is_over and not measure.is_share:
        return f"whole days before: {range_}"
    return f"{usual.place_of(point.value)} ({range_})"


def _words(measure: Measure, value: float) -> str:
    return f"{value:.1%}" if measure.is_share else f"{value:,.0f}"


def _pictures(day: StoredDay) -> Iterator[Picture]:
    ranged = [
        Ranged(side, side, point, day.usual(_BY_KEY[side]))
        for side in SIDES
        if (point := day.measured[side])
    ]
    if ranged:
        told = "; ".join(_told(each) for each in ranged)
        drawn = inline_svg(ranges_figure(ranged), "Which side political posts take", told)
        bars = " The grey bar runs from the least to the most of the days before."
        yield Picture(
            drawn,
            "Which side political posts take: the dot is the share, the line its 95% interval."
            f"{bars if any(each.usual for each in ranged) else ''}",
        )
    course = day.course(_BY_KEY["political"])
    if len(course) > 1 and day.measured["political"]:
        told = "; ".join(f"{point.day}: {point.value:.1%}" for point in course)
        drawn = inline_svg(course_figure(course, "political"), "Political posts by day", told)
        yield Picture(
            drawn,
            "Share of labelled posts that are political, by day, with its 95% interval; the last "
            "dot is this day.",
        )


def _told(each: Ranged) -> str:
    interval = f" ({each.point.low:.1%} to {each.point.high:.1%})" if each.point.low else ""
    usual = f", usually {each.usual.as_shares()}" if each.usual else ""
    return f"{each.name} {each.point.value:.1%}{interval}{usual}"


def _compared_with(day: StoredDay) -> str:
    days = len(day.before)
    if not days:
        return f"None of the {FORTNIGHT} days before is stored: there is nothing to compare with."
    stored = f"Of the {FORTNIGHT} days before, {days} {'is' if days == 1 else 'are'} stored."
    if day.measured["political"] is None:
        return stored
    return (
        "In brackets: the 95% interval of each share, for sampling alone; it does not cover the "
        f"model's mistakes. {stored}"
    )
