"""The picture of how completely a stream was read: events per minute, with gaps marked."""

from datetime import datetime, tzinfo

from matplotlib.figure import Figure

from bsky_assets.reporting.figures import blank_figure
from bsky_assets.storage.completeness import Completeness

EVENTS, MISSING = "#3b6fb6", "#c0504d"
MINUTE = 1 / (24 * 60)
"""Matplotlib counts in days."""
LEAST_SPAN = 60 * MINUTE


def coverage_figure(completeness: Completeness, timezone: tzinfo) -> Figure:
    """Events per minute of the host's clock, and where something is missing."""
    figure, axes = blank_figure(height=2.6)
    minutes = [_number(minute) for minute in completeness.events_per_minute]
    counts = list(completeness.events_per_minute.values())
    axes.bar(minutes, counts, width=MINUTE, color=EVENTS, align="edge")
    for gap in completeness.gaps:
        if gap["after_time"] and gap["before_time"]:
            start, end = sorted((_number(gap["after_time"]), _number(gap["before_time"])))
            axes.axvspan(start, end + MINUTE, color=MISSING, alpha=0.4, lw=0)
    if minutes:
        # A stream that was read in one go is no block as wide as the picture.
        axes.set_xlim(right=max(axes.get_xlim()[1], min(minutes) + LEAST_SPAN))
    axes.set_ylabel("events a minute")
    axes.xaxis_date(timezone)
    note = f"{completeness.gap_count:,} gaps" if completeness.gap_count else "no gaps"
    axes.set_title(f"{sum(completeness.events.values()):,} events, {note}", fontsize=10, loc="left")
    figure.autofmt_xdate()
    return figure


def _number(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp() / (24 * 3600)
