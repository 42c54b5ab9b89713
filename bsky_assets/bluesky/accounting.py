"""Accounting for a stream: what came, in which order, what is missing, what came again.

A relay numbers its events without holes. A number that is skipped is a gap, unless an event
arrived in its place that could not be read, and until it arrives late. A few numbers that fit
nowhere, between two that follow each other, are strays. A number that is not above the last
belongs to an event that is late, or is sent again, or to another numbering behind the same name;
what tells them apart is whether we had that number at that time of the host's clock.
What does not belong here: what the events say.
"""

from collections import Counter, deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median_low
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.bluesky.lateness import WINDOW, Hole, Holes
from bsky_assets.bluesky.rows import instant, instants
from bsky_assets.storage.segments import Footer
from bsky_assets.storage.stretches import Gap, Reconnect, Strays, Stretch, with_event

UNREADABLE = -1
"""Stands for the number of an event whose own could not be read."""
OUTDATED_CURSOR = -2
"""Stands where the host said that it no longer has everything after our cursor."""

CHUNK = 1_000
"""Events that are accounted for together."""
REMEMBERED_CHUNKS = WINDOW // CHUNK
"""The events of as many chunks are known one by one."""
_MOST_STRAYS = 3
"""In a row; more are another numbering."""
_CLOCK_SAMPLE = 15
"""Events next to one whose time is in question that are asked the time."""
_FIRST_YEAR = 2022
"""No event is older than the network."""
_MOST_AHEAD = timedelta(days=1)
MINUTE = timedelta(minutes=1)
_MINUTE_FORMAT = "%Y-%m-%dT%H:%MZ"
_MOST_APART = timedelta(minutes=10)
JITTER = timedelta(seconds=5)
"""Events come this much out of the order of their times."""

Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass
class Events:
    """Events in the order of arrival: their numbers, their times by the host, and their kinds."""

    seqs: list[int]
    times: list[Any]
    kinds: Counter[str]
    passed_over: int = 0
    """How many of them, from the first on, were passed over: of those, numbers may be skipped."""


@dataclass(frozen=True)
class _Before:
    """Where the account was before numbers came that may be strays."""

    cursor: int
    clock: datetime | None
    cursor_time: Any
    began_after: int | None
    holes: Holes
    gaps: list[Gap]
    stretches: list[Stretch]
    segment: int
    """Which segment was filling, counted from the account's beginning."""
    strays: tuple[int, ...] = ()


class Account:
    """The account of one stream as read from one host, closed and begun anew at every segment."""

    def __init__(self, stream: str, host: str, last: Footer | None, *, without_holes: bool) -> None:
        """Go on after the stream's last segment.

        Args:
            stream: the stream's name.
            host: who sends it.
            last: footer of the stream's last segment, from whichever host.
            without_holes: whether the host's numbers rise by one.
        """
        self._stream, self._host, self._without_holes = stream, host, without_holes
        self._may_have_holes = not without_holes
        self._cursors = dict(last.cursors) if last else {}
        self.cursor: int | None = self._cursors.get(host)
        """The last event; a connection goes on after it."""
        self.events = 0
        """Events so far, those sent again left out."""
        self.repeated = self.passed_over = 0
        """Events so far that were sent again; and, of `events`, those that were passed over."""
        self.seen = 0
        """Everything that arrived so far."""
        self.lag: timedelta | None = None
        """How far behind the host's clock we received the last events."""
        self.clock = _last_clock(last)
        """The host's time of the last event."""
        self._times: deque[Any] = deque(maxlen=_CLOCK_SAMPLE)
        self._is_new = self.cursor is None
        self._began_after, self._began_clock = self.cursor, self.clock
        self._cursor_time: Any = last.cursor_time if last else None
        self._last_place = instant(last.place) if last else None
        self._gap_reason = "source changed" if self._cursors and self.cursor is None else None
        self._gap_after: int | None = self.cursor
        self._unread = 0
        self._expected: int | None = None
        self._holes = Holes()
        self._before: _Before | None = None
        self._segment = 0
        self._recent: deque[tuple[Numbers, list[Any]]] = deque(maxlen=REMEMBERED_CHUNKS)
        if self.cursor is not None:
            self._recent.append((np.array([self.cursor]), [self._cursor_time]))
        self._begin()

    def _begin(self) -> None:
        self._follows = self.cursor
        self._stretches: list[Stretch] = []
        self._gaps: list[Gap] = []
        self._strays: list[Strays] = []
        self._reconnects: list[Reconnect] = []
        self._kinds: Counter[str] = Counter()
        self._minutes: Counter[str] = Counter()
        self._late: list[int] = []
        self._closed = self._repeated = 0
        self._largest_lag: timedelta | None = None

    def reconnected(self, reason: str, at: datetime) -> None:
        """Note that a connection ended before we wanted it to."""
        self._reconnects.append(Reconnect(at.isoformat(), reason))

    def expect_again(self) -> None:
        """The host is to send the last event again first: if it does not, what follows it is lost.

        Unless something came instead that could not be read.
        """
        self._expected = self.cursor

    @property
    def place(self) -> datetime | None:
        """About where in time the stream is: no event of a clock that is off can tell alone."""
        read = [made for time in self._times if (made := instant(time))]
        return median_low(read) if read else self._last_place

    def start_anew(self, reason: str) -> None:
        """Forget the cursor, which the host does not know: what comes next follows a gap."""
        self._gap_reason, self._gap_after, self.cursor = reason, self.cursor, None
        self._began_after = self._before = None
        self._holes.clear()

    def add(self, events: Events, received: datetime) -> None:
        """Account for events that arrived up to the instant `received`."""
        self._kinds.update(events.kinds)
        self.seen += len(events.seqs)
        self._may_have_holes = True
        before = self.events
        self._add_chunks(events, 0, events.passed_over, received)
        self.passed_over += self.events - before
        self._may_have_holes = not self._without_holes
        self._add_chunks(events, events.passed_over, len(events.seqs), received)

    def _add_chunks(self, events: Events, start: int, end: int, received: datetime) -> None:
        for begin in range(start, end, CHUNK):
            chunk = slice(begin, min(begin + CHUNK, end))
            seqs = np.array(events.seqs[chunk], dtype=np.int64)
            self._add_chunk(seqs, events.times[chunk], received)

    def _add_chunk(self, seqs: Numbers, times: list[Any], received: datetime) -> None:
        self._recent.append((seqs, times))
        steps = np.diff(seqs)
        breaks = steps <= 0 if self._may_have_holes else steps != 1
        breaks |= seqs[:-1] < 0
        starts = [0, *(np.flatnonzero(breaks) + 1).tolist()]
        for start, end in zip(starts, [*starts[1:], len(seqs)], strict=True):
            self._add_run(seqs, times, start, end, received)

    def _add_run(
        self, seqs: Numbers, times: list[Any], start: int, end: int, received: datetime
    ) -> None:
        """Account for events whose numbers go up without anything in between."""
        first, last = int(seqs[start]), int(seqs[end - 1])
        if first == UNREADABLE:
            self._unread += 1
            return
        if first == OUTDATED_CURSOR:
            self._gap_reason = "outdated cursor"
            return
        if self._expected is not None and first > self._expected and not self._unread:
            self._gap_reason = self._gap_reason or "outdated cursor"
        self._expected = None
        self._leave_strays(first, received)
        if self.cursor is not None and first <= self.cursor:
            again = start + int(np.searchsorted(seqs[start:end], self.cursor, "right"))
            start = self._first_new(seqs, times, start, again, received)
            if start == end:
                return
            first = int(seqs[start])
        self._weigh(first, is_alone=end - start == 1)
        opened, closed = _clocks(times[start:end], received)
        reason = self._why_gap(first)
        self._open_hole(first, opened, is_told=reason is not None)
        if reason:
            self._note_gap(first, reason, opened, received)
        if reason or not self._stretches:
            self._stretches.append(Stretch(first, first, _iso(opened), None))
        self._gap_reason = None
        self._cursor_time = times[end - 1]
        self._times.extend(times[start:end][-_CLOCK_SAMPLE:])
        self._minutes.update(_by_minute(times[start:end], opened, closed, received))
        self._advance(last, closed, end - start, received)

    def _why_gap(self, seq: int) -> str | None:
        if self.cursor is None:
            return self._gap_reason
        if seq <= self.cursor:
            self._began_after = None  # it is of numbers that no longer are
            return "sequence went back"
        if self._may_have_holes:
            return None if self._without_holes else self._gap_reason
        is_next = seq - self.cursor - 1 <= self._unread
        return None if is_next else self._gap_reason or "sequence jumped"

    def _weigh(self, first: int, *, is_alone: bool) -> None:
        """Before events from `first` on: remember where we are if they may be strays."""
        before, self._before = self._before, None
        if self.cursor is None or not self._without_holes or first == self.cursor + 1:
            return
        if is_alone and before:
            if len(before.strays) < _MOST_STRAYS:
                self._before = replace(before, strays=(*before.strays, first))
        elif is_alone and not self.cursor < first <= self.cursor + WINDOW:
            self._before = _Before(
                self.cursor,
                self.clock,
                self._cursor_time,
                self._began_after,
                self._holes.copy(),
                list(self._gaps),
                list(self._stretches),
                self._segment,
                (first,),
            )

    def _leave_strays(self, first: int, received: datetime) -> None:
        """Go back to before a few numbers that were far off, as now the one after it comes.

        What an earlier segment tells of them stays told. By their numbers they could be of another
        numbering, of which the rest is missing: so they are told of, too.
        """
        before = self._before
        if before is None or first != before.cursor + 1:
            return
        self._before = None
        self._strays.append(
            Strays(self._host, before.cursor, first, [*before.strays], received.isoformat())
        )
        self.cursor, self.clock = before.cursor, before.clock
        self._cursor_time, self._began_after = before.cursor_time, before.began_after
        self._holes = before.holes
        if before.segment == self._segment:
            self._gaps, self._stretches = before.gaps, before.stretches

    def _open_hole(self, first: int, opened: datetime | None, *, is_told: bool) -> None:
        """Whatever is skipped may yet come: so may what precedes the first event of all."""
        if not self._without_holes:
            return
        if self.cursor is None:
            self._holes.open(Hole(first - WINDOW, first, opened, is_told=False))
        elif first <= self.cursor:
            self._holes.clear()
        elif first > self.cursor + 1:
            self._holes.open(Hole(self.cursor, first, opened, is_told))

    def _advance(self, seq: int, clock: datetime | None, events: int, received: datetime) -> None:
        self.clock = clock or self.clock
        self._stretches[-1] = replace(self._stretches[-1], last=seq, last_time=_iso(self.clock))
        self.cursor = seq
        self.events += events
        self._unread = 0
        if clock:
            self.lag = max(received - clock, timedelta())
            self._largest_lag = max(self._largest_lag or timedelta(), self.lag)

    def _note_gap(
        self, before: int, reason: str, clock: datetime | None, received: datetime
    ) -> None:
        after = self._gap_after if self.cursor is None else self.cursor
        self._gaps.append(
            Gap(
                host=self._host,
                after=after,
                before=before,
                reason=reason,
                noticed_at=received.isoformat(),
                after_time=_iso(self.clock),
                before_time=_iso(clock),
                is_counted=self._without_holes,
            )
        )

    def _first_new(
        self, seqs: Numbers, times: list[Any], start: int, end: int, received: datetime
    ) -> int:
        """Account for numbers that are not above the last; where those of a new numbering begin."""
        known: dict[int, list[Any]] = {}
        for chunk, chunk_times in self._recent:
            at = np.flatnonzero((chunk >= seqs[start]) & (chunk <= seqs[end - 1]))
            for position in at[at < start] if chunk is seqs else at:
                known.setdefault(int(chunk[position]), []).append(chunk_times[position])
        for position in range(start, end):
            seq, time = int(seqs[position]), times[position]
            if self._fill(seq, time) or (seq not in known and self._is_late(seq, time)):
                self.events += 1
                self._minutes.update(_by_minute([time], None, instant(time), received))
            elif time in known[seq] if seq in known else self._is_from_before(seq, time):
                self._repeated += 1
                self.repeated += 1
            else:
                return position
        return end

    def _fill(self, seq: int, time: Any) -> bool:
        """Whether an event comes late, in a place that was left for it; its gap closes then."""
        hole = None
        if self._without_holes and self.cursor is not None and seq > self.cursor - WINDOW:
            hole = self._holes.fill(seq, instant(time), JITTER)
        if hole is None:
            return False
        if not hole.is_told:
            return True
        place = (hole.after, hole.before)
        for at, gap in enumerate(self._gaps):
            if (gap.after, gap.before) == place:
                self._gaps[at : at + 1] = gap.without(seq)
                self._stretches = with_event(self._stretches, seq)
                return True
        self._late.append(seq)
        self._closed += hole.before - hole.after == 2
        return True

    def _is_late(self, seq: int, time: Any) -> bool:
        """Whether an event of a host whose numbers have holes comes late: we would remember it."""
        if self._without_holes or self.clock is None:
            return False
        is_all_remembered = self._is_new and len(self._recent) < REMEMBERED_CHUNKS
        if not is_all_remembered and seq <= int(self._recent[0][0].min()):
            return False
        made = instant(time)
        return made is not None and made <= self.clock + JITTER

    def _is_from_before(self, seq: int, time: Any) -> bool:
        """Whether an event that is not remembered was sent before, as far as its time tells."""
        clock = self.clock
        if self._began_after is not None and seq <= self._began_after:
            clock = self._began_clock and self._began_clock + JITTER
        made = instant(time)
        return made is None or clock is None or made <= clock

    @property
    def gaps(self) -> int:
        """Gaps noticed since the last segment, less those of before that closed since."""
        return len(self._gaps) - self._closed

    @property
    def uncommitted(self) -> int:
        """Events since the last segment."""
        return self._kinds.total()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to account for since the last segment."""
        return not (self._stretches or self._repeated or self._kinds or self._late)

    def close(
        self,
        received: tuple[datetime, datetime],
        passing_until: datetime | None = None,
    ) -> Footer:
        """The footer of the segment that is now written, but for its rows; begin the next."""
        if self.cursor is not None:
            self._cursors[self._host] = self.cursor
        footer = Footer(
            stream=self._stream,
            host=self._host,
            follows=self._follows,
            cursor=self.cursor,
            cursor_time=self._cursor_time if isinstance(self._cursor_time, str) else None,
            place=_iso(self.place),
            passing_until=_iso(passing_until),
            received_from=received[0].isoformat(),
            received_to=received[1].isoformat(),
            cursors=dict(self._cursors),
            stretches=self._stretches,
            gaps=self._gaps,
            strays=self._strays,
            reconnects=self._reconnects,
            events=dict(self._kinds),
            late=self._late,
            is_counted=self._without_holes,
            repeated=self._repeated,
            events_per_minute=dict(self._minutes),
            largest_lag_seconds=_seconds(self._largest_lag),
        )
        self._segment += 1
        self._begin()
        return footer


def _clocks(times: list[Any], received: datetime) -> tuple[datetime | None, datetime | None]:
    """The time by the host at the first and the last of some events, where they tell."""
    return (
        _clock(times[0], times[:_CLOCK_SAMPLE], received),
        _clock(times[-1], times[-_CLOCK_SAMPLE:], received),
    )


def _clock(time: Any, around: list[Any], received: datetime) -> datetime | None:
    """An event's time is that of its account's server, which may be far off those around it."""
    read = [made for other in around if (made := instant(other))]
    if not read:
        return None
    clock, made = median_low(read), instant(time)
    if clock.year < _FIRST_YEAR or clock > received + _MOST_AHEAD:
        return None
    return made if made and abs(made - clock) < _MOST_APART else clock


def _by_minute(
    times: list[Any], opened: datetime | None, closed: datetime | None, received: datetime
) -> Counter[str]:
    """How many events each minute has by their own times, which are of a backlog's many minutes.

    One whose time is not between those of the first and the last is counted with the last.
    """
    end = closed or received
    if opened is None or opened.replace(second=0, microsecond=0) >= end - MINUTE:
        return Counter({end.strftime(_MINUTE_FORMAT): len(times)})
    made = instants(times)
    within = pc.and_(pc.greater_equal(made, opened), pc.less_equal(made, end))
    placed = pc.if_else(pc.fill_null(within, False), made, pa.scalar(end, made.type))
    counted = pc.value_counts(pc.floor_temporal(placed, unit="minute")).to_pylist()
    return Counter({one["values"].strftime(_MINUTE_FORMAT): one["counts"] for one in counted})


def _last_clock(footer: Footer | None) -> datetime | None:
    if footer is None:
        return None
    return instant(footer.stretches[-1].last_time if footer.stretches else footer.received_to)


def _seconds(lag: timedelta | None) -> float | None:
    return None if lag is None else lag.total_seconds()


def _iso(clock: datetime | None) -> str | None:
    return clock.isoformat() if clock else None
