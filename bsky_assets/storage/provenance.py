"""What partitions say of themselves, as tables: read off their pointers, which say it first."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import orjson
import pyarrow as pa

from bsky_assets.contracts import (
    FilteredPost,
    RawFeedPost,
    RawFirehosePost,
    Row,
    arrow_schema,
)
from bsky_assets.contracts.details import FeedDetails, FilterDetails
from bsky_assets.contracts.provenance import (
    DayProvenance,
    FeedRead,
    FirehoseGap,
    FunnelStep,
)
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

Values = Mapping[str, Any]


def tables(lake: Lake) -> dict[type[Row], pa.Table]:
    """Each table of provenance, with `sync_day` first, of everything that is stored."""
    stored = {row: lake.partitions(row) for row in lake.tables}
    return {
        row: _table(
            row,
            (
                {"sync_day": partition.day, **values}
                for source in sources or stored
                for partition in stored[source]
                for values in told(partition)
            ),
        )
        for row, (sources, told) in _TOLD.items()
    }


def _table(row: type[Row], rows: Iterator[Values]) -> pa.Table:
    schema = pa.schema([pa.field("sync_day", pa.date32()), *arrow_schema(row)])
    return pa.Table.from_pylist(list(rows), schema=schema)


def _partition(partition: Partition) -> Iterator[Values]:
    named = ("dataset", "rows", "bytes", "contract", "lineage", "version", "written_at")
    values = {name: getattr(partition, name) for name in named}
    yield {**values, "details": orjson.dumps(dict(partition.details)).decode()}


def _funnel(partition: Partition) -> Iterator[Values]:
    told = partition.told(FilterDetails)
    for number, step in enumerate(told.funnel, start=1):
        values = step.model_dump(include={"filter", "reached", "stopped", "passed"})
        yield {**values, "step": number, "filter_version": told.filter_version}


def _gaps(partition: Partition) -> Iterator[Values]:
    completeness = partition.told(StreamDetails).completeness
    for number, gap in enumerate(completeness.gaps if completeness else (), start=1):
        numbers = {"after_number": gap.after, "before_number": gap.before}
        yield {**_of(FirehoseGap, asdict(gap)), **numbers, "number": number}


def _feeds(partition: Partition) -> Iterator[Values]:
    for feed, read in partition.told(FeedDetails).readings.items():
        yield {**_of(FeedRead, read.model_dump()), "feed": feed}


def _of(row: type[Row], told: Values) -> dict[str, Any]:
    return {name: told[name] for name in row.model_fields if name in told}


# By table: of which assets, none for all that there are, and what their partitions tell.
_TOLD: dict[type[Row], tuple[tuple[type[Row], ...], Callable[[Partition], Iterator[Values]]]] = {
    DayProvenance: ((), _partition),
    FunnelStep: ((FilteredPost,), _funnel),
    FirehoseGap: ((RawFirehosePost,), _gaps),
    FeedRead: ((RawFeedPost,), _feeds),
}
