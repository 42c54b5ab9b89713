"""Which part of the stream a day's posts come from, and what is missing."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec

from bsky_assets.contracts import RawFirehosePost
from bsky_assets.materialisation import check
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import COMPLETENESS
from bsky_assets.storage.completeness import Completeness
from bsky_assets.storage.lake import Partition
from bsky_assets.sync_day import bounds, now

ASSET = RawFirehosePost.asset
TOLERATED = timedelta(minutes=5)
"""A day that lacks less than this at its ends and between stretches is covered."""
LISTED = 5

SPECS = [
    AssetCheckSpec(
        "firehose_has_no_gaps",
        asset=ASSET,
        description="No event is missing between the first and the last of the day.",
    ),
    AssetCheckSpec(
        "firehose_covers_the_day",
        asset=ASSET,
        description="The stream was read from the day's beginning to its end, or to this moment.",
    ),
]


def evaluate(partition: Partition, settings: Settings) -> list[AssetCheckResult]:
    """The outcomes for one partition."""
    completeness = Completeness.from_details(partition.details.get(COMPLETENESS))
    severity = AssetCheckSeverity.WARN
    return [
        check(
            "firehose_has_no_gaps",
            gaps(completeness),
            asset=ASSET,
            severity=severity,
            gaps=completeness.gap_count,
            missing_events=completeness.missing_events,
        ),
        check(
            "firehose_covers_the_day",
            uncovered(completeness, partition, settings),
            asset=ASSET,
            severity=severity,
            covered_seconds=covered(completeness).total_seconds(),
        ),
    ]


def gaps(completeness: Completeness) -> Iterator[str]:
    """A line for each gap, the first few by name."""
    for gap in completeness.gaps[:LISTED]:
        missing = "" if gap["missing"] is None else f"{gap['missing']:,} events "
        yield f"{missing}missing after {gap['after']} of {gap['host']} ({gap['reason']})"
    if completeness.gap_count > LISTED:
        yield f"{completeness.gap_count:,} gaps in all"


def covered(completeness: Completeness) -> timedelta:
    """How much of the hosts' time the stretches span."""
    spans = (end - start for start, end in _spans(completeness))
    return sum(spans, timedelta())


def uncovered(
    completeness: Completeness, partition: Partition, settings: Settings
) -> Iterator[str]:
    """What of the day, as far as it has come, no stretch spans."""
    start, end = bounds(partition.day, settings.timezone)
    end = min(end, now())
    spans = sorted(_spans(completeness))
    if not spans:
        yield "nothing was collected"
        return
    first, last = spans[0][0], max(span[1] for span in spans)
    if first - start > TOLERATED:
        yield f"it begins {_hours(first - start)} after the day"
    if end - last > TOLERATED:
        yield f"it ends {_hours(end - last)} before the day, or before now"
    missing = (last - first) - covered(completeness)
    if missing > TOLERATED:
        yield f"{_hours(missing)} are missing in between"


def _spans(completeness: Completeness) -> Iterator[tuple[datetime, datetime]]:
    for stretch in completeness.stretches:
        if stretch.first_time and stretch.last_time:
            yield (
                datetime.fromisoformat(stretch.first_time),
                datetime.fromisoformat(stretch.last_time),
            )


def _hours(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60} min"
