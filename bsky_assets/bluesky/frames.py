"""Reading frames of the AT Protocol's event streams: what every stream has in common.

A frame is two DAG-CBOR objects, a header and a body. One that cannot be read is quarantined,
and the stream goes on.
What does not belong here: what the events of any one stream mean.

Source: https://atproto.com/specs/event-stream.
"""

from abc import abstractmethod
from typing import Any

from libipld import decode_dag_cbor_multi

from bsky_assets.bluesky.accounting import OUTDATED_CURSOR, UNREADABLE
from bsky_assets.bluesky.reader import NUMBER_BITS, EventReader
from bsky_assets.bluesky.records import PROBLEMS, Unreadable
from bsky_assets.bluesky.websocket import StreamError


class FrameReader(EventReader):
    """Frames of one host, read one after the other."""

    def read(self, frame: bytes, received: int) -> None:
        """Take one frame that arrived at `received`, in microseconds since the epoch.

        Raises:
            StreamError: it is an error frame.
        """
        try:
            header, body = decode_dag_cbor_multi(frame)
        except PROBLEMS as error:
            self.quarantine(error, frame, UNREADABLE, received)
            self.note(UNREADABLE, None)
        else:
            self._read_message(header, body, frame, received)

    def _read_message(
        self, header: dict[str, Any], body: dict[str, Any], frame: bytes, received: int
    ) -> None:
        seq, time = UNREADABLE, None
        try:
            number = body.get("seq")
            if type(number) is int and not number >> NUMBER_BITS:
                seq, time = number, body.get("time")
                if self.passing_until is None or not self.is_passed_over(time):
                    self._read_event(header["t"], body, frame, received)
            else:
                self._read_unnumbered(header, body)
                return
        except PROBLEMS as error:
            self.quarantine(error, frame, seq, received)
        self.note(seq, time)

    @abstractmethod
    def _read_event(self, kind: Any, body: dict[str, Any], frame: bytes, received: int) -> None:
        """Take the event that a frame holds; may raise anything that `read` takes care of."""

    def _read_unnumbered(self, header: dict[str, Any], body: dict[str, Any]) -> None:
        if header["op"] == -1:
            raise StreamError(str(body["error"]), str(body.get("message") or ""))
        if header["t"] != "#info":
            raise Unreadable("bad_seq", "the event has no usable sequence number")
        self._kinds["info"] += 1
        if body.get("name") == "OutdatedCursor":
            self.note(OUTDATED_CURSOR, None)
