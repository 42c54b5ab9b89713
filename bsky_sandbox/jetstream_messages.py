"""Jetstream's messages: an operation, or another event, as JSON.

What does not belong here: who gets them and from where on (`jetstream`).
Source: the README of bluesky-social/jetstream; lexicon network.bsky.jetstream.subscribeEvents.
"""

import asyncio
import base64
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import orjson
import zstandard
from libipld import decode_dag_cbor_multi

from bsky_sandbox.frames import FrameLog
from bsky_sandbox.posts import Json, cid_of
from bsky_sandbox.serving import Message
from bsky_sandbox.stream import Event, Op

SUBSCRIBE = "network.bsky.jetstream.subscribeEvents"
KINDS = ("commit", "identity", "account", "sync")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT_ONCE = 2_000


class Timeline:
    """Which message is at which position, and the instant by which it is known."""

    def __init__(self, events: Sequence[Event], frames: FrameLog[Event]) -> None:
        """Lay out `events`; `frames` are the relay's of them."""
        self.events = events
        self.frames = frames
        self.times: array[int] = array("q")
        """By message, in microseconds since 1970: no two are the same."""
        self._event_of = array("q")
        self._first_of = array("q")
        self._lock = asyncio.Lock()

    @property
    def length(self) -> int:
        """How many messages there are."""
        return len(self.times)

    async def prepare(self) -> None:
        """Lay out all events, unless that is done."""
        async with self._lock:
            for place in range(len(self._first_of), len(self.events)):
                self._lay_out(place)
                if place % _AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _lay_out(self, place: int) -> None:
        event = self.events[place]
        at = (event.time - _EPOCH) // timedelta(microseconds=1)
        self._first_of.append(len(self.times))
        for _ in range(len(event.ops) if event.kind == "commit" else 1):
            at = max(at, self.times[-1] + 1) if self.times else at
            self.times.append(at)
            self._event_of.append(place)

    def between(self, start: int, stop: int) -> Iterator[tuple[int, int, Event, Op | None]]:
        """Position, place of the event, event and operation of the messages in between."""
        place, event = -1, None
        for position in range(start, stop):
            if event is None or self._event_of[position] != place:
                place = self._event_of[position]
                event = self.events[place]
            op = event.ops[position - self._first_of[place]] if event.kind == "commit" else None
            yield position, place, event, op


class Wanted:
    """What a consumer wants. Nothing given is everything."""

    def __init__(
        self,
        dids: Iterable[str] = (),
        collections: Iterable[str] = (),
        kinds: frozenset[str] = frozenset(KINDS),
        largest: int = 0,
    ) -> None:
        """Take DIDs and kinds of events; NSIDs, or their beginnings and `*`, of commits.

        `largest`: bytes of the largest message; 0 is no limit.
        """
        collections = tuple(collections)
        self._dids = frozenset(dids)
        self._kinds = kinds
        self._all_collections = not collections
        self._exact = frozenset(name for name in collections if not name.endswith("*"))
        self._beginnings = tuple(name[:-1] for name in collections if name.endswith("*"))
        self.largest = largest

    def has(self, event: Event, op: Op | None) -> bool:
        """Whether an event, or its operation, is wanted."""
        if event.kind not in self._kinds or (self._dids and event.did not in self._dids):
            return False
        if op is None or self._all_collections:
            return True
        collection = op.path.partition("/")[0]
        return collection in self._exact or collection.startswith(self._beginnings)


class Zstd:
    """Compresses messages with a dictionary, each for itself."""

    def __init__(self, dictionary: zstandard.ZstdCompressionDict) -> None:
        self.dictionary = dictionary
        self._compressor = zstandard.ZstdCompressor(dict_data=dictionary)
        self._decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)

    def compress(self, text: bytes) -> bytes:
        """One zstd frame."""
        return self._compressor.compress(text)

    def decompress(self, frame: bytes) -> bytes:
        """What was compressed."""
        return self._decompressor.decompress(frame)


class JsonMessages(ABC):
    """Messages as one consumer gets them."""

    def __init__(self, timeline: Timeline, wanted: Wanted, zstd: Zstd | None = None) -> None:
        """Take from `timeline` what is `wanted`, compressed with `zstd` if there is one."""
        self._timeline = timeline
        self._wanted = wanted
        self._zstd = zstd

    async def read(self, start: int, stop: int) -> Sequence[Message | None]:
        """Those from `start` to `stop`, exclusive; None for one that is not wanted."""
        return [
            await self._made(position, place, event, op) if self._wanted.has(event, op) else None
            for position, place, event, op in self._timeline.between(start, stop)
        ]

    async def _made(self, position: int, place: int, event: Event, op: Op | None) -> Message | None:
        body = self.body(position, event, op)
        if op is None:
            body[event.kind] = await self._upstream(place, event)
        text = orjson.dumps(self.enveloped(body))
        if 0 < self._wanted.largest < len(text):
            return None
        return self._packed(text)

    async def _upstream(self, place: int, event: Event) -> Json:
        """The relay's own message about an event."""
        (frame,) = await self._timeline.frames.read(place, place + 1)
        _, body = decode_dag_cbor_multi(frame)
        if event.kind == "sync":
            blocks = base64.b64encode(body["blocks"]).decode().rstrip("=")
            return {**body, "blocks": {"$bytes": blocks}}
        return dict(body)

    def renumbered(self, message: Message, shift: int) -> Message:
        """A message with `shift` added to its number."""
        if not shift:
            return message
        content = self._content(message)
        self.body_of(content)[self.number_name] += shift
        return self._packed(orjson.dumps(content))

    def corrupted(self, message: Message) -> Message | None:
        """A message whose record says more than the one that the CID is of."""
        content = self._content(message)
        body = self.body_of(content)
        operation = body.get("commit", body)
        if "record" not in operation:
            return None
        operation["record"]["text"] = operation["record"].get("text", "") + "."
        return self._packed(orjson.dumps(content))

    def too_big(self, _message: Message) -> Message | None:
        """None: Jetstream has no such messages."""
        return None

    def _packed(self, text: bytes) -> Message:
        return text.decode() if self._zstd is None else self._zstd.compress(text)

    def _content(self, message: Message) -> Json:
        if isinstance(message, bytes) and self._zstd is not None:
            message = self._zstd.decompress(message)
        content: Json = orjson.loads(message)
        return content

    number_name: ClassVar[str]
    """The field with the number by which a message is known."""

    @abstractmethod
    def number(self, position: int) -> int:
        """The number by which the message at `position` is known."""

    @abstractmethod
    def error(self, name: str, text: str) -> Message | None:
        """An error; None if there is no such message."""

    @abstractmethod
    def body(self, position: int, event: Event, op: Op | None) -> Json:
        """What is told of an operation; of another event, what the relay told comes in later."""

    @abstractmethod
    def enveloped(self, body: Json) -> Json:
        """The message around a body."""

    @abstractmethod
    def body_of(self, content: Json) -> Json:
        """The body in a message."""


class MessagesV1(JsonMessages):
    """As of /subscribe: known by an instant in microseconds."""

    number_name = "time_us"

    def number(self, position: int) -> int:
        """The instant of the message at `position`."""
        return self._timeline.times[position]

    def error(self, name: str, text: str) -> Message | None:
        """None: a consumer is cut off without a word."""
        return None

    def body(self, position: int, event: Event, op: Op | None) -> Json:
        """The whole message."""
        body: Json = {"did": event.did, "time_us": self.number(position), "kind": event.kind}
        if op is not None:
            body["commit"] = _operation(event, op)
        return body

    def enveloped(self, body: Json) -> Json:
        return body

    def body_of(self, content: Json) -> Json:
        return content


class MessagesV2(JsonMessages):
    """As of network.bsky.jetstream.subscribeEvents: known by a sequence number."""

    number_name = "seq"

    def number(self, position: int) -> int:
        """The number of the message at `position`; the first one's is that of the first event."""
        return self._timeline.events[0].seq + position

    def info(self, name: str, text: str) -> Message:
        body = {"$type": f"{SUBSCRIBE}#info", "name": name, "message": text}
        return self._packed(orjson.dumps(self.enveloped(body)))

    def error(self, name: str, text: str) -> Message | None:
        """An error, after which the stream is closed."""
        return self._packed(orjson.dumps({"$type": "error", "error": name, "message": text}))

    def body(self, position: int, event: Event, op: Op | None) -> Json:
        """The payload of a message."""
        instant = _EPOCH + timedelta(microseconds=self._timeline.times[position])
        time = f"{instant:%Y-%m-%dT%H:%M:%S.%f}Z"
        return {
            "$type": f"{SUBSCRIBE}#{event.kind}",
            "did": event.did,
            "seq": self.number(position),
            "time": time,
            "witnessedAt": time,
            **({} if op is None else _operation(event, op)),
        }

    def enveloped(self, body: Json) -> Json:
        """The frame of the subprotocol xrpc.v1.json."""
        return {"$type": "message", "payload": body}

    def body_of(self, content: Json) -> Json:
        payload: Json = content["payload"]
        return payload


def _operation(event: Event, op: Op) -> Json:
    collection, _, rkey = op.path.partition("/")
    operation: Json = {
        "rev": event.rev,
        "operation": op.action,
        "collection": collection,
        "rkey": rkey,
    }
    if op.record is not None:
        operation.update(record=op.record, cid=cid_of(op.record))
    return operation
