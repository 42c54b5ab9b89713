"""The sandbox's Jetstream: the relay's events as JSON, one message an operation, as v1 and v2.

v1 is `/subscribe`. Its compression needs a dictionary that comes with the original server, so
that the parameter `compress` is passed over; so are `requireHello` and what a consumer sends.
v2 is network.bsky.jetstream.subscribeEvents, with zstd by a dictionary of our own.
What does not belong here: where its messages come from and how they look (`jetstream_messages`).
Source: the README of bluesky-social/jetstream; lexicons network.bsky.jetstream.*.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import zstandard
from aiohttp import web
from aiohttp.typedefs import Handler

from bsky_sandbox.faults import StreamFaults
from bsky_sandbox.frames import FrameLog
from bsky_sandbox.http_faults import HttpFaults
from bsky_sandbox.jetstream_messages import (
    KINDS,
    SUBSCRIBE,
    JsonMessages,
    MessagesV1,
    MessagesV2,
    Timeline,
    Wanted,
    Zstd,
)
from bsky_sandbox.serving import Broadcast, Start, cursor_of, refuse
from bsky_sandbox.stream import Event
from bsky_sandbox.xrpc import XrpcError, bounded

V1 = "/subscribe"
GET_DICTIONARY = "network.bsky.jetstream.getZstdDictionary"
SUBPROTOCOL = "xrpc.v1.json"

_FIRST_TIMESTAMP = 10**15
"""Cursors from here on are microseconds since 1970, others are sequence numbers."""
_DICTIONARY_ID = 0x5A4D
_DICTIONARY_BYTES = 16_384
_SAMPLES = 2_000
_MOST = {"wantedCollections": 100, "wantedDids": 10_000, "collections": 100, "dids": 10_000}
_LARGEST = 2**32 - 1


class Jetstream:
    """Serves events as JSON. `stream.injector.faults` can be replaced while it runs.

    Where a consumer begins and when events happen is as in the relay.
    """

    def __init__(
        self,
        events: Sequence[Event],
        frames: FrameLog[Event],
        *,
        serves_v2: bool = True,
        rate: float | None = None,
        backlog: int | None = None,
        faults: StreamFaults | None = None,
        http_faults: HttpFaults | None = None,
    ) -> None:
        """Serve `events`, at least one, `rate` messages a second.

        `frames`: the relay's, of the same events. `serves_v2`: without it, this is
        one of the older hosts. `backlog`: how many of the messages that happened are kept.
        """
        self._timeline = Timeline(events, frames)
        self.stream = Broadcast(0, rate=rate, faults=faults, http_faults=http_faults)
        self.backlog = backlog
        self._serves_v2 = serves_v2
        self._zstd: Zstd | None = None

    def app(self) -> web.Application:
        """The server as an application, to be run where the caller pleases."""
        app = web.Application(middlewares=[_refusing])
        app.add_routes([web.get(V1, self._subscribe), *self.stream.upgrades.routes()])
        if self._serves_v2:
            app.add_routes(
                [
                    web.get(f"/xrpc/{SUBSCRIBE}", self._subscribe_events),
                    web.get(f"/xrpc/{GET_DICTIONARY}", self._get_dictionary),
                ]
            )
        app.on_shutdown.append(self.stream.shut_down)
        return app

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        if (refusal := await self.stream.meet(request)) is not None:
            return refusal
        wanted = Wanted(
            dids=_listed(request, "wantedDids"),
            collections=_listed(request, "wantedCollections"),
            # A broken chain of commits is nothing that v1 tells of.
            kinds=frozenset(KINDS) - {"sync"},
            largest=bounded(request, "maxMessageSizeBytes", 0, 0, _LARGEST),
        )
        cursor = cursor_of(request)
        await self._know_all()
        messages = MessagesV1(self._timeline, wanted)
        position = None if cursor is None else self._at(cursor - self.stream.shift)
        return await self.stream.serve(request, messages, self._start(position))

    async def _subscribe_events(self, request: web.Request) -> web.StreamResponse:
        if (refusal := await self.stream.meet(request)) is not None:
            return refusal
        wanted = Wanted(
            dids=_listed(request, "dids"),
            collections=_listed(request, "collections"),
            kinds=_kinds(request),
            largest=bounded(request, "maxMessageSizeBytes", 0, 0, _LARGEST),
        )
        cursor = cursor_of(request)
        await self._know_all()
        messages = MessagesV2(self._timeline, wanted, self._chosen_zstd(request))
        start = self._start(None) if cursor is None else self._start_v2(cursor, messages)
        return await self.stream.serve(request, messages, start, (SUBPROTOCOL,))

    def _start(self, position: int | None) -> Start:
        """Where a consumer begins; what is no longer kept is passed over without a word."""
        if position is None or position >= self._timeline.length:
            return Start(self.stream.pace.head)
        self.stream.pace.reach(position)
        return Start(max(position, self._oldest))

    def _start_v2(self, cursor: int, messages: MessagesV2) -> Start:
        if cursor >= _FIRST_TIMESTAMP:
            position = self._at(cursor)
            start = self._start(position)
            if cursor >= self._timeline.times[0] and position >= self._oldest:
                return start
            at = messages.number(self._oldest) + self.stream.shift
            text = f"cursor is below the oldest event; resuming from seq {at}"
            return Start(start.position, (messages.info("OutdatedCursor", text),))
        position = cursor - messages.number(0) - self.stream.shift
        if position > self._timeline.length:
            text = "cursor is beyond the live tip; starting there"
            return Start(self.stream.pace.head, (messages.info("FutureCursor", text),))
        self.stream.pace.reach(position)
        if position < self._oldest:
            raise XrpcError(400, "CursorTooOld", "cursor is below the retention floor")
        return Start(position)

    @property
    def _oldest(self) -> int:
        """The position of the first message that is kept."""
        return 0 if self.backlog is None else max(0, self.stream.pace.head - self.backlog)

    def _at(self, micros: int) -> int:
        """The position of the first message of an instant, or after it."""
        return bisect_left(self._timeline.times, micros)

    async def _know_all(self) -> None:
        await self._timeline.prepare()
        self.stream.pace.length = self._timeline.length

    def _chosen_zstd(self, request: web.Request) -> Zstd | None:
        text = request.query.get("zstdDictionary")
        if text is None:
            return None
        if self._zstd is None or text != str(_DICTIONARY_ID):
            message = f"unknown zstd dictionary; the current one is {_DICTIONARY_ID}"
            raise XrpcError(400, "UnknownZstdDictionary", message)
        return self._zstd

    async def _get_dictionary(self, request: web.Request) -> web.Response:
        if (refusal := await self.stream.meet(request)) is not None:
            return refusal
        if request.query.get("id", str(_DICTIONARY_ID)) != str(_DICTIONARY_ID):
            raise XrpcError(400, "UnknownZstdDictionary", "no such zstd dictionary")
        if self._zstd is None:
            self._zstd = Zstd(await self._trained())
        body = self._zstd.dictionary.as_bytes()
        return web.Response(body=body, content_type="application/octet-stream")

    async def _trained(self) -> zstandard.ZstdCompressionDict:
        await self._know_all()
        messages: JsonMessages = MessagesV2(self._timeline, Wanted(), None)
        count = min(_SAMPLES, self._timeline.length)
        read = await messages.read(0, count)
        samples: list[Any] = [str(message).encode() for message in read]
        try:
            return await asyncio.to_thread(
                zstandard.train_dictionary, _DICTIONARY_BYTES, samples, dict_id=_DICTIONARY_ID
            )
        except zstandard.ZstdError as error:
            message = f"too few events to make a dictionary of: {error}"
            raise XrpcError(503, "NotAvailable", message) from error


@web.middleware
async def _refusing(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell errors as each version does: v1 in plain text."""
    try:
        return await handler(request)
    except XrpcError as error:
        if request.path == V1:
            return web.Response(status=error.status, text=error.message)
        return refuse(error)


def _listed(request: web.Request, name: str) -> tuple[str, ...]:
    values = tuple(request.query.getall(name, ()))
    if len(values) > _MOST[name]:
        raise XrpcError.invalid_request(f"{name} has more than {_MOST[name]} entries")
    return values


def _kinds(request: web.Request) -> frozenset[str]:
    kinds = frozenset(request.query.getall("kinds", ()))
    if unknown := kinds - frozenset(KINDS):
        raise XrpcError.invalid_request(f"unknown kind: {min(unknown)}")
    if kinds and "commit" not in kinds and "collections" in request.query:
        raise XrpcError.invalid_request("collections is of no effect when kinds has no commit")
    return kinds or frozenset(KINDS)
