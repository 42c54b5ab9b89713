"""How many posts reached each filter, how many it stopped, and why."""

from collections.abc import Mapping, Sequence

from bsky_assets.contracts.details import FilterDetails, FilterStep
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.figures import funnel_figure
from bsky_assets.reporting.measures import Usual
from bsky_assets.reporting.page import Column, Picture, Section, Share, Table
from bsky_assets.reporting.sections.filters import usual_rates
from bsky_assets.reporting.svg import inline_svg

_TOP_REASONS = 5
Steps = Sequence[FilterStep]


def section(day: StoredDay) -> Section | None:
    """The funnel, as a picture and as a table."""
    if day.filtered is None:
        return None
    told = day.filtered.told(FilterDetails)
    steps = told.funnel
    reached = "; ".join(f"{step.filter} {step.reached:,}" for step in steps)
    drawn = inline_svg(
        funnel_figure(day.filtered),
        "Posts that reached each filter",
        f"{reached}; passed all {told.passed:,}",
    )
    blocks = (
        Picture(drawn, "Posts that reached each filter, and that passed all of them."),
        _counts(steps, usual_rates(day)),
        _reasons(steps),
    )
    return Section("funnel", "Filters", blocks)


def _counts(steps: Steps, usual: Mapping[str, Usual]) -> Table:
    columns = (
        Column("filter"),
        Column("reached", "Posts that no filter before had stopped.", is_number=True),
        Column("stopped", "Posts that this filter stopped.", is_number=True),
        Column("share", "Of those that reached it.", is_number=True),
        Column("usual", "The least and the most of the days before.", is_number=True),
    )
    rows = (
        (
            _words(step.filter),
            step.reached,
            step.stopped,
            Share(step.stopped / step.reached) if step.reached else None,
            range_.as_shares() if (range_ := usual.get(step.filter)) else None,
        )
        for step in steps
    )
    return Table("What each filter stopped", columns, tuple(rows))


def _reasons(steps: Steps) -> Table:
    columns = (Column("filter"), Column("reasons", "Each with the number of posts."))
    rows = ((_words(step.filter), _most_frequent(step.reasons)) for step in steps)
    return Table("Most frequent reasons", columns, tuple(rows))


def _most_frequent(reasons: Mapping[str, int]) -> str | None:
    most = [*reasons.items()][:_TOP_REASONS]
    return ", ".join(f"{reason} {count:,}" for reason, count in most) or None


def _words(name: str) -> str:
    return name.replace("_", " ")
