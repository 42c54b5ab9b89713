"""Serves a stream over WebSocket: at what pace, to whom, and with which faults.

A consumer that reads slowly is waited for; one that goes away is forgotten.
What does not belong here: what the messages are, and where a cursor points (`event_stream`,
`jetstream`).
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakSet

from aiohttp import WSCloseCode, WSMsgType, web

from bsky_sandbox.faults import DAMAGE, Fault, Injected, StreamFaults, StreamInjector, Strike
from bsky_sandbox.http_faults import FaultInjector, HttpFaults, Refused
from bsky_sandbox.xrpc import XrpcError

Message = bytes | str

_BATCH = 64
_PING_SECONDS = 20.0
_SHORTEST_WAIT = 0.005
_FOREVER = 24 * 3600.0


class Messages(Protocol):
    """The messages of a stream as one consumer gets them."""

    async def read(self, start: int, stop: int) -> Sequence[Message | None]:
        """Those from `start` to `stop`, exclusive; None for one that it does not want."""

    def number(self, position: int) -> int:
        """The number by which the consumer knows the message at `position`."""

    def renumbered(self, message: Message, shift: int) -> Message:
        """A message with `shift` added to its number."""

    def corrupted(self, message: Message) -> Message | None:
        """A message of which a record is not what its CID says; None if it has no record."""

    def too_big(self, message: Message) -> Message | None:
        """A commit without what it did; None if it is no commit."""

    def error(self, name: str, text: str) -> Message | None:
        """An error, to be sent before the stream is closed; None if there is no such message."""


class Pace:
    """How far a stream has got. It stands at its beginning until the first consumer comes."""

    def __init__(self, length: int, rate: float | None) -> None:
        """Let `length` messages happen, `rate` a second, or as fast as they are read."""
        self.length = length
        self.rate = rate
        self._head = 0.0
        self._looked_at: float | None = None

    def start(self) -> None:
        """A consumer has come."""
        if self._looked_at is None:
            self._looked_at = time.monotonic()

    @property
    def head(self) -> int:
        """How many messages have happened."""
        if self.rate is not None and self._looked_at is not None:
            now = time.monotonic()
            self._head = min(self.length, self._head + (now - self._looked_at) * self.rate)
            self._looked_at = now
        return int(self._head)

    @property
    def there_are(self) -> int:
        """How many messages there are to be sent; without a rate all."""
        return self.length if self.rate is None else self.head

    def reach(self, position: int) -> None:
        """The messages before `position` have happened: somebody has seen them."""
        self._head = max(self._head, position)

    async def wait(self, position: int) -> int:
        """Wait for the message at `position`; how many there are then."""
        while (there_are := self.there_are) <= position:
            if position >= self.length or self.rate is None:
                await asyncio.sleep(_FOREVER)
            else:
                await asyncio.sleep(max(_SHORTEST_WAIT, (position + 1 - self._head) / self.rate))
        return there_are


@dataclass(frozen=True)
class Start:
    """Where a consumer begins."""

    position: int | None
    """None: it is told why not, and the connection is closed."""
    preface: tuple[Message, ...] = ()
    """What it is told first."""


@dataclass
class _Connection:
    request: web.Request
    socket: web.WebSocketResponse
    messages: Messages
    answers_pings: bool = True
    is_at_rest: bool = False
    """Whether everything there is was sent: only then are pings answered, so that an answer tells
    the consumer that it has all that happened before."""
    pings: list[bytes] = field(default_factory=list)
    """Those not answered so far."""

    async def rest(self) -> None:
        self.is_at_rest = True
        await self.answer_pings()

    async def answer_pings(self) -> None:
        while self.pings and self.is_at_rest and self.answers_pings:
            await self.socket.pong(self.pings.pop(0))

    async def send(self, message: Message) -> None:
        if isinstance(message, str):
            await self.socket.send_str(message)
        else:
            await self.socket.send_bytes(message)


class _Over(Exception):
    """The stream closes the connection, unless it already cut it."""


def cursor_of(request: web.Request) -> int | None:
    """The cursor in a request for a stream; None if there is none.

    Raises:
        XrpcError: it is no number, or does not fit into 64 bits.
    """
    if (text := request.query.get("cursor")) is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < 2**63):
        raise XrpcError.invalid_request("Error: cursor must be an integer")
    return int(text)


def refuse(error: XrpcError) -> web.Response:
    """The answer to a request that did not become a WebSocket."""
    body = {"error": error.error, "message": error.message}
    return web.json_response(body, status=error.status, headers=error.headers)


class Broadcast:
    """Serves one stream to any number of consumers."""

    def __init__(
        self,
        length: int,
        *,
        rate: float | None = None,
        faults: StreamFaults | None = None,
        http_faults: HttpFaults | None = None,
    ) -> None:
        """Serve `length` messages, `rate` a second (None: as fast as they are read)."""
        self.pace = Pace(length, rate)
        self.injector = StreamInjector(faults or StreamFaults())
        """Its faults can be replaced while the stream is served."""
        self.upgrades = FaultInjector(http_faults or HttpFaults())
        """What happens to requests before they become WebSockets; can be replaced likewise."""
        self.shift = 0
        """What is added to sequence numbers since the last RENUMBER."""
        self.connections = 0
        """How many were made."""
        self._sockets: WeakSet[web.WebSocketResponse] = WeakSet()

    async def meet(self, request: web.Request) -> web.Response | None:
        """Let a request meet what is in store for it; the answer, if it is refused."""
        try:
            await self.upgrades.meet(request)
            if (status := self.injector.refusal()) is not None:
                raise Refused(status)
        except Refused as refused:
            message = f"refused with {refused.status}"
            return refuse(XrpcError(refused.status, "SandboxFault", message, refused.headers))
        return None

    async def serve(
        self, request: web.Request, messages: Messages, start: Start, protocols: Sequence[str] = ()
    ) -> web.WebSocketResponse:
        """Make `request` a WebSocket and send `messages` from `start` on, until it is closed."""
        socket = web.WebSocketResponse(compress=False, autoping=False, protocols=protocols)
        await socket.prepare(request)
        self._sockets.add(socket)
        self.connections += 1
        connection = _Connection(request, socket, messages)
        tasks = [
            asyncio.create_task(work)
            for work in (self._send(connection, start), _listen(connection), _ping(connection))
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        expected = (_Over, ConnectionError, asyncio.CancelledError)
        for end in ends:
            if isinstance(end, BaseException) and not isinstance(end, expected):
                raise end
        with contextlib.suppress(ConnectionError):
            await socket.close()
        return socket

    async def shut_down(self, _app: web.Application) -> None:
        """Close all connections; to be called when the server stops."""
        for socket in list(self._sockets):
            with contextlib.suppress(ConnectionError):
                await socket.close(code=WSCloseCode.GOING_AWAY)

    async def _send(self, connection: _Connection, start: Start) -> None:
        for message in start.preface:
            await connection.send(message)
        if start.position is None:
            raise _Over
        self.pace.start()
        position = start.position
        while True:
            if self.pace.there_are <= position:
                await connection.rest()
            stop = min(await self.pace.wait(position), position + _BATCH)
            connection.is_at_rest = False
            position = await self._send_some(connection, position, stop)
            await asyncio.sleep(0)

    async def _send_some(self, connection: _Connection, position: int, stop: int) -> int:
        """Send what there is before `stop`, unless a fault leads elsewhere; where to go on."""
        for message in await connection.messages.read(position, stop):
            follower = position + 1
            if message is not None:
                if self.injector.is_idle and not self.shift:
                    await connection.send(message)
                else:
                    follower = await self._meet(connection, position, message)
            self.pace.reach(follower)
            position, was_led_elsewhere = follower, follower != position + 1
            if was_led_elsewhere:
                break
        return position

    async def _meet(self, connection: _Connection, position: int, message: Message) -> int:
        """Let a message meet what is in store for it; the position to go on from."""
        if (after := self.injector.after_left_out(position)) != position:
            return after
        if self.shift:
            message = connection.messages.renumbered(message, self.shift)
        strike = self.injector.strike(position)
        if strike is None:
            await connection.send(message)
            return position + 1
        if strike.fault in DAMAGE or strike.fault is Fault.TOO_BIG:
            await self._damage(connection, position, message, strike)
        elif strike.fault is Fault.SKIP:
            return await self._skip(connection, position, strike)
        elif strike.fault is Fault.SWAP:
            return await self._swap(connection, position, message, strike)
        else:
            self._record(connection, position, strike)
            message = await self._disturb(connection, position, message, strike)
            await connection.send(message)
        return position + 1

    async def _damage(
        self, connection: _Connection, position: int, message: Message, strike: Strike
    ) -> None:
        damaged = _damaged(connection.messages, message, strike, position)
        if damaged is None:
            await connection.send(message)
            return
        follows = self.injector.faults.whole_follows and strike.fault in DAMAGE
        is_lost = not follows and strike.fault is not Fault.OVERSIZED
        number = connection.messages.number(position) + self.shift
        self._record(connection, position, strike, (number,) if is_lost else ())
        await connection.send(damaged)
        if follows:
            await connection.send(message)

    async def _skip(self, connection: _Connection, position: int, strike: Strike) -> int:
        left_out = range(position, min(position + int(strike.amount or 0), self.pace.length))
        messages = await connection.messages.read(left_out.start, left_out.stop)
        lost = tuple(
            connection.messages.number(at) + self.shift
            for at, message in zip(left_out, messages, strict=True)
            if message is not None
        )
        self._record(connection, position, Strike(Fault.SKIP, len(left_out)), lost)
        return left_out.stop

    async def _swap(
        self, connection: _Connection, position: int, message: Message, strike: Strike
    ) -> int:
        follower = min(position + 2, self.pace.length)
        if follower == position + 2:
            await self.pace.wait(position + 1)
            (after,) = await connection.messages.read(position + 1, follower)
            if after is not None:
                self._record(connection, position, strike)
                await connection.send(connection.messages.renumbered(after, self.shift))
        await connection.send(message)
        return follower

    async def _disturb(
        self, connection: _Connection, position: int, message: Message, strike: Strike
    ) -> Message:
        """Do what is to be done before the message, which may become another."""
        amount = strike.amount or 0
        match strike.fault:
            case Fault.SLOW:
                await asyncio.sleep(amount)
            case Fault.DUPLICATE:
                await self._repeat(connection, max(0, position - int(amount)), position)
            case Fault.RENUMBER:
                self.shift += int(amount)
                return connection.messages.renumbered(message, int(amount))
            case _:
                await _end(connection, strike.fault)
        return message

    async def _repeat(self, connection: _Connection, start: int, stop: int) -> None:
        messages = await connection.messages.read(start, stop)
        for at, message in zip(range(start, stop), messages, strict=True):
            if message is not None and not self.injector.is_lost(at):
                await connection.send(connection.messages.renumbered(message, self.shift))

    def _record(
        self, connection: _Connection, position: int, strike: Strike, lost: tuple[int, ...] = ()
    ) -> None:
        number = connection.messages.number(position) + self.shift
        self.injector.record(Injected(strike.fault, position, number, strike.amount or 0, lost))


def _damaged(messages: Messages, message: Message, strike: Strike, position: int) -> Message | None:
    """What comes of `message`; None if it cannot be damaged so."""
    amount = int(strike.amount or 0)
    match strike.fault:
        case Fault.GARBAGE:
            return _garbage(amount, position, as_text=isinstance(message, str))
        case Fault.TRUNCATED:
            return message[: len(message) // 2]
        case Fault.OVERSIZED:
            if isinstance(message, str):
                return message.ljust(amount, "\0")
            return message.ljust(amount, b"\0")
        case Fault.CORRUPT:
            return messages.corrupted(message)
        case _:
            return messages.too_big(message)


def _garbage(size: int, seed: int, *, as_text: bool) -> Message:
    """Random bytes that no dice can make a message: neither CBOR nor JSON begins like that."""
    noise = random.Random(seed).randbytes(size - 1)
    return "\0" + noise.hex()[: size - 1] if as_text else b"\xff" + noise


async def _end(connection: _Connection, fault: Fault) -> None:
    """End what the consumer gets, in one way or another.

    Raises:
        _Over: the connection is closed, or is to be.
    """
    if fault is Fault.ABORT and connection.request.transport is not None:
        connection.request.transport.abort()
    elif fault is Fault.CONSUMER_TOO_SLOW:
        text = "the consumer does not keep up with the stream"
        if (error := connection.messages.error("ConsumerTooSlow", text)) is not None:
            await connection.send(error)
    elif fault in (Fault.STALL, Fault.SILENCE):
        connection.answers_pings = fault is Fault.STALL
        await connection.rest()
        await asyncio.sleep(_FOREVER)
    raise _Over


async def _listen(connection: _Connection) -> None:
    """Note pings, and answer them if nothing is to be sent, until the consumer goes away."""
    async for message in connection.socket:
        if message.type is WSMsgType.PING:
            connection.pings.append(message.data)
            await connection.answer_pings()


async def _ping(connection: _Connection) -> None:
    while True:
        await asyncio.sleep(_PING_SECONDS)
        if connection.answers_pings:
            await connection.socket.ping()
