"""Numbers that a stream owes us: skipped so far, and late if they come after all.

A host's events may arrive in another order than that of their numbers. What is skipped is told
of as a gap at once, and the gap closes as its numbers arrive, as long as they come within a
window of numbers behind the last one.
What does not belong here: repeats, and other numberings behind a name.
"""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = 20_000
"""Numbers behind the last one within which one that was skipped can still arrive."""
_MOST_HOLES = 2_000


@dataclass(frozen=True)
class Hole:
    """Numbers between two that arrived, neither of them included."""

    after: int
    before: int
    time: datetime | None
    """The host's clock when the number after them arrived: nothing in it is younger."""
    is_told: bool
    """Whether it was told of as a gap."""


class Holes:
    """The holes that may still be filled, in the order of their numbers."""

    def __init__(self) -> None:
        self._holes: list[Hole] = []

    def open(self, hole: Hole) -> None:
        """Take a hole behind all others; forget those that are out of the window."""
        oldest = hole.before - WINDOW
        if self._holes and (self._holes[0].before < oldest or len(self._holes) >= _MOST_HOLES):
            kept = [one for one in self._holes if one.before >= oldest]
            self._holes = kept[-_MOST_HOLES + 1 :]
        self._holes.append(hole)

    def copy(self) -> "Holes":
        """The same holes, to go back to."""
        other = Holes()
        other._holes = list(self._holes)
        return other

    def clear(self) -> None:
        """Forget all: the numbers that they are of are no more."""
        self._holes = []

    def fill(self, number: int, made: datetime | None, jitter: timedelta) -> Hole | None:
        """The hole that `number`, of an event made at `made`, fills a place of; it is smaller then.

        None where it fills none, being in no hole or younger than what came after the hole.
        """
        at = bisect_left(self._holes, number, key=lambda hole: hole.after) - 1
        if at < 0 or not (hole := self._holes[at]).after < number < hole.before:
            return None
        if made and hole.time and made > hole.time + jitter:
            return None
        rest = [
            Hole(after, before, hole.time, hole.is_told)
            for after, before in ((hole.after, number), (number, hole.before))
            if before - after > 1
        ]
        self._holes[at : at + 1] = rest
        return hole
