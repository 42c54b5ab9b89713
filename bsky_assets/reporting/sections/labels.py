"""Every label and its share, with intervals and what is usual."""

from collections.abc import Iterator

from bsky_assets.contracts.details import LabelDetails
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.measures import Point, Stored, counts, share, usual
from bsky_assets.reporting.page import Block, Column, Section, Share, Table, Text, Value

COLUMNS = (
    Column("label"),
    Column("posts", is_number=True),
    Column(
        "share",
        "Of all labelled posts, political or not, with its 95% interval.",
        is_number=True,
    ),
    Column("usual", "The least and the most on the days before.", is_number=True),
)
NAIVE = "The intervals by the model are of chance alone, and know nothing of its mistakes."


def section(day: StoredDay) -> Section | None:
    """All labels of the day; None before there are any."""
    if day.labels is None:
        return None
    told = day.labels.told(LabelDetails)
    said = Text((told.labelled, " of ", told.posts, " posts that passed have a label."))
    rows = tuple(_row(day, name) for name in counts(day.labels))
    by_model = Table("Posts by label, as the model has it", COLUMNS, rows)
    return Section("labels", "Labels", (said, *_corrected(day), by_model))


def _corrected(day: StoredDay) -> Iterator[Block]:
    """The shares corrected by what people coded, before those by the model; or why not."""
    found = day.corrected
    if isinstance(found, str):
        yield Text((f"These shares are {found}." if found.startswith("not") else f"{found}.",))
        return
    yield Text((f"People coded {found.coded} of these posts ({found.sample}). ", NAIVE))
    columns = (
        Column("label"),
        Column("corrected", "Share of all labelled posts, with its 95% interval.", is_number=True),
        Column("by the model", "The same by the model's labels alone.", is_number=True),
    )
    rows = tuple(
        (
            name,
            Share(one.corrected.value, max(one.corrected.low, 0.0), min(one.corrected.high, 1.0)),
            Share(one.naive.value),
        )
        for name, one in found.shares.items()
    )
    yield Table("Shares corrected by what people coded", columns, rows)


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
