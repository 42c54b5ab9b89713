"""How far a piece of work is: what every room tells while it works, and whoever shows it takes."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    what: str
    """What is worked on: a stream, a feed, a model, a table."""
    done: int
    total: int | None = None
    """None where nobody knows how much there is."""
    unit: str = "posts"
    per_second: float | None = None
    note: str = ""
    """What else there is to say."""

    @property
    def seconds_left(self) -> float | None:
        """At the present rate; None while there is none."""
        if self.total is None or not self.per_second:
            return None
        return (self.total - self.done) / self.per_second

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total:,}"
        rate = "" if self.per_second is None else f"{self.per_second:,.1f} a second"
        left = "" if self.seconds_left is None else f"{self.seconds_left:,.0f} s left"
        said = (f"{self.done:,}{of} {self.unit}", rate, left, self.note)
        return f"{self.what}: {', '.join(filter(None, said))}"


Reporter = Callable[[Progress], None]
"""The callback of a piece of work, now and then."""

Log = Callable[[str], None]
"""The callback for a line about what is done, such as a logger's method."""


def silent(_: Progress) -> None:
    """Where nobody wants to know."""
