"""Reading frames of the AT Protocol's event streams: what every stream has in common.

A frame is two DAG-CBOR objects, a header and a body. One that cannot be read is quarantined,
and the stream goes on.
What does not belong here: what the events of any one stream mean.

Source: https://atproto.com/specs/event-stream.
"""

from abc import abstractmethod
from collections import Counter
from datetime import datetime
from typing import Any, ClassVar

from libipld import decode_dag_cbor_multi

from bsky_assets.bluesky.accounting import OUTDATED_CURSOR, UNREADABLE, Events
from bsky_assets.bluesky.records import Unreadable
from bsky_assets.bluesky.rows import Rows, instant
from bsky_assets.bluesky.websocket import StreamError

LARGEST_NUMBER = 2**63 - 1


class FrameReader:
    """Frames of one host, read one after the other; `rows` gathers what they bring."""

    source: ClassVar[str]
    """The asset under which what cannot be read is quarantined."""
    usual_kind: ClassVar[str]
    """The kind of event that is counted by leaving it out of the count of all others."""

    def __init__(self, host: str) -> None:
        """Read what `host` sends."""
        self.rows = Rows(host, self.source)
        self.last_number: int | None = None
        """The number of the last event before those that `take_events` would give."""
        self._skip_until: datetime | None = None
        self._begin()

    def _begin(self) -> None:
        self._seqs: list[int] = []
        self._times: list[Any] = []
        self._kinds: Counter[str] = Counter()
        self._unusual = 0

    def read(self, frame: bytes, received: int) -> None:
        """Take one frame that arrived at `received`, in microseconds since the epoch.

        Raises:
            StreamError: it is an error frame.
        """
        seq, time = UNREADABLE, None
        try:
            header, body = decode_dag_cbor_multi(frame)
            number = body.get("seq")
            if type(number) is int and 0 < number <= LARGEST_NUMBER:
                seq, time = number, body.get("time")
                if self._skip_until is not None and self._is_to_skip(time):
                    return
                self._read_event(header["t"], body, frame, received)
            else:
                self._read_unnumbered(header, body)
                return
        except Unreadable as problem:
            self.quarantine(problem, frame, seq, received)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            odd = Unreadable("undecodable", f"the frame cannot be read ({kind_of(error)})")
            self.quarantine(odd, frame, seq, received)
        self._seqs.append(seq)
        self._times.append(time)

    def skip_until(self, time: datetime) -> None:
        """Pass over all events before the first that is made at `time` or later."""
        self._skip_until = time

    def _is_to_skip(self, time: Any) -> bool:
        made = instant(time)
        if self._skip_until and made and made < self._skip_until:
            self._kinds["passed over"] += 1
            return True
        self._skip_until = None
        return False

    def take_events(self) -> Events:
        """The events since the last time this was asked."""
        usual = sum(seq > 0 for seq in self._seqs) - self._unusual
        self.last_number = self._last()
        events = Events(self._seqs, self._times, self._kinds + Counter({self.usual_kind: usual}))
        self._begin()
        return events

    def note_kind(self, kind: str) -> None:
        """Count an event that is not of the usual kind."""
        self._unusual += 1
        self._kinds[kind] += 1

    def quarantine(self, problem: Unreadable, frame: bytes, seq: int, received: int) -> None:
        """Keep a frame of which something could not be read."""
        position = str(seq) if seq != UNREADABLE else f"after {self._last() or 'the start'}"
        self.rows.quarantine(problem, frame, position, received)

    @abstractmethod
    def _read_event(self, kind: Any, body: dict[str, Any], frame: bytes, received: int) -> None:
        """Take the event that a frame holds; may raise anything that `read` takes care of."""

    def _last(self) -> int | None:
        return next((seq for seq in reversed(self._seqs) if seq > 0), self.last_number)

    def _read_unnumbered(self, header: dict[str, Any], body: dict[str, Any]) -> None:
        if header["op"] == -1:
            raise StreamError(str(body["error"]), str(body.get("message") or ""))
        if header["t"] != "#info":
            raise Unreadable("bad_seq", "the event has no usable sequence number")
        self._kinds["info"] += 1
        if body.get("name") == "OutdatedCursor":
            self._seqs.append(OUTDATED_CURSOR)
            self._times.append(None)


def kind_of(error: Exception) -> str:
    """The name of an error, for a person who asks what went wrong."""
    return type(error).__name__
