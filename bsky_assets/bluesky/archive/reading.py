"""Reading a span of time from an archive: what must be fetched for it, fetched once, and its rows.

What happened in a span lies in two places. What the archive saw live is in the segments whose
witnessed span it is. What it took in when it began can be of any time: that part is read whole the
first time, and from the local index after that.
What does not belong here: what becomes of the rows.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise, product
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.bluesky.archive.block_rows import Again, BlockRows, read_rows
from bsky_assets.bluesky.archive.blocks import read_block
from bsky_assets.bluesky.archive.dating import is_backfilled
from bsky_assets.bluesky.archive.fetching import AT_ONCE, Blocks, Budget, Spool, estimated
from bsky_assets.bluesky.archive.host import MOST_DIDS, ArchiveHost, Listed, Rewritten, Unit
from bsky_assets.bluesky.archive.sheets import FETCHED, INDEX, Sheet, Sheets
from bsky_assets.bluesky.records import POST
from bsky_assets.contracts.progress import Log
from bsky_assets.errors import UserError
from bsky_assets.storage.files import write_json
from bsky_assets.sync_day import now

LATE = timedelta(hours=1)
"""How much later than it happened something may have been witnessed."""
_ALL_PROBED = 64
"""Of an archive of so many segments each is looked at; of a larger one, as few as tell where the
part ends that it took in when it began."""
_ATTEMPTS = 4
_KNOWN = "backfilled.json"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ArchiveEnds(UserError):
    """The archive does not reach to the time that is asked for."""


@dataclass(frozen=True)
class Span:
    """A span of time that was read."""

    since: datetime
    until: datetime
    ends: datetime
    """When the archive ends: what was witnessed last."""
    as_of: datetime | None
    """When the oldest part of it was fetched: what was deleted since may be in it."""
    covers: bool
    """Whether the archive spans it without a segment missing."""
    undated: int
    """Posts of the parts that were read which no time is known of, whenever they were written."""


class ArchiveReading:
    """One archive, with what is known of it on disk."""

    def __init__(self, host: ArchiveHost, folder: Path, budget: Budget, log: Log) -> None:
        """Read `host`; what is fetched is kept below `folder`. `log` is told what is done."""
        self._host = host
        self._folder = folder / re.sub(r"[^\w.-]", "_", host.name)
        self.budget = budget
        self._log = log
        self._spool = Spool(self._folder / FETCHED, host, budget)
        self._sheets = Sheets(self._folder / INDEX)
        self._begun = now()

    def read(
        self,
        since: datetime,
        until: datetime,
        *,
        with_backfill: bool = True,
        dids: Sequence[str] = (),
        around: timedelta = timedelta(),
        witnessed_from: datetime | None = None,
    ) -> tuple[Span, Iterator[pa.Table]]:
        """What happened from `since` on and before `until`, once all that is needed is here.

        The tables have the columns of a sheet. `with_backfill`: look through what the archive took
        in with whole repositories, too. `dids`: only what is of these accounts, for which blocks
        are fetched that may have some of it. `around`: what happened so long before or after
        comes, too. `witnessed_from`: of what the archive saw live, look through what it saw since.

        Raises:
            ArchiveEnds: the archive ends before `since`, or has nothing yet.
            ArchiveBudget: more would have to be fetched than may be.
            NoArchive, Refused, Unanswered, UnreadableArchive: the host does not let us.
        """
        listed = self._host.segments()
        ends = max((one.max_witnessed_at for one in listed), default=0)
        if ends < micros_of(since):
            raise ArchiveEnds(
                f"the archive of {self._host.name} ends at {instant_of(ends):%Y-%m-%d %H:%M} UTC, "
                f"before {since:%Y-%m-%d %H:%M} UTC; try again when it has sealed what came then"
            )
        begin, end = since - around, until + around
        seen = witnessed_from or begin
        back = self._backfilled(listed) if with_backfill else set()
        chosen = [one for one in listed if one.index in back or _overlaps(one, seen, end)]
        sheets = self._have(chosen, {one.name for one in chosen if one.index in back}, dids)
        found = self._sheets.between(sheets, micros_of(begin), micros_of(end))
        as_of = min((sheet.fetched_at for sheet in sheets), default=None)
        undated = sum(sheet.undated for sheet in sheets)
        covers = _covers(listed, since, until)
        span = Span(since, until, instant_of(ends), as_of, covers, undated)
        return span, _of_accounts((table for _, table in found), dids)

    def _backfilled(self, listed: Sequence[Listed]) -> set[int]:
        """The indexes of segments that begin with what came with whole repositories."""
        path = self._folder / _KNOWN
        known: dict[str, bool] = orjson.loads(path.read_bytes()) if path.exists() else {}

        def is_back(one: Listed) -> bool:
            if str(one.index) not in known:
                known[str(one.index)] = self._begins_backfilled(one)
            return known[str(one.index)]

        if len(listed) <= _ALL_PROBED:
            found = {one.index for one in listed if is_back(one)}
        else:
            low, high = 0, len(listed)
            while low < high:
                middle = (low + high) // 2
                low, high = (middle + 1, high) if is_back(listed[middle]) else (low, middle)
            found = {one.index for one in listed[:low]}
        write_json(path, known)
        return found

    def _begins_backfilled(self, one: Listed) -> bool:
        for _ in range(_ATTEMPTS):
            try:
                unit = Unit(one.name, one.checksum, (0,))
                return self._spool.read(unit, read_block, _begins_backfilled)
            except Rewritten:
                again = (each for each in self._host.segments() if each.name == one.name)
                one = next(again, one)
        raise self._unsettled()

    def _have(self, chosen: Sequence[Listed], kept: set[str], dids: Sequence[str]) -> list[Sheet]:
        """Sheets of all that is wanted of the segments `chosen`; what is missing is fetched.

        Of those `kept`, an earlier version will do.
        """
        for _ in range(_ATTEMPTS):
            units = self._planned(chosen, dids)
            missing = [rest for unit in units if (rest := self._rest(unit, kept)) is not None]
            estimate = estimated(missing, chosen)
            self._log(
                f"{len(units)} segments of {self._host.name}, {len(missing)} to fetch: about "
                f"{estimate:,} bytes"
            )
            self.budget.hold(estimate, "what is asked for")
            self._forget_earlier(missing, kept)
            try:
                for start in range(0, len(missing), AT_ONCE):
                    self._take_in(missing[start : start + AT_ONCE])
            except Rewritten:
                self._log("the archive was compacted meanwhile: planning anew")
                chosen = [each for each in self._host.segments() if each.index in _of(chosen)]
                continue
            return [sheet for unit in units for sheet in self._fitting(unit, kept)]
        raise self._unsettled()

    def _planned(self, chosen: Sequence[Listed], dids: Sequence[str]) -> list[Unit]:
        """A plan for each run of segments that follow one another."""
        units: list[Unit] = []
        for run, some in product(_runs(chosen), _dids_at_once(dids)):
            units += self._host.plan(max(0, run[0].min_seq - 1), run[-1].max_seq, [POST], some)
        together: dict[str, Unit] = {}
        for unit in units:
            before = together.get(unit.segment)
            together[unit.segment] = _joined(before, unit) if before else unit
        return list(together.values())

    def _fitting(self, unit: Unit, kept: set[str]) -> list[Sheet]:
        return [
            sheet
            for sheet in self._sheets.all()
            if sheet.segment == unit.segment
            and (
                sheet.checksum == unit.checksum
                or sheet.segment in kept
                or sheet.fetched_at >= self._begun
            )
        ]

    def _rest(self, unit: Unit, kept: set[str]) -> Unit | None:
        """What of a unit has still to be fetched."""
        sheets = self._fitting(unit, kept)
        if any(sheet.is_whole for sheet in sheets):
            return None
        if unit.blocks is None:
            return unit
        had = {block for sheet in sheets for block in sheet.blocks}
        rest = tuple(block for block in unit.blocks if block not in had)
        return replace(unit, blocks=rest) if rest else None

    def _forget_earlier(self, units: Sequence[Unit], kept: set[str]) -> None:
        """Remove sheets of versions of segments that are not there any more."""
        fitting = {sheet for unit in units for sheet in self._fitting(unit, kept)}
        of_units = {unit.segment for unit in units}
        for sheet in self._sheets.all():
            if sheet.segment in of_units and sheet not in fitting:
                sheet.path.unlink()

    def _take_in(self, units: Sequence[Unit]) -> None:
        """Fetch `units`, and keep what is wanted of them in sheets."""
        self._spool.fetch(units)
        for unit in units:
            self._spool.read(unit, read_rows, partial(self._index, unit, now()))
            self._spool.clear(unit)

    def _index(self, unit: Unit, fetched_at: datetime, blocks: Blocks[BlockRows]) -> None:
        whole, again = unit.blocks is None, Again()
        settled = ((number, again.settled(block)) for number, block in blocks)
        self._sheets.write(unit.segment, unit.checksum, settled, fetched_at, is_whole=whole)

    def _unsettled(self) -> UserError:
        return ArchiveEnds(
            f"{self._host.name} rewrote what was being fetched {_ATTEMPTS} times; what came is "
            "kept: run it again"
        )


def _begins_backfilled(blocks: Blocks[pa.RecordBatch]) -> bool:
    ((_, block),) = blocks
    return is_backfilled(block)


def _runs(chosen: Sequence[Listed]) -> Iterator[list[Listed]]:
    run = list(chosen[:1])
    for before, one in pairwise(chosen):
        if one.index != before.index + 1:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _dids_at_once(dids: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many as a plan may be asked for; of no DIDs none, once, which is for everybody."""
    for start in range(0, max(1, len(dids)), MOST_DIDS):
        yield dids[start : start + MOST_DIDS]


def _of_accounts(tables: Iterator[pa.Table], dids: Sequence[str]) -> Iterator[pa.Table]:
    """What of `tables` is of these accounts; all of it, if there are none."""
    wanted = pa.array(dids, pa.string())
    for table in tables:
        of_them = table.filter(pc.is_in(table["did"], wanted)) if dids else table
        if of_them.num_rows:
            yield of_them


def _of(chosen: Sequence[Listed]) -> set[int]:
    return {one.index for one in chosen}


def _joined(one: Unit, other: Unit) -> Unit:
    if one.blocks is None or other.blocks is None:
        return replace(other, blocks=None)
    return replace(other, blocks=tuple(sorted({*one.blocks, *other.blocks})))


def _covers(listed: Sequence[Listed], since: datetime, until: datetime) -> bool:
    """Whether segments that follow one another span it."""
    meeting = [one for one in listed if _overlaps(one, since, until)]
    if not meeting or meeting[0].min_witnessed_at > micros_of(since):
        return False
    follow = all(one.index == before.index + 1 for before, one in pairwise(meeting))
    return follow and max(one.max_witnessed_at for one in meeting) >= micros_of(until)


def _overlaps(one: Listed, since: datetime, until: datetime) -> bool:
    late = micros_of(until + LATE)
    return one.max_witnessed_at >= micros_of(since) and one.min_witnessed_at < late


def micros_of(instant: datetime) -> int:
    """Microseconds since the epoch."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(micros: int) -> datetime:
    """The instant so many microseconds after the epoch, in UTC."""
    return _EPOCH + micros * _MICROSECOND
