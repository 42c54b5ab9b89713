"""Every label and its share, with intervals and what is usual."""

from bsky_assets.contracts.details import LabelDetails
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.measures import Point, Stored, counts, share, usual
from bsky_assets.reporting.page import Column, Section, Share, Table, Text, Value


def section(day: StoredDay) -> Section | None:
    """All labels of the day; None before there are any."""
    if day.labels is None:
        return None
    told = day.labels.told(LabelDetails)
    rows = tuple(_row(day, name) for name in counts(day.labels))
    columns = (
        Column("label"),
        Column("posts", is_number=True),
        Column(
            "share",
            "Of all labelled posts, political or not, with its 95% interval.",
            is_number=True,
        ),
        Column("usual", "The least and the most on the days before.", is_number=True),
    )
    said = (told.labelled, " of ", told.posts, " posts that passed have a label.")
    return Section("labels", "Labels", (Text(said), Table("Posts by label", columns, rows)))


def _row(day: StoredDay, name: str) -> tuple[Value, ...]:
    point = _share(day.itself, name)
    before = [found for each in day.before if (found := _share(each, name))]
    range_ = usual(before)
    return (
        name.replace("not_sociopolitical", "not political"),
        counts(day.labels)[name] if day.labels else None,
        Share(point.value, point.low, point.high) if point else None,
        range_.as_shares() if range_ else None,
    )


def _share(stored: Stored, name: str) -> Point | None:
    if stored.labels is None:
        return None
    found = counts(stored.labels)
    return share(stored.day, found[name], sum(found.values()))
