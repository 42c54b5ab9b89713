"""What a day's coverage of a stream lacks, in words: its gaps, and what no stretch spans.

What belongs here: comparing `Completeness` with the day. Who is told of it is not decided here.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from bsky_assets.contracts.details import FeedDetails
from bsky_assets.storage.completeness import Completeness, ListedGap, StreamDetails
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import bounds, now

TOLERATED = timedelta(minutes=5)
"""A day that lacks less than this at its ends and between stretches is covered."""
LISTED = 5


def gaps(completeness: Completeness) -> Iterator[str]:
    """A line for each gap and each segment that was lost, the first few by name."""
    for lost in completeness.lost[:LISTED]:
        through = "" if lost.through is None else f" to {lost.through}"
        yield (
            f"lost: the events after {lost.after}{through} in {lost.segment}, which is "
            f"damaged ({lost.reason})"
        )
    if len(completeness.lost) > LISTED:
        yield f"{len(completeness.lost):,} damaged segments in all"
    for gap in completeness.gaps[:LISTED]:
        yield f"{_lost(gap)} missing after {gap.after} of {gap.host} ({gap.reason})"
    if completeness.gap_count > LISTED:
        yield f"{completeness.gap_count:,} gaps in all"


def _lost(gap: ListedGap) -> str:
    """How much a gap is: events where numbers tell them, or else time."""
    if gap.missing is not None:
        return f"{gap.missing:,} events"
    return (
        "what came then is" if gap.seconds is None else f"what came in {duration(gap.seconds)} is"
    )


def missing(completeness: Completeness) -> str:
    """What all gaps together lack, in one line."""
    parts = []
    if completeness.missing_events or not completeness.uncounted_gaps:
        parts.append(f"{completeness.missing_events:,} events missing")
    if completeness.uncounted_gaps:
        span = duration(completeness.uncounted_seconds)
        parts.append(f"in {completeness.uncounted_gaps:,} of them ({span}) nobody counts events")
    return f"{completeness.gap_count:,} gaps ({'; '.join(parts)})"


def strays(completeness: Completeness) -> Iterator[str]:
    """A line for each time that numbers came which fit nowhere, the first few by name."""
    for one in completeness.strays[:LISTED]:
        numbers = ", ".join(map(str, one.numbers))
        yield (
            f"{numbers} of {one.host} came between {one.after} and {one.before}, which "
            "follow each other: if these were of another numbering, the rest of it is missing"
        )
    if completeness.stray_count > LISTED:
        yield f"{completeness.stray_count:,} times such numbers in all"


def jumps(completeness: Completeness) -> Iterator[str]:
    """A line for each repository of which something did not come, the first few by name."""
    for jump in completeness.jumps[:LISTED]:
        had = jump.had or "a revision that we do not know"
        yield (
            f"{jump.did} went from {had} to {jump.rev} at {jump.at}: what changed in "
            f"between did not come ({jump.shown_by})"
        )
    if completeness.jump_count > LISTED:
        yield f"{completeness.jump_count:,} such jumps in all"


def covered(completeness: Completeness, day: date, timezone: ZoneInfo) -> timedelta:
    """How much of the time of `day` the stretches span, whatever else of a backlog they have."""
    start, end = bounds(day, timezone)
    total, reached = timedelta(), start
    for first, last in sorted(_spans(completeness)):
        begin, last = max(first, reached), min(last, end)
        if last > begin:
            total, reached = total + (last - begin), last
    return total


def uncovered(
    completeness: Completeness, partition: Partition, timezone: ZoneInfo
) -> Iterator[str]:
    """What of the day no stretch spans; of a day that is not over, that it is not, and the rest."""
    archived = partition.told(StreamDetails).archive
    if archived:
        yield from archived.lines()
    start, end = bounds(partition.day, timezone)
    if (at := now()) < end:
        end = at
        spanned = hours(covered(completeness, partition.day, timezone))
        yield f"the day is not over yet: {spanned} of {hours(end - start)} are covered so far"
    spans = sorted(_spans(completeness))
    if not spans:
        if archived is None:
            yield "nothing was collected"
        return
    first, last = spans[0][0], max(span[1] for span in spans)
    if first - start > TOLERATED:
        yield f"it begins {hours(first - start)} after the day"
    if end - last > TOLERATED:
        yield f"it ends {hours(end - last)} before {'now' if end == at else 'the day'}"
    within = min(last, end) - max(first, start)
    missing = within - covered(completeness, partition.day, timezone)
    if missing > TOLERATED:
        yield f"{hours(missing)} are missing in between"


def _spans(completeness: Completeness) -> Iterator[tuple[datetime, datetime]]:
    for stretch in completeness.stretches:
        if stretch.first_time and stretch.last_time:
            yield (
                datetime.fromisoformat(stretch.first_time),
                datetime.fromisoformat(stretch.last_time),
            )


def duration(seconds: float) -> str:
    """A time for a person: to the millisecond, the second or the minute, by its length."""
    if seconds >= 60:
        return hours(timedelta(seconds=seconds))
    return f"{seconds:.3f} s" if seconds < 10 else f"{seconds:.0f} s"


def hours(span: timedelta) -> str:
    """A span of time for a person, to the minute."""
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def feed_problems(feeds: Partition | None) -> list[str]:
    """What was wrong with feeds that gave nothing or broke off, of a day's `raw_feed_posts`."""
    read = feeds.told(FeedDetails).readings if feeds else {}
    return [feed.problem for feed in read.values() if feed.problem]
