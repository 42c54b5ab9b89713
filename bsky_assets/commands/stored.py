"""What `bsky-assets status` tells: what is stored, day by day, and how complete it is."""

from collections.abc import Iterable
from datetime import date

from rich.table import Table

from bsky_assets.console import echo, echo_lines, stdout
from bsky_assets.contracts import (
    FilteredPost,
    LlmLabel,
    RawFeedPost,
    RawFirehosePost,
)
from bsky_assets.contracts.details import FilterDetails, LabelDetails
from bsky_assets.orchestration.unfinished import Look, returned_line
from bsky_assets.settings import Settings
from bsky_assets.storage.completeness import Completeness, StreamDetails
from bsky_assets.storage.coverage import feed_problems, gaps, jumps, missing, strays, uncovered
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import now

_SHOWN_DAYS = 14
_SHOWN_STRETCHES = 5


def show_day(lake: Lake, day: date, settings: Settings) -> None:
    """Print the rows, the coverage, the funnel and the labels of one sync day."""
    _show_day(lake, day, Look(settings, now()))


def _show_day(lake: Lake, day: date, look: Look) -> None:
    found = {row: lake.whole(row, day) for row in lake.rows}
    partitions = {row: _usable(partition) for row, partition in found.items()}
    table = Table("asset", "rows", "written (UTC)", title=f"sync day {day}", title_justify="left")
    table.columns[1].justify = "right"
    for row, partition in partitions.items():
        table.add_row(row.asset, *_rows_and_time(partition))
    stdout.print(table)
    echo_lines(f"! {problem}" for problem in found.values() if isinstance(problem, Damaged))
    echo_lines(_lacking_lines(look, day))
    if feeds := partitions[RawFeedPost]:
        echo_lines(_feed_lines(feeds))
    if firehose := partitions[RawFirehosePost]:
        echo_lines(_coverage_lines(firehose, look.settings))
    if filtered := partitions[FilteredPost]:
        echo_lines(_funnel_lines(filtered))
    if labels := partitions[LlmLabel]:
        echo_lines(_label_lines(labels))


def show_days(lake: Lake, settings: Settings) -> None:
    """Print the rows of the latest sync days, and the last of them in detail."""
    rows = lake.rows
    days = sorted({day for row in rows for day in lake.days(row)})[-_SHOWN_DAYS:]
    if not days:
        echo("nothing is stored yet; `bsky-assets materialize` collects today")
        return
    table = Table("asset", *map(str, days))
    for row in rows:
        table.add_row(row.asset, *(_cell(lake.glance(row, day)) for day in days))
    stdout.print(table)
    look = Look(settings, now())
    echo_lines(_unfinished_days(look))
    _show_day(lake, days[-1], look)


def _unfinished_days(look: Look) -> Iterable[str]:
    """Days of which something is behind, recent ones and those with news."""
    for day in look.days(everywhere=False):
        if behind := look.state(day).behind:
            yield f"! {day} is not finished: {', '.join(behind)}"
    for day, posts in look.returned():
        yield f"! {day}: {returned_line(day, posts)}"


def _usable(found: Partition | Damaged | None) -> Partition | None:
    return found if isinstance(found, Partition) else None


def _cell(found: Partition | Damaged | None) -> str:
    if isinstance(found, Damaged):
        return "damaged: doctor"
    return f"{found.rows:,}" if found else "–"


def _rows_and_time(partition: Partition | None) -> tuple[str, str]:
    if partition is None:
        return "–", ""
    return f"{partition.rows:,}", f"{partition.written_at:%Y-%m-%d %H:%M:%S}"


def _lacking_lines(look: Look, day: date) -> Iterable[str]:
    lines = list(look.state(day).lines())
    yield "complete: all that landed is in it" if not lines else "not in it yet"
    for line in lines:
        yield f"  ! {line}"


def _feed_lines(feeds: Partition) -> Iterable[str]:
    return (f"  ! {problem}" for problem in feed_problems(feeds))


def _coverage_lines(firehose: Partition, settings: Settings) -> Iterable[str]:
    completeness = firehose.told(StreamDetails).completeness or Completeness()
    yield f"firehose: {sum(completeness.events.values()):,} events, from"
    for stretch in completeness.stretches[:_SHOWN_STRETCHES]:
        yield (
            f"  {stretch.host} {stretch.first} to {stretch.last} "
            f"({stretch.first_time} to {stretch.last_time})"
        )
    if (more := len(completeness.stretches) - _SHOWN_STRETCHES) > 0:
        yield f"  and {more:,} more stretches"
    yield (
        f"  {missing(completeness)}, {completeness.jump_count:,} jumps, "
        f"{completeness.reconnect_count:,} reconnects, "
        f"{sum(completeness.quarantined.values()):,} quarantined"
    )
    lacks = uncovered(completeness, firehose, settings.timezone)
    for line in firehose.told(StreamDetails).source_lines():
        yield f"  {line}"
    still = firehose.told(StreamDetails).still
    for problem in (*gaps(still), *strays(completeness), *jumps(still), *lacks):
        yield f"  ! {problem}"


def _funnel_lines(filtered: Partition) -> Iterable[str]:
    told = filtered.told(FilterDetails)
    yield "filters"
    for step in told.funnel:
        yield f"  {step.filter:<12} {step.stopped:>9,} of {step.reached:>9,} stopped"
    yield f"  {'passed':<12} {told.passed:>9,}"


def _label_lines(labels: Partition) -> Iterable[str]:
    told = labels.told(LabelDetails)
    models = ", ".join(model.model for model in told.models)
    sampled = f", a random sample: {told.not_asked:,} not asked about" if told.sample else ""
    yield f"labels by {models}: {told.labelled:,} of {told.posts:,} posts{sampled}"
    for name, share in told.shares.items():
        yield f"  {name:<18} {share:>7.1%}"
