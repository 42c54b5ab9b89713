"""Figures of a sync day, drawn from what its partitions say of themselves.

They are as wide as a telephone, on which their text must be read; wider pages put them side by
side. What belongs here: drawing. What does not: counting, which was done when a partition was
stored.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from bsky_assets.contracts.details import FilterDetails, LabelDetails
from bsky_assets.reporting.measures import Point, Usual, answer_share, sides
from bsky_assets.reporting.palette import LIGHT
from bsky_assets.storage.partition import Partition

if TYPE_CHECKING:  # a second that only a process that draws should wait for
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 5.0
"""Inches, of 72 units each."""
FONT, SMALL = 12, 11


@dataclass(frozen=True)
class Ranged:
    """A share, its interval if it has one, and what is usual for it."""

    name: str
    colour: str
    point: Point
    usual: Usual | None


def funnel_figure(filtered: Partition) -> "Figure":
    """How many posts reached each filter, and how many passed the last."""
    told = filtered.told(FilterDetails)
    names = [*(step.filter.replace("_", " ") for step in told.funnel), "passed all"]
    counts = [*(step.reached for step in told.funnel), told.passed]
    figure, axes = blank_figure(height=0.5 + 0.34 * len(names))
    colours = [*[LIGHT["neutral"]] * len(told.funnel), LIGHT["political"]]
    bars = axes.barh(names[::-1], counts[::-1], height=0.66, color=colours[::-1])
    labels = [f"{count:,}" for count in counts[::-1]]
    axes.bar_label(bars, labels=labels, padding=4, fontsize=FONT)
    axes.margins(x=0.18)
    _bars_alone(axes)
    return figure


def labels_figure(labels: Partition) -> "Figure":
    """Which side political posts take, with intervals, by the model of record."""
    shown = [Ranged(name, name, point, None) for name, point in sides(labels)]
    return ranges_figure(shown)


def shares_figure(labels: Partition) -> "Figure":
    """The share of each answer to a codebook, with intervals, by the model of record."""
    shares = labels.told(LabelDetails).shares
    found = ((label, answer_share(labels, label)) for label in shares)
    return ranges_figure([Ranged(label, "neutral", point, None) for label, point in found if point])


def ranges_figure(shown: Sequence[Ranged]) -> "Figure":
    """For each share a mark and its interval, over a bar from the least to the most usual."""
    figure, axes = blank_figure(height=0.5 + 0.42 * max(len(shown), 1))
    for place, each in enumerate(reversed(shown)):
        colour = LIGHT[each.colour]
        if each.usual:
            width = each.usual.high - each.usual.low
            axes.barh(place, width, left=each.usual.low, height=0.62, color=LIGHT["usual"])
        point = each.point
        if point.low is not None and point.high is not None:
            axes.plot([point.low, point.high], [place, place], color=colour, lw=2.5)
        axes.plot([point.value], [place], marker="o", ms=7, color=colour, clip_on=False)
        axes.annotate(
            f"{point.value:.1%}",
            (_right_end(each), place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=FONT,
        )
    axes.set_yticks(range(len(shown)), [each.name for each in reversed(shown)])
    axes.set_ylim(-0.6, max(len(shown), 1) - 0.4)
    axes.set_xlim(0, max([_right_end(each) for each in shown], default=1) * 1.22 or 1)
    round_marks(axes.xaxis, 5, percent=True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


def course_figure(points: Sequence[Point], colour: str) -> "Figure":
    """A share from day to day with its intervals; the last day is marked."""
    figure, axes = blank_figure(height=2.1)
    days = [point.day for point in points]
    places = [day.toordinal() for day in days]
    values = [point.value for point in points]
    shade = LIGHT[colour]
    lows = [point.value if point.low is None else point.low for point in points]
    highs = [point.value if point.high is None else point.high for point in points]
    axes.fill_between(places, lows, highs, color=shade, alpha=0.22, lw=0)
    axes.plot(places, values, marker="o", ms=3.5, lw=1.6, color=shade)
    axes.plot(places[-1:], values[-1:], marker="o", ms=8, color=shade)
    axes.annotate(
        f"{values[-1]:.1%}",
        (places[-1], values[-1]),
        xytext=(9, 0),
        textcoords="offset points",
        va="center",
        fontsize=FONT,
        fontweight="bold",
    )
    axes.set_ylim(0, max(highs) * 1.15 or 1)
    axes.set_xlim(places[0] - 0.5, places[-1] + max(0.16 * (places[-1] - places[0]), 0.5))
    marked = sorted({days[0], days[len(days) // 2], days[-1]})
    axes.set_xticks([day.toordinal() for day in marked], [f"{day.day} {day:%b}" for day in marked])
    round_marks(axes.yaxis, 4, percent=True)
    return figure


def sparkline_figure(points: Sequence[Point], colour: str) -> "Figure":
    """The course of a number, as small as a word; the last day is marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.6, 0.42))
    axes = figure.add_axes((0.02, 0.08, 0.96, 0.84))
    axes.axis("off")
    values = [point.value for point in points]
    shade = LIGHT[colour]
    axes.plot(values, lw=1.5, color=shade)
    axes.plot([len(values) - 1], values[-1:], marker="o", ms=5, color=shade)
    axes.margins(x=0.04, y=0.15)
    return figure


def png(figure: "Figure") -> str:
    """The figure as a data address that needs nothing from outside."""
    image = BytesIO()
    figure.savefig(image, format="png", dpi=150, facecolor=LIGHT["ground"])
    return f"data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}"


def inline_png(figure: "Figure", title: str) -> str:
    """The figure as Markdown, for the UI."""
    return f"![{title}]({png(figure)})"


def blank_figure(height: float) -> "tuple[Figure, Axes]":
    """A figure of the width of all, so many inches high."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    for spine in axes.spines.values():
        spine.set_color(LIGHT["muted"])
    axes.tick_params(color=LIGHT["muted"])
    return figure, axes


def round_marks(axis: "Axis", most: int, *, percent: bool = False) -> None:
    """Mark up to so many steps, each with its number: a rounded one would stand at two of them."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    factor, unit = (100, "%") if percent else (1, "")
    axis.set_major_locator(MaxNLocator(most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * factor:,.9g}{unit}"))


def _bars_alone(axes: "Axes") -> None:
    """Numbers stand at the bars, so that the axes are only in the way."""
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])


def _right_end(each: Ranged) -> float:
    return max(each.point.value, each.point.high or 0, each.usual.high if each.usual else 0)
