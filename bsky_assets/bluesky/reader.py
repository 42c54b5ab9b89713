"""What the readers of all streams share: rows, events, quarantine.

What does not belong here: how any stream's messages look.
"""

from collections import Counter
from datetime import datetime
from typing import Any, ClassVar

from bsky_assets.bluesky.accounting import UNREADABLE, Events
from bsky_assets.bluesky.records import problem_of
from bsky_assets.bluesky.revisions import Revisions
from bsky_assets.bluesky.rows import Rows, instant

NUMBER_BITS = 63
"""Numbers of events are integers of as many bits: `number >> NUMBER_BITS` is 0."""


class EventReader:
    """Events of one host, read one after the other; `rows` gathers what they bring."""

    source: ClassVar[str]
    """The asset under which what cannot be read is quarantined."""
    usual_kind: ClassVar[str]
    """The kind of event that is counted by leaving it out of the count of all others."""

    def __init__(self, host: str) -> None:
        self.rows = Rows(host, self.source)
        self.last_number: int | None = None
        """The number of the last event before those that `take_events` would give."""
        self.revisions = Revisions()
        """What is known of the repositories that the events are of."""
        self.passing_until: datetime | None = None
        """All events before the first that is made then or later are passed over."""
        self._begin()

    def _begin(self) -> None:
        self._seqs: list[int] = []
        self._times: list[Any] = []
        self.note_number, self.note_time = self._seqs.append, self._times.append
        self._kinds: Counter[str] = Counter()
        self._unusual = self._passed_over = 0

    def is_passed_over(self, time: Any) -> bool:
        """Whether an event made at `time` is one that we have had."""
        made = instant(time)
        if self.passing_until and made and made < self.passing_until:
            self.note_kind("passed over")
            return True
        if self.passing_until:
            self.passing_until, self._passed_over = None, len(self._seqs)
        return False

    def take_events(self) -> Events:
        """The events since the last time this was asked."""
        usual = sum(seq >= 0 for seq in self._seqs) - self._unusual
        self.last_number = self._last()
        passed_over = len(self._seqs) if self.passing_until else self._passed_over
        kinds = self._kinds + Counter({self.usual_kind: usual})
        events = Events(self._seqs, self._times, kinds, passed_over)
        self._begin()
        return events

    def note_kind(self, kind: str) -> None:
        """Count an event that is not of the usual kind."""
        self._unusual += 1
        self._kinds[kind] += 1

    def note(self, seq: int, time: Any) -> None:
        """Note an event in its place."""
        self._seqs.append(seq)
        self._times.append(time)

    def quarantine(self, error: Exception, message: bytes, seq: int, received: int) -> None:
        """Keep a message of which something could not be read."""
        position = str(seq) if seq != UNREADABLE else f"after {self._last() or 'the start'}"
        self.rows.quarantine(problem_of(error), message, position, received)

    def _last(self) -> int | None:
        return next((seq for seq in reversed(self._seqs) if seq >= 0), self.last_number)
