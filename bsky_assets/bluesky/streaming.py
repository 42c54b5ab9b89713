"""Reading one stream into segments: connect, read, and connect again when it breaks.

The same code reads without end and up to limits. A connection that ends, or falls silent, is
replaced after a while that grows and is jittered; the host is asked to go on after the last
event. A bounded reading is also at its end when new connections bring nothing new.
What does not belong here: any one protocol's frames, how segments are written, and who starts
and stops the reading.
"""

import asyncio
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import aiohttp
import stamina

from bsky_assets.bluesky.accounting import UNREADABLE, Account, Events
from bsky_assets.bluesky.kinds.posts import KIND as POSTS
from bsky_assets.bluesky.rows import instant
from bsky_assets.bluesky.spool import Reader, Spool, few_collections
from bsky_assets.bluesky.websocket import (
    Disconnected,
    FrameTooLarge,
    Silent,
    Socket,
    StreamError,
    answer,
    ask,
    end_of,
    is_answer,
    session,
)
from bsky_assets.contracts import STREAMED
from bsky_assets.contracts.progress import Progress, Reporter
from bsky_assets.errors import UserError
from bsky_assets.storage.segments import COLUMN_OF, SegmentWriter
from bsky_assets.sync_day import now

IDLE_SECONDS = 3.0
_PATIENCE_SHARE = 0.05
_MOST_PATIENCE = 30.0
"""Seconds; a bounded reading's patience grows with this share of the time it has read."""
FIRST_EVENT_SECONDS = 10.0
_GOING_ON_SECONDS = 5.0
"""A host may take longer to begin, and to find the place from which it is asked to go on."""
ANSWER_SECONDS = 10.0
"""A host that is silent is asked whether it is there, and may take so long to answer."""

ATTEMPTS = 5
"""Connections in a row that a bounded reading tries to make before it gives up."""
_QUIETLY_CLOSED = 3
"""Connections in a row that a host closes without anything new, after which there is no more.
One on which it was silent instead is enough, as that took all our patience."""
FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
JITTER = 1.0

_OVERLAP = timedelta(minutes=10)
"""Where our place is looked for by the host's clock, as much is read again."""

_TICK_MICROSECONDS = 100_000
_WATCH_SECONDS = 0.25
TELL_SECONDS = 0.5

_POST_COLUMN = COLUMN_OF[POSTS.row]

log = logging.getLogger(__name__)


class NoEvents(UserError):
    """The host can be reached and sends nothing."""


class Unreachable(UserError):
    """The host cannot be reached, or refuses."""


class Source(Protocol):
    """A host that a stream is read from."""

    host: str
    variable: str
    """The environment variable that a person would change to read from elsewhere."""
    without_holes: bool
    may_rest: bool
    """Whether it is in order that nothing comes for a while."""
    sends_cursor_again: bool
    """Whether it goes on from the cursor's own event, not from the one after it."""
    is_rewound: bool
    """Whether to look through all that the host has for our place where it has lost that."""
    patience: float
    """Seconds of silence after which the connection of an unbounded reading is replaced."""

    @property
    def reader(self) -> Reader:
        """What reads its frames."""

    async def connect(self, client: aiohttp.ClientSession, cursor: int | None) -> Socket:
        """Go on after `cursor`, or begin with what happens now."""


@dataclass(frozen=True)
class Limits:
    """When a reading ends, whichever comes first; None is no limit."""

    max_posts: int | None = None
    max_events: int | None = None
    max_seconds: float | None = None


@dataclass(frozen=True)
class StreamReport:
    """What a reading brought. All of it is committed."""

    stream: str
    host: str
    seconds: float
    events: int
    again: int
    """Events that came and that we had before, not counted in `events`; the rows below are of all
    that came, each to be stored once."""
    rows: Mapping[str, int]
    """By what they are called: posts, deletions, labels, quarantined, and so on."""
    segments: int
    reconnects: int
    gaps: int
    ended_by: str
    """max posts, max events, max seconds, stop, nothing more, or unreachable."""


class _Ended(Exception):
    """The reading is at its end, and why."""


class Reading:
    """One reading of one stream."""

    def __init__(
        self,
        source: Source,
        writer: SegmentWriter,
        timezone: ZoneInfo,
        *,
        limits: Limits | None = None,
        idle_seconds: float = IDLE_SECONDS,
        stop: threading.Event | None = None,
        progress: Reporter | None = None,
        kept_to: frozenset[str] | None = None,
    ) -> None:
        """Read `source` into `writer`.

        Args:
            source: where from.
            writer: where to.
            timezone: of the sync day; a segment belongs to one day.
            limits: when to end; without any the reading goes on until it is stopped.
            idle_seconds: silence after which a bounded reading asks the host whether it is
                there and, over a new connection, whether there is more. Patience grows with the
                time read.
            stop: ends the reading when it is set.
            progress: told how far it is, a few times a second.
            kept_to: accounts whose rows alone are kept; None: all.
        """
        last = writer.resumed
        stream = writer.segments.stream
        self._account = Account(stream, source.host, last, without_holes=source.without_holes)
        self._spool = Spool(source.reader, self._account, writer, timezone, kept_to)
        self._source, self._stream, self._stop = source, stream, stop or threading.Event()
        self._limits, self._is_bounded = limits or Limits(), limits is not None
        self._idle_seconds, self._tell = idle_seconds, progress
        self._began = time.monotonic()
        self._told_at, self._told_events = self._began, 0
        source.reader.last_number = self._account.cursor
        if last and last.host == source.host:
            source.reader.passing_until = instant(last.passing_until)
        self._knew_host = self._account.cursor is not None
        self._had = self._reconnects = self._quiet = self._oversized = 0
        self._ended: list[tuple[str, datetime]] = []
        self._is_rewinding = self._was_open = self._has_asked = False
        self._due = 0

    async def run(self) -> StreamReport:
        """Read until a limit, the end or `stop`; everything is committed then.

        Raises:
            Unreachable: a bounded reading could not reach the host, and brought nothing.
            NoEvents: the host was reached and sent nothing.
            UnusableDataDirectory: a segment cannot be written.
        """
        with few_collections():
            return await self._run()

    async def _run(self) -> StreamReport:
        async with session() as client:
            reading = asyncio.create_task(self._keep_reading(client))
            watching = asyncio.create_task(self._keep_watch())
            try:
                await asyncio.wait({reading, watching}, return_when=asyncio.FIRST_COMPLETED)
                ended_by = reading.result() if reading.done() else watching.result()
            finally:
                reading.cancel()
                watching.cancel()
                await asyncio.wait({reading, watching})
                self._spool.account_for(_now())
                await self._spool.commit()
                await self._spool.settle()
        if ended_by == "max seconds" and not self._was_open:
            raise self._unreachable(self._ended[-1][0] if self._ended else "it does not answer")
        if ended_by == "max seconds" and not self._account.events:
            self._require_rest(f"in {self._limits.max_seconds:g} s")
        return self._report(ended_by)

    async def _keep_reading(self, client: aiohttp.ClientSession) -> str:
        attempts = ATTEMPTS if self._is_bounded else None
        try:
            while True:
                async for attempt in stamina.retry_context(
                    on=self._how_to_go_on,
                    attempts=attempts,
                    timeout=None,
                    wait_initial=FIRST_WAIT,
                    wait_max=LONGEST_WAIT,
                    wait_jitter=JITTER,
                ):
                    with attempt:
                        await self._connection(client)
        except _Ended as end:
            return str(end)
        except Disconnected as end:
            return self._give_up(end)

    def _how_to_go_on(self, error: Exception) -> bool | float:
        if not isinstance(error, Disconnected):
            return False
        if self._is_bounded and (error.is_final or self._quiet >= _QUIETLY_CLOSED):
            return False
        return True if error.wait is None else error.wait

    def _give_up(self, end: Disconnected) -> str:
        if self._account.events:
            return "nothing more" if end.was_open else "unreachable"
        if not end.was_open:
            raise self._unreachable(str(end)) from end
        self._require_rest(f"({end})")
        return "nothing more"

    def _require_rest(self, told: str) -> None:
        """That a host sent nothing is lawful only where it had sent all before, or rarely does.

        Raises:
            NoEvents: it is not.
        """
        if self._knew_host or self._account.seen or self._source.may_rest:
            return
        host, variable = self._source.host, self._source.variable
        raise NoEvents(f"no events from {host} {told}; see whether it is up, or set {variable}")

    def _unreachable(self, why: str) -> Unreachable:
        host, variable = self._source.host, self._source.variable
        return Unreachable(
            f"cannot read from {host}: {why}; see whether it is up, or set {variable}"
        )

    async def _connection(self, client: aiohttp.ClientSession) -> None:
        """Read over one connection; returns at its end if it brought something new.

        Raises:
            Disconnected: it could not be made, or brought nothing new.
        """
        self._had = self._account.events
        try:
            socket = await self._source.connect(client, self._resume_after())
            self._was_open = True
            if self._source.sends_cursor_again:
                self._account.expect_again()
            try:
                await self._receive(socket)
            finally:
                await socket.close()
        except Disconnected as end:
            self._spool.account_for(_now())
            brought_something = self._account.events > self._had
            self._settle_reconnects()
            if brought_something:
                self._quiet = self._oversized = 0
            elif end.was_open:
                self._quiet += _QUIETLY_CLOSED if isinstance(end, Silent) else 1
            self._note(end)
            if not brought_something:
                raise

    def _resume_after(self) -> int | None:
        if self._account.cursor is not None:
            return self._account.cursor + self._frames_to_pass()
        return 0 if self._is_rewinding else None

    def _frames_to_pass(self) -> int:
        """A frame that was too large twice is passed over, as far as one can tell its number."""
        return max(0, self._oversized - 1)

    def _note(self, end: Disconnected) -> None:
        self._ended.append((str(end), now()))
        level = logging.INFO if self._is_bounded else logging.WARNING
        log.log(level, "%s: %s", self._source.host, end)
        if isinstance(end, FrameTooLarge):
            self._note_oversized(end)
        elif isinstance(end, StreamError) and end.name in ("FutureCursor", "CursorTooOld"):
            self._start_anew(end.name)

    def _settle_reconnects(self) -> None:
        """Note the connections that ended, once another has brought something new."""
        if self._account.events > self._had:
            for reason, at in self._ended:
                self._account.reconnected(reason, at)
            self._reconnects += len(self._ended)
            self._ended.clear()

    def _note_oversized(self, end: FrameTooLarge) -> None:
        self._oversized += 1
        received = _now()
        self._spool.begin(received)
        position = f"after {self._account.cursor or 'the start'}"
        self._source.reader.rows.quarantine(end.problem, b"", position, received)
        self._account.add(Events([UNREADABLE], [None], Counter()), now())

    def _start_anew(self, why: str) -> None:
        """The host does not know our number: look for our place by its clock."""
        reasons = {"FutureCursor": "future cursor", "CursorTooOld": "outdated cursor"}
        self._account.start_anew(reasons[why])
        if self._source.is_rewound:
            self._is_rewinding = True
            if place := self._account.place:
                self._source.reader.passing_until = place - _OVERLAP

    async def _receive(self, socket: Socket) -> None:
        """Read until the connection ends or the host is silent.

        Where the reading would end by that, the host is pinged first, so that one that is held up
        is waited for. The sandbox answers when it has sent everything; a host that answers sooner
        is asked for more over a new connection, as one that does not answer is.
        """
        patience = self._patience(is_new=True)
        self._has_asked = False
        while True:
            try:
                await self._receive_until_silent(socket, patience)
            except TimeoutError:
                if self._has_asked or not self._is_bounded:
                    raise Silent(f"silent for {patience:.0f} s") from None
            self._has_asked = True
            await ask(socket)
            patience = ANSWER_SECONDS

    async def _receive_until_silent(self, socket: Socket, patience: float) -> None:
        """Read until nothing comes for `patience` seconds.

        Raises:
            TimeoutError: nothing came.
            Disconnected: the connection ended, or the host has answered that it has no more.
        """
        receive, read, rows = socket.receive, self._source.reader.read, self._source.reader.rows
        monotonic, offset = time.monotonic_ns, _clock_offset()
        loop, spool = asyncio.get_running_loop(), self._spool
        ping, pong = aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG
        self._due = 0
        events_left = posts_left = 0.0
        async with asyncio.timeout(patience) as silence:
            while True:
                message = await receive()
                if message.type is ping or message.type is pong:
                    if self._has_asked and is_answer(message.type, message.data):
                        raise Silent("it has nothing more for now")
                    await answer(socket, message.type, message.data)
                    continue
                received = (monotonic() + offset) // 1000
                if (
                    received >= self._due
                    or spool.room <= rows.kept_bytes
                    or events_left <= 0
                    or len(rows.puts[POSTS]) >= posts_left
                ):
                    silence.reschedule(None)
                    await self._tick(received)
                    events_left, posts_left = self._left()
                    self._due = min(received + _TICK_MICROSECONDS, self._spool.begin(received))
                    offset, self._has_asked = _clock_offset(), False
                    silence.reschedule(loop.time() + self._patience())
                data = message.data
                if type(data) is not bytes:
                    raise end_of(socket, message.type, data, message.extra)
                read(data, received)
                spool.room -= len(data)
                events_left -= 1

    def _patience(self, *, is_new: bool = False) -> float:
        if not self._is_bounded:
            return self._source.patience
        share = min(_PATIENCE_SHARE * (time.monotonic() - self._began), _MOST_PATIENCE)
        patience = max(self._idle_seconds, share)
        if is_new and not self._account.seen:
            is_in_order = self._knew_host or self._source.may_rest
            going_on = min(_GOING_ON_SECONDS, 2 * self._idle_seconds)
            return max(patience, going_on if is_in_order else FIRST_EVENT_SECONDS)
        return patience

    async def _keep_watch(self) -> str:
        """Commit, tell and end in time where no frame comes to remind us."""
        try:
            while True:
                await asyncio.sleep(_WATCH_SECONDS)
                await self._tick(_now())
                self._due = 0
        except _Ended as end:
            return str(end)

    async def _tick(self, received: int) -> None:
        self._spool.account_for(received)
        self._settle_reconnects()
        if self._spool.is_due(received):
            await self._spool.commit()
        self._tell_progress()
        if reason := self._why_end():
            raise _Ended(reason)
        await asyncio.sleep(0)

    def _left(self) -> tuple[float, float]:
        """Events that may still come, and posts that the segment being filled may hold."""
        limits = self._limits
        events, posts = limits.max_events or math.inf, limits.max_posts or math.inf
        return events - self._account.events, posts - self._spool.rows[_POST_COLUMN]

    def _why_end(self) -> str | None:
        events_left, posts_left = self._left()
        seconds = self._limits.max_seconds
        if self._stop.is_set():
            return "stop"
        if len(self._source.reader.rows.puts[POSTS]) >= posts_left:
            return "max posts"
        if events_left <= 0:
            return "max events"
        if seconds is not None and time.monotonic() - self._began >= seconds:
            return "max seconds"
        return None

    def _tell_progress(self) -> None:
        at = time.monotonic()
        if self._tell is None or at - self._told_at < TELL_SECONDS:
            return
        events, lag, limits = self._account.events, self._account.lag, self._limits
        posts = self._spool.rows[_POST_COLUMN] + len(self._source.reader.rows.puts[POSTS])
        rate = (events - self._told_events) / (at - self._told_at)
        behind = "" if lag is None else f", {lag.total_seconds():,.0f} s behind"
        by_posts = limits.max_posts is not None
        self._tell(
            Progress(
                self._stream,
                posts if by_posts else events,
                limits.max_posts if by_posts else limits.max_events,
                unit="posts" if by_posts else "events",
                note=f"{posts:,} posts, {rate:,.0f} events/s{behind}",
            )
        )
        self._told_at, self._told_events = at, events

    def _report(self, ended_by: str) -> StreamReport:
        rows = self._spool.rows
        return StreamReport(
            stream=self._stream,
            host=self._source.host,
            seconds=time.monotonic() - self._began,
            events=self._account.events - self._account.passed_over,
            again=self._account.repeated + self._account.passed_over,
            rows={each.counted_as: rows[each.column] for each in STREAMED.values()},
            segments=self._spool.segments,
            reconnects=self._reconnects,
            gaps=self._spool.gaps,
            ended_by=ended_by,
        )


def _clock_offset() -> int:
    """Nanoseconds to add to the monotonic clock, which goes straight on, for the time of day."""
    return time.time_ns() - time.monotonic_ns()


def _now() -> int:
    return time.time_ns() // 1000
