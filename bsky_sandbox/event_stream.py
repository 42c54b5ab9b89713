"""An AT Protocol event stream: what a cursor gets, and messages in DAG-CBOR.

What does not belong here: what the events are (`relay`, `labeler`).
Source: the event stream specification (atproto.com/specs/event-stream).
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from libipld import decode_car, decode_dag_cbor_multi, encode_dag_cbor

from bsky_sandbox.faults import StreamFaults
from bsky_sandbox.frames import FrameLog, error, info, renumbered, too_big
from bsky_sandbox.http_faults import HttpFaults
from bsky_sandbox.serving import Broadcast, Message, Start, cursor_of, refuse
from bsky_sandbox.xrpc import XrpcError


class FrameMessages:
    """Frames, as every consumer of the stream gets them."""

    def __init__(self, log: FrameLog[Any], seqs: Sequence[int]) -> None:
        """Take the frames from `log`, which have the numbers `seqs`."""
        self._log = log
        self._seqs = seqs

    async def read(self, start: int, stop: int) -> Sequence[Message]:
        """The frames from `start` to `stop`, exclusive."""
        return await self._log.read(start, stop)

    def number(self, position: int) -> int:
        """The sequence number of the frame at `position`."""
        return self._seqs[position]

    def renumbered(self, message: Message, shift: int) -> Message:
        """A frame with `shift` added to its sequence number."""
        return renumbered(_frame(message), shift) if shift else message

    def corrupted(self, message: Message) -> Message | None:
        """A commit's frame with another last bit in the record of its first operation."""
        frame = _frame(message)
        _, body = decode_dag_cbor_multi(frame)
        if not (cids := [op["cid"] for op in body.get("ops", ()) if op["cid"]]):
            return None
        at = _end_of_block(frame, cids[0])
        return frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]

    def too_big(self, message: Message) -> Message | None:
        """A commit's frame without what it did."""
        frame = _frame(message)
        return too_big(frame) if "ops" in decode_dag_cbor_multi(frame)[1] else None

    def error(self, name: str, text: str) -> Message:
        return error(name, text)


class EventStream(Broadcast):
    """Serves frames, from where the cursor in the query says."""

    def __init__(
        self,
        log: FrameLog[Any],
        seqs: Sequence[int],
        *,
        lowest_cursor: int = 0,
        rate: float | None = None,
        backlog: int | None = None,
        faults: StreamFaults | None = None,
        http_faults: HttpFaults | None = None,
    ) -> None:
        """Serve the frames of `log`, with their numbers, which rise.

        Of the frames that have happened, the last `backlog` are kept; None is all. After
        `lowest_cursor` none is missing but those that are no longer kept.
        """
        super().__init__(len(seqs), rate=rate, faults=faults, http_faults=http_faults)
        self.backlog = backlog
        self._messages = FrameMessages(log, seqs)
        self._seqs = seqs
        self._lowest_cursor = lowest_cursor

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for the stream."""
        if (refused := await self.meet(request)) is not None:
            return refused
        try:
            cursor = cursor_of(request)
        except XrpcError as invalid:
            return refuse(invalid)
        return await self.serve(request, self._messages, self._start(cursor))

    def _start(self, cursor: int | None) -> Start:
        """Where a consumer begins that has seen everything up to `cursor`."""
        if cursor is None:
            return Start(self.pace.head)
        seen = cursor - self.shift
        if seen > (self._seqs[-1] if self._seqs else 0):
            return Start(None, (error("FutureCursor", "Cursor in the future."),))
        position = bisect_right(self._seqs, seen)
        # What a cursor names has happened, even if it was a sandbox before this that served it.
        self.pace.reach(position)
        oldest = 0 if self.backlog is None else max(0, self.pace.head - self.backlog)
        if position < oldest or seen < self._lowest_cursor:
            text = "Requested cursor exceeded limit. Possibly missing events"
            return Start(max(position, oldest), (info("OutdatedCursor", text),))
        return Start(position)


def _frame(message: Message) -> bytes:
    if isinstance(message, str):
        raise TypeError("a frame is bytes")
    return message


def _end_of_block(frame: bytes, cid: bytes) -> int:
    """Where the last byte of the block of `cid` is in a commit's frame."""
    _, blocks = decode_car(decode_dag_cbor_multi(frame)[1]["blocks"])
    section = cid + encode_dag_cbor(blocks[cid])
    return frame.index(section) + len(section) - 1
