"""What is stored of the day, and with which versions it was made."""

from collections.abc import Iterator

from bsky_assets.contracts import LlmLabel
from bsky_assets.contracts.details import Details, LabelDetails
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Code, Column, Section, Table
from bsky_assets.storage.partition import Partition

_WORDS = {
    "merge_version": "merging",
    "consolidation_version": "consolidation",
    "filter_version": "filters",
    "prompt_version": "prompt's version",
    "schema_version": "form of answers",
    "labelling_version": "labelling",
}


def section(day: StoredDay) -> Section:
    """Rows of each asset, and what identifies how they came about."""
    columns = (
        Column("asset"),
        Column("rows", is_number=True),
        Column("written"),
        Column("made with", "Versions: of two days that have the same, the rows compare."),
    )
    rows = (
        (Code(asset), found.rows, found.written_at, ", ".join(_versions(found)))
        for asset, found in day.partitions.items()
    )
    table = Table("What is stored of the day", columns, tuple(rows))
    return Section("versions", "What is stored, and how it was made", (table,))


def _versions(partition: Partition) -> Iterator[str]:
    yield f"contract {partition.contract}"
    told = partition.told(LabelDetails if partition.dataset == LlmLabel.asset else Details)
    versions = told.versions()
    if isinstance(told, LabelDetails) and told.prompt:
        yield f"prompt {told.prompt[:12]}"
    for key, name in _WORDS.items():
        if version := versions.get(key):
            yield f"{name} {version[:12]}"
    for version in told.reader_versions:
        yield f"readers {version}"
    for model in told.models if isinstance(told, LabelDetails) else ():
        yield f"model {model.model} {(model.model_digest or '')[:19]}".rstrip()
