"""What the model answers to the user's codebooks, with intervals and what is usual."""

from collections.abc import Iterator

from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.details import LabelDetails
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.figures import shares_figure
from bsky_assets.reporting.measures import answer_share
from bsky_assets.reporting.page import Block, Column, Picture, Section, Share, Table, Text, Value
from bsky_assets.reporting.sections.labels import drawn
from bsky_assets.reporting.svg import inline_svg
from bsky_assets.storage.partition import Partition


def section(day: StoredDay) -> Section | None:
    """A table and a picture for each codebook with answers of the day; None if there is none."""
    blocks = [
        block
        for row in day.lake.rows
        if issubclass(row, CodebookLabel) and (found := day.partition(row))
        for block in _blocks(row, found)
    ]
    return Section("codebooks", "Answers to your codebooks", tuple(blocks)) if blocks else None


def _blocks(row: type[CodebookLabel], labels: Partition) -> Iterator[Block]:
    codebook, told = row.codebook, labels.told(LabelDetails)
    counted = (told.labelled, " of ", told.posts, " posts have an answer to: ")
    yield Text((*counted, codebook.question, drawn(told)))
    if not told.shares:
        return
    columns = (
        Column("answer"),
        Column("share", "Of the posts with an answer, with its 95% interval.", is_number=True),
    )
    yield Table(codebook.name, columns, tuple(_rows(labels, told)))
    said = "; ".join(f"{label} {part:.1%}" for label, part in told.shares.items())
    yield Picture(inline_svg(shares_figure(labels), codebook.question, said), codebook.question)


def _rows(labels: Partition, told: LabelDetails) -> Iterator[tuple[Value, ...]]:
    for label in told.shares:
        point = answer_share(labels, label)
        yield label, Share(point.value, point.low, point.high) if point else None
