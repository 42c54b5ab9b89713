"""A month of a collector and of following it: files, disk, and what a look costs as days go by.

On the days that are measured both streams commit a segment a minute, as in earnest, and what has
landed is taken in every hour; on the days between, of which no segment stays, it is a segment an
hour, taken in twice a day. Segments have a few rows each: how many files there are and what a look
costs goes by segments and days, not by rows. What has landed is consolidated, too, and what follows
is made as empty partitions and reports. The clock is the benchmark's, so that all that is removed
after hours is; what is measured is CPU time.
Usage: python -m benchmarks.lake_month [DAYS]; 30 by default.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import duckdb
import orjson
from dagster import DagsterInstance, SensorResult, build_sensor_context

from benchmarks.measuring import children_cpu_seconds, cpu_seconds, peak_mb, report
from bsky_assets.bluesky.collected import firehose_segments, label_segments
from bsky_assets.bluesky.spool import COMMIT_SECONDS
from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.contracts import (
    ConsolidatedPost,
    RawFirehosePost,
    RawModerationLabel,
    Row,
)
from bsky_assets.contracts.details import Details
from bsky_assets.orchestration.following import follow_inputs_sensor
from bsky_assets.orchestration.unfinished import Look
from bsky_assets.reporting.head import MADE_FROM, WRITTEN_AT, report_path
from bsky_assets.settings import Settings
from bsky_assets.storage import catalogue
from bsky_assets.storage.compaction import compact_firehose_day, compact_labels_day
from bsky_assets.storage.inputs import INPUTS, REPORT_INPUTS, made_from, versions
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import COLUMN_OF, Footer, Segments
from bsky_assets.storage.stretches import Stretch
from testbed.rows import firehose_post, moderation_label, post_uri, table

POSTS, LABELS = 5, 1
"""In a segment."""
IN_MEMORY = Path("/dev/shm")
"""Where there is one, the data directory is there: it waits for the disk at every segment."""
HOUR = timedelta(hours=1)
EVERY = 12
"""Hours between two times that something is taken in, on days that are not measured: one on those
that are, which is the default of BSKY_FOLLOW_MINUTES."""
DETAILS = Details.model_validate(
    {"funnel": [], "passed": 0, "models": [], "labelled": 0, "posts": 0, "shares": {}}
)
"""What `status` shows of partitions."""
RUNS = 3
MOST_FILES_A_STREAM = 430
"""As docs/wire.md states it."""
MOST_GROWTH = 1.5
"""Of a look, from the day on which what it looks back to is there, to the last."""
STEADY = 15
"""Days after which a look that is not everywhere has as much before it as it ever will."""


NOW_IN = (
    "bsky_assets.sync_day",
    "bsky_assets.storage.compaction",
    "bsky_assets.storage.lake",
    "bsky_assets.consolidation.consolidate",
    "bsky_assets.orchestration.following",
)


@dataclass(frozen=True)
class Figures:
    """What there is after some days, and what looking at it costs, in CPU milliseconds."""

    days: int
    segments: int
    """The most of one stream, just before something is taken in."""
    segment_mb: float
    files: int
    """Of all else but segments."""
    mb: float
    look_ms: float
    sensor_ms: float
    everywhere_ms: float
    catalogue_ms: float


class Month:
    """A data directory, the streams that land in it, and the clock."""

    def __init__(self, folder: Path, days: int) -> None:
        """Begin so many whole days ago."""
        self.settings = Settings(
            _env_file=None, data_dir=folder, sync_timezone="UTC", relay_url="ws://relay.test"
        )
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.at = today - timedelta(days=days)
        self._seq = 0
        self._con = duckdb.connect()
        self._lake = Lake.of(self.settings)
        self._most = 0

    def pass_day(self, every: int, step: timedelta) -> None:
        """Land a day of segments, one a `step`; take them in every so many hours."""
        day = self.at.date()
        firehose, labels = firehose_segments(self.settings), label_segments(self.settings)
        self._most = 0
        for hour in range(1, 25):
            self._land(firehose, RawFirehosePost, POSTS, step)
            self._land(labels, RawModerationLabel, LABELS, step)
            self.at += HOUR
            self._most = max(self._most, *(files_of(one) for one in (firehose, labels)))
            if hour % every:
                continue
            with clock_at(self.at - timedelta(seconds=1)):
                compact_firehose_day(self._con, self._lake, firehose, day)
                compact_labels_day(self._con, self._lake, labels, firehose, day)
                self._follow(day)

    def _land(self, segments: Segments, row: type[Row], count: int, step: timedelta) -> None:
        """An hour of segments, each of `count` rows."""
        each = int(HOUR / step)
        first = self._seq + 1
        self._seq += each * count
        rows = table(
            row, (self._row(row, seq, first, step, count) for seq in range(first, self._seq + 1))
        )
        with segments.collecting() as writer:
            for number in range(each):
                began, last = self.at + step * number, first + (number + 1) * count - 1
                written = writer.write(
                    self.at.date(),
                    {row: rows.slice(number * count, count)},
                    _footer(segments.stream, row, count, last, began, began + step),
                )
                os.utime(written.path, ((began + step).timestamp(),) * 2)

    def _row(
        self, row: type[Row], seq: int, first: int, step: timedelta, count: int
    ) -> dict[str, Any]:
        at = self.at + step * ((seq - first) // count)
        if row is RawFirehosePost:
            return firehose_post("did:plc:a", f"3k{seq}", seq, received_at=at)
        uri = post_uri("did:plc:b", f"3k{seq}")
        return moderation_label(uri, cts=at, received_at=at, seq=seq)

    def _follow(self, day: date) -> None:
        consolidate_day(self._con, self._lake, day)
        for row in INPUTS:
            if row is not ConsolidatedPost:
                inputs = made_from(self._lake, row, day)
                self._lake.write(row, day, table(row, []), DETAILS, made_from=inputs)
        inputs = versions(self._lake, REPORT_INPUTS, day)
        path = report_path(self.settings.reports_dir, day)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = orjson.dumps(inputs).decode().replace('"', "&#34;")
        path.write_text(
            f'<meta name="{MADE_FROM}" content="{text}">\n'
            f'<meta name="{WRITTEN_AT}" content="{self.at.isoformat()}">\n'
        )

    def figures(self, days: int) -> Figures:
        """What there is now."""
        stored = [path for path in self.settings.data_dir.rglob("*") if path.is_file()]
        segments = [path for path in stored if "segments" in path.parts]
        with ExitStack() as stack:
            instance = stack.enter_context(DagsterInstance.ephemeral())
            stack.enter_context(clock_at(self.at))
            sensor = follow_inputs_sensor(self.settings)
            first = sensor(build_sensor_context(instance=instance))
            assert isinstance(first, SensorResult), first
            cursor = first.cursor
            return Figures(
                days,
                self._most,
                _mb(segments),
                len(stored) - len(segments),
                _mb(path for path in stored if path not in set(segments)),
                _cpu_ms(lambda: self._look(everywhere=False)),
                _cpu_ms(lambda: sensor(build_sensor_context(instance=instance, cursor=cursor))),
                _cpu_ms(lambda: self._look(everywhere=True)),
                _cpu_ms(lambda: catalogue.rebuild(self._lake, self.settings.catalogue_path)),
            )

    def _look(self, *, everywhere: bool) -> None:
        look = Look(self.settings, self.at)
        for day in look.days(everywhere=everywhere):
            look.state(day)


@contextmanager
def clock_at(at: datetime) -> Iterator[None]:
    """What is done within is done at the instant `at`."""
    with ExitStack() as stack:
        for module in NOW_IN:
            stack.enter_context(patch(f"{module}.now", lambda: at))
        yield


def files_of(segments: Segments) -> int:
    """How many segments of a stream are there."""
    return sum(len(segments.of_day(day)) for day in segments.days())


def _footer(
    stream: str, row: type[Row], count: int, last: int, began: datetime, ended: datetime
) -> Footer:
    host, times = f"{stream}.test", (began.isoformat(), ended.isoformat())
    stretch = Stretch(last - count + 1, last, *times)
    return Footer(
        stream,
        host,
        last - count,
        last,
        times[1],
        *times,
        cursors={host: last},
        stretches=[stretch],
        events={"commit": count},
        rows={COLUMN_OF[row]: count},
    )


def _mb(paths: Iterable[Path]) -> float:
    return round(sum(path.stat().st_size for path in paths) / 1e6, 1)


def _cpu_ms(act: Callable[[], object]) -> float:
    """The least of several runs."""
    return round(min(cpu_seconds(act)[0] for _ in range(RUNS)) * 1000, 1)


def status_seconds(settings: Settings) -> float:
    """CPU seconds of `bsky-assets status`, the least of several runs."""
    environment = {
        **os.environ,
        "BSKY_DATA_DIR": str(settings.data_dir),
        "BSKY_SYNC_TIMEZONE": "UTC",
    }
    command = [sys.executable, "-c", "from bsky_assets.cli import main; main()", "status"]
    run = partial(subprocess.run, command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return round(min(children_cpu_seconds(run)[0] for _ in range(RUNS)), 2)


def main() -> int:
    days = int(sys.argv[1]) if sys.argv[1:] else 30
    with TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        month, found = Month(Path(folder), days), []
        for day in range(1, days + 1):
            is_measured = day in (STEADY, days)
            if is_measured:
                month.pass_day(1, timedelta(seconds=COMMIT_SECONDS))
            else:
                month.pass_day(EVERY, HOUR)
            if is_measured:
                found.append(month.figures(day))
                print(json.dumps(vars(found[-1])), flush=True)
        status = status_seconds(month.settings)
    steady = next((one for one in found if one.days >= STEADY), found[-1])
    growth = found[-1].sensor_ms / steady.sensor_ms
    most_segments = max(one.segments for one in found)
    report(
        "lake_month",
        ratio=round(growth, 2),
        **vars(found[-1]),
        sensor_ms_at_steady=steady.sensor_ms,
        most_segments=most_segments,
        status_cpu_seconds=status,
        peak_memory_mb=peak_mb(),
    )
    is_bounded = most_segments <= MOST_FILES_A_STREAM
    return 0 if is_bounded and growth <= MOST_GROWTH and status <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
