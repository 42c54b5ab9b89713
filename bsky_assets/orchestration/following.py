"""Following what lands: one run a day that makes whatever of it is behind, in order.

What is asked for is decided from what is stored (`unfinished`) and from the runs that
there were, never from an event that could be missed: a run that was lost is asked for again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import orjson
from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
)
from dagster._core.storage.tags import PARTITION_NAME_TAG

from bsky_assets.bluesky.collected import is_collecting
from bsky_assets.contracts import RawFirehosePost, RawModerationLabel
from bsky_assets.contracts.lineage import DAILY_REPORT
from bsky_assets.orchestration.automation import daily_sync
from bsky_assets.orchestration.unfinished import DayState, Look
from bsky_assets.settings import Settings
from bsky_assets.sync_day import FIRST_DAY, bounds, look_back, now

LOOK_SECONDS = 60
_LOOK_EVERYWHERE = timedelta(hours=1)
"""How often days are looked at that have no news and are not recent."""
SETTLED = timedelta(minutes=1)
"""A collector has committed what it had of a day so long after its end."""
MOST_ATTEMPTS = 8
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=10), timedelta(hours=6)
"""Between attempts at the same news; each pause is twice the one before."""

FOLLOWS = "bsky_assets/follows"
"""Tag of a run that follows news: which."""
DAY_IS_COMPLETE = "day_is_complete"

ONLY_LANDED = {
    RawFirehosePost.asset: {"config": {"read_stream": False}},
    RawModerationLabel.asset: {"config": {"read_stream": False, "query": False}},
}
"""Run config by asset: take in what has landed, and read nothing from the network."""

UNDER_WAY = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Attempts:
    """The runs so far that were to follow something of a day."""

    same_news: int = 0
    last: datetime | None = None
    """When the last one, of whatever news, was asked for or ended."""

    @property
    def are_over(self) -> bool:
        """Whether the same news is not tried again."""
        return self.same_news >= MOST_ATTEMPTS

    def pause_until(self) -> datetime | None:
        """Until when the same news is not tried again."""
        if self.last is None or not self.same_news:
            return None
        pause: timedelta = FIRST_PAUSE * 2 ** (self.same_news - 1)
        return self.last + min(pause, LONGEST_PAUSE)


def due(
    states: Iterable[DayState],
    under_way: set[date],
    attempts: Mapping[date, Attempts],
    at: datetime,
    settings: Settings,
) -> list[DayState]:
    """The days, oldest first, that a run is asked for now.

    A day waits for an earlier one that it reads and that is being made, or is about to be: it
    would be behind again. It does not wait for one that fails.
    """
    chosen: list[DayState] = []
    awaited = set(under_way)
    for state in sorted(states, key=lambda state: state.day):
        if not state.behind or state.day in under_way:
            continue
        tried = attempts.get(state.day, Attempts())
        until = tried.pause_until()
        if tried.are_over or (until and at < until):
            continue
        if awaited & set(look_back(state.day)) or not _is_settled(state, at, settings):
            awaited.add(state.day)
        elif state.is_over or not _is_early(state, tried, at, settings):
            awaited.add(state.day)
            chosen.append(state)
    return chosen


def _is_settled(state: DayState, at: datetime, settings: Settings) -> bool:
    """Whether no more will land for a day that is over; the present day need not be."""
    if not state.is_over:
        return True
    end = bounds(state.day, settings.timezone)[1]
    return at >= end + SETTLED or not is_collecting(settings)


def _is_early(state: DayState, tried: Attempts, at: datetime, settings: Settings) -> bool:
    """Whether the present day was followed just now."""
    last = max(filter(None, (state.followed_at, tried.last)), default=None)
    return last is not None and at - last < timedelta(minutes=settings.follow_minutes)


def request(state: DayState, attempt: int) -> RunRequest:
    """The run that makes what of the day is behind."""
    return RunRequest(
        run_key=f"{state.day}/{state.news}/{attempt}",
        partition_key=state.day.isoformat(),
        asset_selection=[AssetKey(asset) for asset in state.behind],
        run_config={
            "ops": {name: ONLY_LANDED[name] for name in state.behind if name in ONLY_LANDED}
        },
        tags={FOLLOWS: state.news, "closes_the_day": str(state.is_over).lower()},
    )


def _days_under_way(instance: DagsterInstance) -> set[date]:
    """The days that some run is at, or waits to be."""
    runs = instance.get_runs(RunsFilter(statuses=UNDER_WAY))
    return {date.fromisoformat(day) for run in runs if (day := run.tags.get(PARTITION_NAME_TAG))}


def _attempts_at(instance: DagsterInstance, state: DayState) -> Attempts:
    """The runs that were to follow something of the day."""
    tags = {PARTITION_NAME_TAG: state.day.isoformat()}
    same = instance.get_runs_count(RunsFilter(tags={**tags, FOLLOWS: state.news}))
    # Of those of the day that follow anything, the newest.
    records = instance.get_run_records(RunsFilter(tags=tags), limit=MOST_ATTEMPTS)
    ends = [
        max(record.create_timestamp, _instant(record.end_time))
        for record in records
        if FOLLOWS in record.dagster_run.tags
    ]
    return Attempts(same, max(ends, default=None))


def _instant(timestamp: float | None) -> datetime:
    return datetime.fromtimestamp(timestamp or 0, UTC)


@dataclass
class _Memory:
    """What the sensor keeps from one look to the next; without it, it looks everywhere."""

    everywhere_at: str = ""
    told: dict[str, str] = field(default_factory=dict)
    """By day, what it was last said to lack by the check."""

    @classmethod
    def of(cls, cursor: str | None) -> "_Memory":
        return cls(**orjson.loads(cursor)) if cursor else cls()

    def is_time_to_look_everywhere(self, at: datetime) -> bool:
        if not self.everywhere_at:
            return True
        return at - datetime.fromisoformat(self.everywhere_at) >= _LOOK_EVERYWHERE

    def cursor(self) -> str:
        return orjson.dumps({"everywhere_at": self.everywhere_at, "told": self.told}).decode()


def follow_inputs_sensor(settings: Settings) -> SensorDefinition:
    """Ask for a run for each day of which something is behind, and tell of days that stay so."""

    first = settings.first_day or FIRST_DAY

    def follow(context: SensorEvaluationContext) -> SensorResult:
        at, memory = now(), _Memory.of(context.cursor)
        everywhere = memory.is_time_to_look_everywhere(at)
        if everywhere:
            memory.everywhere_at = at.isoformat()
        look = Look(settings, at)
        # What is stored of days before the first partition is made by hand, or after a restart.
        shown = [day for day in look.days(everywhere=everywhere) if day >= first]
        states = [state for day in shown if (state := look.state(day))]
        behind = [state for state in states if state.behind]
        attempts = {state.day: _attempts_at(context.instance, state) for state in behind}
        under_way = _days_under_way(context.instance) if behind else set()
        chosen = due(behind, under_way, attempts, at, settings)
        stuck = [
            state
            for state in behind
            if attempts[state.day].same_news and state not in chosen and state.day not in under_way
        ]
        return SensorResult(
            run_requests=[request(state, attempts[state.day].same_news + 1) for state in chosen],
            asset_events=list(_told(stuck, attempts, memory)),
            cursor=memory.cursor(),
            skip_reason=None if chosen else _why_nothing(behind),
        )

    return SensorDefinition(
        name="follow_inputs",
        evaluation_fn=follow,
        job=daily_sync,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=(
            DefaultSensorStatus.RUNNING if settings.live else DefaultSensorStatus.STOPPED
        ),
        description="Takes in what `bsky-assets collect` landed and makes what follows it, from "
        f"raw posts to the report, in one run a day: for the present day every "
        f"{settings.follow_minutes} minutes at most, and once when it is over.",
    )


def _why_nothing(behind: Sequence[DayState]) -> str:
    if not behind:
        return "nothing has landed that is not in everything made of it"
    return f"{', '.join(str(state.day) for state in behind)}: it is not time yet"


def _told(
    stuck: Iterable[DayState], attempts: Mapping[date, Attempts], memory: _Memory
) -> Iterator[AssetCheckEvaluation]:
    """The failing check of each day that runs did not finish, if this was not told yet."""
    for state in stuck:
        tried = attempts[state.day]
        said = f"{state.news}/{tried.same_news}"
        if memory.told.get(state.day.isoformat()) == said:
            continue
        memory.told[state.day.isoformat()] = said
        again = (
            "it is not tried again by itself: materialise the day"
            if tried.are_over
            else "it is tried again"
        )
        yield AssetCheckEvaluation(
            asset_key=AssetKey(DAILY_REPORT),
            check_name=DAY_IS_COMPLETE,
            passed=False,
            severity=AssetCheckSeverity.WARN,
            description="; ".join(
                [
                    f"{state.day}: {tried.same_news} runs have not finished it, {again}",
                    *state.lines(),
                ]
            ),
            # Not by partition: of those that no run made, Dagster can store one alone.
            metadata={"day": state.day.isoformat(), "behind": list(state.behind)},
        )
