"""Days on a simulated clock: Dagster's own daemon functions over the real definitions.

Scheduler and sensor daemon are Dagster's; only the clock, and the work of a run, are stand-ins:
posts are taken in and consolidated as they are by assets, and what is downstream of them is
written with what it was made from, without models.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import duckdb
import orjson
from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    RunsFilter,
)
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._core.test_utils import (
    InProcessTestWorkspaceLoadTarget,
    freeze_time,
    instance_for_test,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs

from bsky_assets.bluesky.collected import firehose_segments, label_segments
from bsky_assets.consolidation.consolidate import MissingInput, consolidate_day
from bsky_assets.consolidation.tombstones import apply_tombstones
from bsky_assets.contracts import (
    AuditedShare,
    ConsolidatedPost,
    DisputedPost,
    FilteredPost,
    LabelShare,
    LlmLabel,
    RawFeedPost,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
    ScoredPost,
)
from bsky_assets.contracts.arrival import FIREHOSE, LABELS
from bsky_assets.contracts.lineage import DAILY_REPORT
from bsky_assets.orchestration.following import FOLLOWS
from bsky_assets.orchestration.unfinished import Look
from bsky_assets.reporting.head import MADE_FROM, WRITTEN_AT, read_head, report_path
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day, compact_labels_day
from bsky_assets.storage.inputs import REPORT_INPUTS, made_from, versions
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Versions
from bsky_assets.storage.segments import Footer
from bsky_assets.sync_day import bounds, sync_day_of
from testbed.rows import (
    account_status,
    feed_post,
    firehose_post,
    moderation_label,
    post_deletion,
    table,
)

NOW_IN = (
    "bsky_assets.sync_day",
    "bsky_assets.storage.lake",
    "bsky_assets.consolidation.consolidate",
    "bsky_assets.orchestration.following",
)
CODE = (
    "from bsky_assets.definitions import build_defs\n"
    "from bsky_assets.settings import get_settings\n"
    "defs = build_defs(get_settings())\n"
)
IN_MEMORY = Path("/dev/shm")
"""Where there is one, Dagster's storage is there: it waits for the disk thousands of times."""
LOGGER = logging.getLogger("simulated_days")


class Days:
    """A network, a collector, a daemon and whoever runs what it asks for."""

    def __init__(
        self, settings: Settings, instance: DagsterInstance, code: WorkspaceProcessContext
    ) -> None:
        self.settings, self.instance, self._code = settings, instance, code
        self.at = datetime(2000, 1, 1, tzinfo=UTC)
        self.posts: dict[str, date] = {}
        """Every post that landed, and the day on which it did."""
        self.runs: list[tuple[str, tuple[str, ...], bool]] = []
        """Day, assets and success of every run."""
        self.made: list[tuple[str, date, Versions]] = []
        """Every making of something that has inputs, with these."""
        self.broken: set[str] = set()
        """Assets that fail."""
        self.is_collecting = True
        self._seq = 0
        self._iterations: dict[str, object] = {}

    @property
    def day(self) -> date:
        return sync_day_of(self.at, self.settings.timezone)

    @property
    def lake(self) -> Lake:
        return Lake.of(self.settings)

    def land(self, posts: int = 1, author: str = "did:plc:a") -> None:
        """The firehose brings posts."""
        rows = []
        for _ in range(posts):
            self._seq += 1
            row = firehose_post(author, f"3k{self._seq}", self._seq, received_at=self.at)
            self.posts[row["uri"]] = self.day
            rows.append(row)
        self._commit(FIREHOSE, {RawFirehosePost: table(RawFirehosePost, rows)})

    def delete(self, uri: str) -> None:
        """An author deletes a post."""
        self._seq += 1
        gone = post_deletion("did:plc:a", uri.rpartition("/")[2], self._seq, received_at=self.at)
        self._commit(FIREHOSE, {RawPostDeletion: table(RawPostDeletion, [gone])})

    def account(self, did: str, status: str) -> None:
        """The account's host tells of its status."""
        self._seq += 1
        event = account_status(did, status, self._seq, received_at=self.at, event_time=self.at)
        self._commit(FIREHOSE, {RawPostDeletion: table(RawPostDeletion, [event])})

    def label(self, uri: str) -> None:
        """The labeler labels a post."""
        self._seq += 1
        label = moderation_label(uri, cts=self.at, received_at=self.at, seq=self._seq)
        self._commit(LABELS, {RawModerationLabel: table(RawModerationLabel, [label])})

    def _commit(self, stream: str, tables: dict[type[Row], object]) -> None:
        at = self.at.isoformat()
        host, seq = f"{stream}.test", self._seq
        rows = {"post": 0, "deletion": 0, "label": 0}
        names = {RawFirehosePost: "post", RawPostDeletion: "deletion", RawModerationLabel: "label"}
        rows |= {names[row]: found.num_rows for row, found in tables.items()}
        footer = Footer(stream, host, None, seq, at, at, at, cursors={host: seq}, rows=rows)
        segments = firehose_segments if stream == FIREHOSE else label_segments
        with segments(self.settings).collecting() as writer:
            writer.write(self.day, tables, footer)  # type: ignore[arg-type]

    @contextmanager
    def clock(self) -> Iterator[None]:
        """What is done within is done at `at`."""
        with ExitStack() as stack:
            stack.enter_context(freeze_time(self.at))
            for module in NOW_IN:
                stack.enter_context(patch(f"{module}.now", lambda: self.at))
            collecting = "bsky_assets.orchestration.following.is_collecting"
            stack.enter_context(patch(collecting, lambda _: self.is_collecting))
            yield

    def tick(self, *, work: bool = True) -> None:
        """A turn of both daemons; what they ask for is run."""
        with self.clock():
            list(launch_scheduled_runs(self._code, LOGGER, self.at, self._iterations))  # type: ignore[arg-type]
            list(execute_sensor_iteration(self._code, LOGGER, None, None))
            if work:
                self.work()

    def pass_time(self, until: datetime, step: timedelta, *, landing: bool = True) -> None:
        """Go on until `until`, with posts at each step, and the daemons running."""
        while self.at < until:
            self.at = min(self.at + step, until)
            if landing:
                self.land()
            self.tick()

    def make(self, *assets: str) -> None:
        """A run has got as far as that, on the present day."""
        with duckdb.connect() as con:
            for asset in assets:
                self._make(con, asset, self.day, scheduled=False)

    def queued(self) -> list[DagsterRun]:
        runs = self.instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.QUEUED]))
        return sorted(runs, key=lambda run: run.tags.get(PARTITION_NAME_TAG, ""))

    def work(self) -> None:
        """Run all that is queued."""
        for run in self.queued():
            if self._is_done(run):
                event = DagsterEvent(DagsterEventType.RUN_SUCCESS.value, run.job_name)
                self.instance.report_dagster_event(event, run.run_id)
            else:
                self.instance.report_run_failed(run)

    def _is_done(self, run: DagsterRun) -> bool:
        if run.job_name == "maintenance":
            with duckdb.connect() as con:
                list(apply_tombstones(con, self.lake, lambda _: None))
            return True
        day = date.fromisoformat(run.tags[PARTITION_NAME_TAG])
        is_scheduled = FOLLOWS not in run.tags
        chosen = {key.to_user_string() for key in run.asset_selection or ()}
        assets = [name for name in ASSETS if is_scheduled or name in chosen]
        is_well = self._run(day, assets, scheduled=is_scheduled)
        self.runs.append((day.isoformat(), tuple(assets), is_well))
        return is_well

    def _run(self, day: date, assets: list[str], *, scheduled: bool) -> bool:
        with duckdb.connect() as con:
            for asset in assets:
                if asset in self.broken:
                    return False
                try:
                    self._make(con, asset, day, scheduled=scheduled)
                except MissingInput:
                    return False
        return True

    def _make(
        self, con: duckdb.DuckDBPyConnection, asset: str, day: date, *, scheduled: bool
    ) -> None:
        firehose, labels = firehose_segments(self.settings), label_segments(self.settings)
        if asset in (RawFirehosePost.asset, RawPostDeletion.asset):
            compact_firehose_day(con, self.lake, firehose, day)
        elif asset == RawModerationLabel.asset:
            compact_labels_day(con, self.lake, labels, firehose, day)
        elif asset == RawFeedPost.asset:
            if scheduled:
                self.lake.write(RawFeedPost, day, table(RawFeedPost, [self._shown(day)]))
        elif asset == DAILY_REPORT:
            self._report(day)
        else:
            self._make_what_has_inputs(con, asset, day)

    def _make_what_has_inputs(self, con: duckdb.DuckDBPyConnection, asset: str, day: date) -> None:
        row = next(row for row in (ConsolidatedPost, *STAND_INS) if row.asset == asset)
        inputs = made_from(self.lake, row, day)
        self.made.append((asset, day, inputs))
        if row is ConsolidatedPost:
            consolidate_day(con, self.lake, day)
        else:
            self.lake.write(row, day, table(row, []), made_from=inputs)

    def _shown(self, day: date) -> dict[str, object]:
        return feed_post("did:plc:f", f"3kfeed{day.day}", received_at=self.at)

    def _report(self, day: date) -> None:
        inputs = versions(self.lake, REPORT_INPUTS, day)
        self.made.append((DAILY_REPORT, day, inputs))
        path = report_path(self.settings.reports_dir, day)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = orjson.dumps(inputs).decode().replace('"', "&#34;")
        path.write_text(
            f'<meta name="{MADE_FROM}" content="{text}">\n'
            f'<meta name="{WRITTEN_AT}" content="{self.at.isoformat()}">\n'
        )

    def end_of(self, day: date) -> datetime:
        """The first instant after the day."""
        return bounds(day, self.settings.timezone)[1]

    def lacking(self, day: date) -> list[str]:
        """What the day says that it lacks."""
        return list(Look(self.settings, self.at).state(day).lines())

    def consolidated(self) -> dict[str, list[date]]:
        """Every post that is consolidated, and on which days."""
        found: dict[str, list[date]] = {}
        with duckdb.connect() as con:
            for day in self.lake.days(ConsolidatedPost):
                rows = self.lake.relation(con, ConsolidatedPost, [day]).select("uri").fetchall()
                for (uri,) in rows:
                    found.setdefault(uri, []).append(day)
        return found

    def made_twice(self) -> list[tuple[str, date]]:
        """What was made again from what it had been made from."""
        counts = Counter(
            (asset, day, str(inputs)) for asset, day, inputs in self.made if asset != DAILY_REPORT
        )
        return [(asset, day) for (asset, day, _), count in counts.items() if count > 1]

    def report_is_of(self, day: date) -> datetime:
        head = read_head(report_path(self.settings.reports_dir, day))
        assert head, day
        return head.written_at


STAND_INS: tuple[type[Row], ...] = (
    FilteredPost,
    ScoredPost,
    LlmLabel,
    LabelShare,
    DisputedPost,
    AuditedShare,
)
ASSETS = (
    RawFirehosePost.asset,
    RawFeedPost.asset,
    RawPostDeletion.asset,
    RawModerationLabel.asset,
    ConsolidatedPost.asset,
    *(row.asset for row in STAND_INS),
    DAILY_REPORT,
)


def _parts(folder: str) -> dict[str, object]:
    """A queue, and storage in which the events of all runs are in one database: by itself, Dagster
    makes one for each run, which takes as long as all that is written into it."""
    classes = {
        "run_coordinator": ("dagster._core.run_coordinator", "QueuedRunCoordinator"),
        "run_storage": ("dagster._core.storage.runs", "SqliteRunStorage"),
        "event_log_storage": (
            "dagster._core.storage.event_log",
            "ConsolidatedSqliteEventLogStorage",
        ),
        "schedule_storage": ("dagster._core.storage.schedules", "SqliteScheduleStorage"),
    }
    return {
        part: {"module": module, "class": name}
        | ({"config": {"base_dir": folder}} if part.endswith("storage") else {})
        for part, (module, name) in classes.items()
    }


@contextmanager
def simulated_days(settings: Settings, folder: Path) -> Iterator[Days]:
    """The definitions of `settings`, which are those of the process, under Dagster's daemons."""
    code = folder / "simulated_code.py"
    code.write_text(CODE)
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(python_file=str(code), attribute="defs")
    )
    with (
        TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as storage,
        instance_for_test(_parts(storage), temp_dir=storage) as instance,
        WorkspaceProcessContext(instance, InProcessTestWorkspaceLoadTarget(origin)) as workspace,
    ):
        yield Days(settings, instance, workspace)
