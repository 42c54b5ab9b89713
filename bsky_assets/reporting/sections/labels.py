"""Every label and its share, with intervals and what is usual."""

from collections.abc import Iterator

from bsky_assets.contracts.details import LabelDetails
from bsky_assets.labelling.statistics.metrics import Estimate
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.measures import Point, Stored, counts, part_of, usual
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
_NAIVE = "The intervals by the model are of chance alone, and know nothing of its mistakes."


def section(day: StoredDay) -> Section | None:
    """All labels of the day; None before there are any."""
    if day.labels is None:
        return None
    told = day.labels.told(LabelDetails)
    labelled = (told.labelled, " of ", told.posts, " posts that passed have a label.")
    said = Text((*labelled, drawn(told)))
    rows = tuple(_row(day, name) for name in counts(day.labels))
    by_model = Table("Posts by label, as the model has it", COLUMNS, rows)
    return Section("labels", "Labels", (said, *_corrected(day), by_model))


def drawn(told: LabelDetails) -> str:
    """That the labels are those of a sample, if they are, and how many posts are not in it."""
    if told.sample is None:
        return ""
    by = "the student's scores" if told.sample.student else "source"
    return (
        f" They are a random sample, stratified by {by}: {told.not_asked:,} posts were not asked "
        "about. Shares, and numbers of posts, are estimates for all of them."
    )


def _corrected(day: StoredDay) -> Iterator[Block]:
    """The shares corrected by what people coded, before those by the model; or why not."""
    found = day.corrected
    if isinstance(found, str):
        yield Text((f"These shares are {found}." if found.startswith("not") else f"{found}.",))
        return
    yield Text((f"People coded {found.coded} of these posts ({found.sample}). ", _NAIVE))
    columns = (
        Column("label"),
        Column("corrected", "Share of all labelled posts, with its 95% interval.", is_number=True),
        Column("by the model", "The same by the model's labels alone.", is_number=True),
    )
    shares = found.shares.items()
    rows = ((name, as_share(one.corrected), Share(one.naive.value)) for name, one in shares)
    yield Table("Shares corrected by what people coded", columns, tuple(rows))


def as_share(estimate: Estimate | None) -> Value:
    """An estimate as the page shows it: no share is below nought, or more than all."""
    if estimate is None:
        return None
    return Share(estimate.value, max(estimate.low, 0.0), min(estimate.high, 1.0))


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
    return part_of(stored.labels, [name]) if stored.labels else None
