"""What a day's partition says of its gaps that an archive was asked about.

What does not belong here: asking it (`bluesky.archive.healing`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

LISTED = 5

Key = tuple[str, int | None, int | None]
"""A gap's host, and the events before and after it."""


@dataclass(frozen=True)
class Healing:
    """One gap, and what an archive had of it. Times are ISO 8601 in UTC."""

    host: str
    after: int | None
    before: int | None
    after_time: str | None
    before_time: str | None
    is_healed: bool
    """Whether the archive spans it without a gap, and has posts next to it on both sides that we
    have too."""
    source: str
    at: str
    """When it was asked."""
    posts: int = 0
    """That the archive had and we had not: written in the gap, or next to it."""
    gone: int = 0
    """Posts written in the gap of which only their deletion is known."""
    ended_accounts: int = 0
    """Accounts that were deleted in it: what they wrote is gone, and nothing tells how much."""
    common_before: int = 0
    """Posts next before the gap that both have, of `NEXT_TO` that we have."""
    common_after: int = 0
    reason: str | None = None
    """Why it is not healed."""

    @property
    def key(self) -> Key:
        """Which gap it is of."""
        return self.host, self.after, self.before


def later(known: Sequence[Healing], found: Iterable[Healing]) -> list[Healing]:
    """What is known with what was found later; of a gap the last word counts, if not healed."""
    by_gap = {one.key: one for one in known}
    for one in found:
        if not (one.key in by_gap and by_gap[one.key].is_healed):
            by_gap[one.key] = one
    return [*by_gap.values()]


def lines(told: Sequence[Healing]) -> Iterator[str]:
    """What came of gaps, in words: all of them, and the first that stay and why."""
    if not told:
        return
    healed = [one for one in told if one.is_healed]
    yield (
        f"{len(healed):,} of {len(told):,} gaps healed from {told[0].source} at {told[-1].at}: "
        f"{sum(one.posts for one in told):,} posts came, "
        f"{sum(one.gone for one in told):,} are gone of which only the deletion is known, and "
        f"{sum(one.ended_accounts for one in told):,} accounts were deleted in them"
    )
    still = [one for one in told if not one.is_healed]
    for one in still[:LISTED]:
        yield f"still a gap after {one.after} of {one.host}: {one.reason}"
