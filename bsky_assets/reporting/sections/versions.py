"""What is stored of the day, and with which versions it was made."""

from collections.abc import Iterator

from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Code, Column, Section, Table
from bsky_assets.storage.lake import Partition

_DETAILS = {
    "merge_version": "merging",
    "consolidation_version": "consolidation",
    "filter_version": "filters",
    "prompt": "prompt",
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
        (
            Code(asset),
            partition.rows,
            partition.written_at,
            ", ".join(_versions(partition)),
        )
        for asset, partition in day.partitions.items()
    )
    table = Table("What is stored of the day", columns, tuple(rows))
    return Section("versions", "What is stored, and how it was made", (table,))


def _versions(partition: Partition) -> Iterator[str]:
    yield f"contract {partition.contract}"
    for key, name in _DETAILS.items():
        if version := partition.details.get(key):
            yield f"{name} {version[:12]}"
    for version in partition.details.get("reader_versions", ()):
        yield f"readers {version}"
    for model in partition.details.get("models", ()):
        yield f"model {model['model']} {(model.get('model_digest') or '')[:19]}".rstrip()
