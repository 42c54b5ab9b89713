"""Stretches of a stream, and what is known to be missing between them and beside them.

What does not belong here: how it is found out (`bluesky.accounting`), and where it is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

_INSTANTS = 10**15
"""Numbers from here on are instants in microseconds, whatever an earlier footer says."""


@dataclass(frozen=True)
class Gap:
    """A stretch of the stream that we do not have."""

    host: str
    after: int | None
    """The last event that we have before it."""
    before: int | None
    """The first that we have after it."""
    reason: str
    noticed_at: str
    after_time: str | None = None
    """The host's clock at `after`."""
    before_time: str | None = None
    is_counted: bool = True
    """Whether the host numbers its events without holes: only then numbers tell how many."""

    @property
    def missing(self) -> int | None:
        """How many events are missing, where their numbers tell."""
        if not self.is_counted or self.after is None or self.before is None:
            return None
        if self.before <= self.after or self.before >= _INSTANTS:
            return None
        return self.before - self.after - 1

    @property
    def seconds(self) -> float | None:
        """How long it is by the host's clock, where that is known."""
        if self.after_time is None or self.before_time is None:
            return None
        began = datetime.fromisoformat(self.after_time)
        return max((datetime.fromisoformat(self.before_time) - began).total_seconds(), 0.0)

    def without(self, number: int) -> "list[Gap]":
        """What is left of it, having the event `number` after all."""
        if self.after is None or self.before is None:
            return [self]
        parts = [replace(self, before=number), replace(self, after=number)]
        return [part for part in parts if part.missing]


@dataclass(frozen=True)
class Strays:
    """Numbers that fit nowhere, between two that follow each other.

    Nothing is missing, unless they were of another numbering, which then left out the rest of it
    and went on just where the one before had ended.
    """

    host: str
    after: int
    before: int
    numbers: list[int]
    noticed_at: str


@dataclass(frozen=True)
class Stretch:
    """Events without a gap between them."""

    first: int
    last: int
    first_time: str | None
    """The host's clock at its first events, and at its last."""
    last_time: str | None


Spanning = TypeVar("Spanning", bound=Stretch)


def with_event(
    stretches: list[Spanning], number: int, among: Callable[[Spanning], bool] = lambda _: True
) -> list[Spanning]:
    """`stretches` with an event in a gap between two of those that `among` is true of."""
    places = [at for at, one in reversed([*enumerate(stretches)]) if among(one)]
    before = next((at for at in places if stretches[at].last == number - 1), None)
    after = next((at for at in places if stretches[at].first == number + 1), None)
    changed = list(stretches)
    if before is not None and after is not None:
        end = changed[after]
        changed[before] = replace(changed[before], last=end.last, last_time=end.last_time)
        del changed[after]
    elif before is not None:
        changed[before] = replace(changed[before], last=number)
    elif after is not None:
        changed[after] = replace(changed[after], first=number)
    elif above := [(changed[at].first, at) for at in places if changed[at].first > number]:
        _, at = min(above)
        end = changed[at]
        changed.insert(at, replace(end, first=number, last=number, last_time=end.first_time))
    return changed


@dataclass(frozen=True)
class Jump:
    """A repository of which we have not all: what changed in it before `rev` did not come."""

    did: str
    at: str | None
    """The host's time of the event that shows it."""
    had: str | None
    """The last revision that we had; null where none had come since the reading began."""
    rev: str | None
    """The revision up to which all that came after `had` is missing."""
    shown_by: str
    """sync: the host says so. commit: it goes on from a revision that did not come. too big: the
    commit came without what it changed."""


@dataclass(frozen=True)
class Reconnect:
    """A connection that ended before we wanted it to."""

    at: str
    reason: str
