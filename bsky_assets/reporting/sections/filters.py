"""What the filters do to the numbers: how much each stops, against the fortnight before."""

from collections.abc import Iterator

from bsky_assets.contracts.details import FilterDetails
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.figures import Ranged, ranges_figure
from bsky_assets.reporting.measures import Point, Usual, share, usual
from bsky_assets.reporting.page import Block, Picture, Section, Text
from bsky_assets.reporting.svg import inline_svg
from bsky_assets.storage.partition import Partition


def section(day: StoredDay) -> Section | None:
    """How much each filter stopped; None without filtered posts."""
    if day.filtered is None:
        return None
    return Section("filters", "What did the filters take away?", tuple(_blocks(day, day.filtered)))


def stop_rates(partition: Partition) -> dict[str, Point]:
    """For each filter that a post reached, the share of these that it stopped."""
    found = (
        (step.filter, share(partition.day, step.stopped, step.reached))
        for step in partition.told(FilterDetails).funnel
    )
    return {name: point for name, point in found if point}


def usual_rates(day: StoredDay) -> dict[str, Usual]:
    """What is usual for each filter."""
    earlier = [stop_rates(each.filtered) for each in day.before if each.filtered]
    names = dict.fromkeys(name for rates in earlier for name in rates)
    found = ((name, usual([rates[name] for rates in earlier if name in rates])) for name in names)
    return {name: range_ for name, range_ in found if range_}


def _blocks(day: StoredDay, filtered: Partition) -> Iterator[Block]:
    stopped = filtered.rows - filtered.told(FilterDetails).passed
    rest = " posts. The shares above are of the posts that passed, not of all of Bluesky."
    yield Text(("The filters stopped ", stopped, " of ", filtered.rows, rest))
    rates, usual_ones = stop_rates(filtered), usual_rates(day)
    if not rates:
        return
    shown = [
        Ranged(name.replace("_", " "), "ink", point, usual_ones.get(name))
        for name, point in rates.items()
    ]
    told = "; ".join(f"{each.name} {each.point.value:.1%}" for each in shown)
    bars = ", on the bar from the least to the most of the days before" if usual_ones else ""
    yield Picture(
        inline_svg(ranges_figure(shown), "Share of posts that each filter stopped", told),
        f"Share that each filter stopped of the posts that reached it{bars}.",
    )
