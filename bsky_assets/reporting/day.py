"""A stored day, as the sections of its report read it.

What belongs here: finding its partitions and those of the fortnight before, and telling which are
damaged. What does not: what is said of them, which is in `sections`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import duckdb

from bsky_assets.analysis.estimating.shares import DayShares, day_shares
from bsky_assets.contracts import FilteredPost, LlmLabel, RawFirehosePost, Row
from bsky_assets.errors import UserError
from bsky_assets.reporting.measures import MEASURES, Measure, Point, Stored, Usual, usual
from bsky_assets.settings import Settings
from bsky_assets.storage.completeness import Completeness, StreamDetails
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import bounds, now

FORTNIGHT = 14


@dataclass(frozen=True)
class CheckOutcome:
    """What a check of an asset came to."""

    asset: str
    name: str
    passed: bool
    said: str
    """What is wrong; empty if nothing is."""
    is_error: bool = False
    """Whether what is downstream must not be made."""
    is_empty: bool = False
    """Whether there was nothing to look at."""


@dataclass(frozen=True)
class StoredDay:
    """A day, what is stored of it, and what its checks came to."""

    con: duckdb.DuckDBPyConnection
    lake: Lake
    settings: Settings
    day: date
    checks: Sequence[CheckOutcome]
    lacks: Sequence[str]
    """What of the day is not in what was made of it, in words."""

    @cached_property
    def _found(self) -> dict[str, Partition | Damaged]:
        found = ((row.asset, self.lake.whole(row, self.day)) for row in self.lake.rows)
        return {asset: each for asset, each in found if each}

    @cached_property
    def damaged(self) -> dict[str, Damaged]:
        """The partitions that cannot be read, by asset."""
        return {asset: each for asset, each in self._found.items() if isinstance(each, Damaged)}

    @cached_property
    def partitions(self) -> dict[str, Partition]:
        """What is stored of the day and can be read, by asset in the order of the lineage."""
        return {asset: each for asset, each in self._found.items() if isinstance(each, Partition)}

    def partition(self, row: type[Row]) -> Partition | None:
        """The partition of `row`, if it is stored and can be read."""
        return self.partitions.get(row.asset)

    @property
    def filtered(self) -> Partition | None:
        return self.partition(FilteredPost)

    @property
    def labels(self) -> Partition | None:
        """The labels; None before the day is labelled, too."""
        return self.partition(LlmLabel)

    @cached_property
    def completeness(self) -> Completeness | None:
        """How completely the firehose was read; None if it was not."""
        partition = self.partition(RawFirehosePost)
        return partition.told(StreamDetails).completeness or Completeness() if partition else None

    @property
    def source_lines(self) -> list[str]:
        """What came of it from an archive, if anything did, a sentence each."""
        partition = self.partition(RawFirehosePost)
        return partition.told(StreamDetails).source_lines() if partition else []

    @property
    def is_over(self) -> bool:
        """Whether its last instant has passed."""
        return bounds(self.day, self.settings.timezone)[1] <= now()

    @cached_property
    def before(self) -> tuple[Stored, ...]:
        """The stored days of the fortnight before, oldest first; damaged ones are left out."""
        days = (self.day - timedelta(days=back) for back in range(FORTNIGHT, 0, -1))
        return tuple(found for day in days if (found := stored(self.lake, day)).filtered)

    @property
    def itself(self) -> Stored:
        """The day as its measures read it."""
        return Stored(self.day, self.filtered, self.labels)

    def course(self, measure: Measure) -> list[Point]:
        """A number of the fortnight before and of the day, oldest first."""
        read = (measure.read(each) for each in (*self.before, self.itself))
        return [point for point in read if point]

    def usual(self, measure: Measure) -> Usual | None:
        """What the fortnight before has of a number."""
        return usual([point for point in self.course(measure) if point.day != self.day])

    @cached_property
    def corrected(self) -> DayShares | str:
        """The shares corrected by what people coded, or why they are not corrected."""
        try:
            return day_shares(self.settings, self.day)
        except UserError as why:
            return str(why)

    @cached_property
    def measured(self) -> dict[str, Point | None]:
        """Each number of the day, by key."""
        return {measure.key: measure.read(self.itself) for measure in MEASURES}


def stored(lake: Lake, day: date) -> Stored:
    """What numbers of `day` are read off; what cannot be read is taken for not stored."""
    return Stored(day, _current(lake, FilteredPost, day), _current(lake, LlmLabel, day))


def _current(lake: Lake, row: type[Row], day: date) -> Partition | None:
    try:
        return lake.current(row, day)
    except Damaged:
        return None
