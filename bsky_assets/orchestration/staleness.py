"""Which stored partitions are not as they would be made today, and why.

A partition keeps the version of its contract, of its lineage, and of what else it was made with:
the filters' configuration, the prompt, the code of its rules. Those of today are in Dagster's code
versions too, so that this lists what its UI shows as Unsynced. What hosts sent is not read again,
so that other readers are in the code version alone.
What does not belong here: making them again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from bsky_assets.consolidation.consolidate import consolidation_version
from bsky_assets.consolidation.returned import lacking, returned
from bsky_assets.contracts import (
    AuditedShare,
    ConsolidatedPost,
    DisputedPost,
    FilteredPost,
    LlmLabel,
    Row,
    contract_version,
)
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.details import Details, LabelDetails
from bsky_assets.contracts.lineage import DAILY_REPORT, lineage_version
from bsky_assets.contracts.news import NewsView
from bsky_assets.filters.config import config_version
from bsky_assets.labelling.asking.prompt import views_prompt
from bsky_assets.labelling.day import prompt_of
from bsky_assets.labelling.versions import labelling_version
from bsky_assets.reporting.head import read_head
from bsky_assets.reporting.version import report_version
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import MERGED_ROWS, merge_version
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition


@dataclass(frozen=True)
class Stale:
    """A partition that would be made otherwise today."""

    asset: str
    day: date
    reasons: tuple[str, ...]


def made_with(row: type[Row], settings: Settings) -> dict[str, str]:
    """Versions of what decides the rows besides contracts, by their names in the details."""
    return _made_with(row, settings).versions()


def _made_with(row: type[Row], settings: Settings) -> Details:
    if row is ConsolidatedPost:
        return Details(consolidation_version=consolidation_version())
    if row is FilteredPost:
        return Details(filter_version=config_version(settings))
    if row in MERGED_ROWS:
        return Details(merge_version=merge_version(row))
    if row is DisputedPost:
        return Details(labelling_version=labelling_version(row))
    if row in (LlmLabel, AuditedShare) or issubclass(row, CodebookLabel):
        prompt = prompt_of(settings, row)
        return LabelDetails(
            prompt_version=prompt.version,
            schema_version=prompt.form.version,
            labelling_version=labelling_version(row),
            overruled_by=settings.overruling_codebook if row is LlmLabel else None,
        )
    if row is NewsView:
        return Details(prompt_version=views_prompt().version)
    return Details()


def stale(lake: Lake, settings: Settings) -> Iterator[Stale]:
    """Every partition and report that would be made otherwise today, by asset and day."""
    noted = returned(lake)
    for row in lake.rows:
        versions = made_with(row, settings)
        for partition in lake.partitions(row):
            reasons = tuple(_reasons(row, partition, versions))
            if row is ConsolidatedPost and (posts := lacking(noted, partition)):
                reasons += (f"{posts:,} posts have come back to the day",)
            if reasons:
                yield Stale(row.asset, partition.day, reasons)
    yield from _stale_reports(settings)


def _reasons(row: type[Row], partition: Partition, versions: dict[str, str]) -> Iterator[str]:
    if partition.contract != contract_version(row):
        yield "the contract has changed"
    elif partition.lineage not in (None, lineage_version(row)):
        yield "what it is made from has changed"
    if row in MERGED_ROWS and partition.told(StreamDetails).merged_through is None:
        return  # it was imported, and not made from segments
    made = partition.told(Details).versions()
    for name, version in versions.items():
        if (stored := made.get(name)) != version:
            yield f"{name} was {stored}, is {version}"
    if "overruled_by" in made.keys() - versions.keys():
        yield f"overruled_by was {made['overruled_by']}, is None"


def _stale_reports(settings: Settings) -> Iterator[Stale]:
    for path in sorted(settings.reports_dir.glob("????-??-??.html")):
        head = read_head(path)
        if head and head.version != report_version():
            day = date.fromisoformat(path.stem)
            yield Stale(DAILY_REPORT, day, ("what it is made from, or how, has changed",))
