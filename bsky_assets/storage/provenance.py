"""What partitions say of themselves, as tables: read off their pointers, which say it first."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

from bsky_assets.contracts import (
    ALL,
    ConsolidatedPost,
    FilteredPost,
    RawFeedPost,
    RawFirehosePost,
    Row,
    arrow_schema,
)
from bsky_assets.contracts.provenance import (
    DayProvenance,
    FeedRead,
    FirehoseGap,
    FunnelStep,
    LeftOut,
)
from bsky_assets.storage.completeness import COMPLETENESS
from bsky_assets.storage.lake import Lake, Partition

Values = Mapping[str, Any]


def tables(lake: Lake) -> dict[type[Row], pa.Table]:
    """Each table of provenance, with `sync_day` first, of everything that is stored."""
    stored = {row: lake.partitions(row) for row in ALL}
    return {
        row: _table(
            row,
            (
                {"sync_day": partition.day, **values}
                for source in sources
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


def _left_out(partition: Partition) -> Iterator[Values]:
    for reason, posts in partition.details.get("left_out", {}).items():
        yield {"reason": reason, "posts": posts, "known_at": partition.written_at}
    for since in partition.details.get("removed_since", []):
        for reason, posts in since["posts_by_reason"].items():
            yield {
                "reason": reason,
                "posts": posts,
                "known_at": datetime.fromisoformat(since["at"]),
            }


def _funnel(partition: Partition) -> Iterator[Values]:
    version = partition.details.get("filter_version")
    for step, told in enumerate(partition.details.get("funnel", []), start=1):
        yield {**_of(FunnelStep, told), "step": step, "filter_version": version}


def _gaps(partition: Partition) -> Iterator[Values]:
    gaps = (partition.details.get(COMPLETENESS) or {}).get("gaps", [])
    for number, gap in enumerate(gaps, start=1):
        numbers = {"after_number": gap.get("after"), "before_number": gap.get("before")}
        yield {**_of(FirehoseGap, gap), **numbers, "number": number}


def _feeds(partition: Partition) -> Iterator[Values]:
    for feed, read in partition.details.get("feeds", {}).items():
        yield {**_of(FeedRead, read), "feed": feed}


def _of(row: type[Row], told: Values) -> dict[str, Any]:
    return {name: told[name] for name in row.model_fields if name in told}


_TOLD: dict[type[Row], tuple[tuple[type[Row], ...], Callable[[Partition], Iterator[Values]]]] = {
    DayProvenance: (ALL, _partition),
    LeftOut: ((ConsolidatedPost,), _left_out),
    FunnelStep: ((FilteredPost,), _funnel),
    FirehoseGap: ((RawFirehosePost,), _gaps),
    FeedRead: ((RawFeedPost,), _feeds),
}
