"""Figures of a sync day, drawn from what its partitions say of themselves.

What belongs here: drawing. What does not: counting, which was done when a partition was stored.
"""

import base64
from io import BytesIO
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bsky_assets.storage.lake import Partition

PASSED, STOPPED = "#2a9d8f", "#d9d9d9"
LABEL_COLOURS = {
    "not_sociopolitical": "#bdbdbd",
    "left": "#3b6fb6",
    "right": "#c0504d",
    "moderate": "#8064a2",
    "unclear": "#e0a030",
}


def funnel_figure(filtered: Partition) -> Figure:
    """How many posts reached each filter, and how many passed the last."""
    steps = filtered.details["funnel"]
    names = [*(step["filter"] for step in steps), "passed"]
    counts = [*(step["reached"] for step in steps), filtered.details["passed"]]
    figure, axes = blank_figure(height=2.8)
    bars = axes.barh(names[::-1], counts[::-1], color=[PASSED, *[STOPPED] * len(steps)])
    axes.bar_label(bars, labels=[f"{count:,}" for count in counts[::-1]], padding=3)
    axes.set_xlabel("posts that reached the filter")
    axes.margins(x=0.15)
    return figure


def labels_figure(labels: Partition) -> Figure:
    """The share of each label among the posts labelled by the model of record."""
    shares = {name: labels.details["shares"].get(name, 0.0) for name in LABEL_COLOURS}
    figure, axes = blank_figure(height=2.4)
    bars = axes.barh(
        [*shares][::-1], [*shares.values()][::-1], color=[*LABEL_COLOURS.values()][::-1]
    )
    axes.bar_label(bars, labels=[f"{share:.1%}" for share in [*shares.values()][::-1]], padding=3)
    axes.set_xlabel(f"share of {labels.details['labelled']:,} posts")
    axes.margins(x=0.15)
    return figure


def shares_over_time_figure(shares: pd.DataFrame) -> Figure:
    """Shares by day with their intervals: columns day, label, share, low, high."""
    figure, axes = blank_figure(height=3.0)
    for label, lines in shares.groupby("label", sort=False):
        colour = LABEL_COLOURS.get(str(label), "#444444")
        axes.plot(lines["day"], lines["share"], marker="o", ms=4, label=label, color=colour)
        axes.fill_between(lines["day"], lines["low"], lines["high"], alpha=0.2, color=colour)
    axes.set_ylabel("share of labelled posts")
    axes.set_ylim(bottom=0)
    _mark_days(axes, shares["day"])
    return figure


def stop_rates_figure(rates: pd.DataFrame) -> Figure:
    """What share of posts each filter stopped, by day: columns day, filter, rate."""
    figure, axes = blank_figure(height=3.0)
    for name, lines in rates.groupby("filter", sort=False):
        axes.plot(lines["day"], lines["rate"], marker="o", ms=4, label=name)
    axes.set_ylabel("share stopped")
    axes.set_ylim(bottom=0)
    _mark_days(axes, rates["day"])
    return figure


def _mark_days(axes: Axes, days: "pd.Series[Any]") -> None:
    """A mark for each day, and the legend beside the lines."""
    marks = sorted(set(days))
    axes.set_xticks(marks, [f"{day:%d %b}" for day in marks], rotation=45, ha="right")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False)


def png(figure: Figure) -> str:
    """The figure as a data address that needs nothing from outside."""
    image = BytesIO()
    figure.savefig(image, format="png", dpi=110, bbox_inches="tight")
    return f"data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}"


def inline_png(figure: Figure, title: str) -> str:
    """The figure as Markdown, for the UI."""
    return f"![{title}]({png(figure)})"


def blank_figure(height: float) -> tuple[Figure, Axes]:
    """A figure of the report's width, so many inches high."""
    figure = Figure(figsize=(7.2, height))
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
