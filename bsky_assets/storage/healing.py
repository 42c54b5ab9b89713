"""What a day's partition says of what is missing in it that an archive or a host was asked about.

What does not belong here: asking them (`bluesky.archive.healing`, `bluesky.accounts.healing`).
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

LISTED = 5

Key = tuple[str, int | None, int | None]
"""A gap's host, and the events before and after it."""
JumpKey = tuple[str, str | None, str | None]
"""An account, and its revisions before and after what did not come of it."""


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


@dataclass(frozen=True)
class AccountHealing:
    """What did not come of one account, and what was had of it. Times are ISO 8601 in UTC."""

    did: str
    had: str | None
    rev: str | None
    """The revision up to which something is missing."""
    is_healed: bool
    """Whether its repository, signed and whole, is of a later revision; or an archive spans the
    time, and has posts of the account next to it on both sides that we have too."""
    source: str | None
    """The host that was asked last; None where none could be."""
    at: str
    """When it was asked."""
    way: str = "repository"
    """repository or archive."""
    source_rev: str | None = None
    """The revision of the repository that came."""
    posts: int = 0
    """That were had from there and had not come."""
    gone: int = 0
    """Of which only the deletion is known."""
    common_before: int = 0
    """Posts of the account next before it that the archive has, of `NEXT_TO` that we have."""
    common_after: int = 0
    reason: str | None = None
    """Why it is not healed."""

    @property
    def key(self) -> JumpKey:
        """What did not come."""
        return self.did, self.had, self.rev


class _Asked(Protocol):
    @property
    def key(self) -> Hashable:
        """What it is of."""

    @property
    def is_healed(self) -> bool:
        """Whether nothing is missing any more."""


One = TypeVar("One", bound=_Asked)


def later(known: Sequence[One], found: Iterable[One]) -> list[One]:
    """What is known with what was found later; of one thing the last word counts, if not healed."""
    by_key = {one.key: one for one in known}
    for one in found:
        if not (one.key in by_key and by_key[one.key].is_healed):
            by_key[one.key] = one
    return [*by_key.values()]


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


def account_lines(told: Sequence[AccountHealing]) -> Iterator[str]:
    """What came of jumps of accounts, in words, which name none of them."""
    if not told:
        return
    healed = [one for one in told if one.is_healed]
    ways = Counter(one.way for one in healed)
    how = f" ({', '.join(f'{count:,} by {way}' for way, count in sorted(ways.items()))})"
    yield (
        f"{len(healed):,} of {len(told):,} jumps of accounts healed{how if healed else ''} at "
        f"{told[-1].at}: {sum(one.posts for one in told):,} posts came, and "
        f"{sum(one.gone for one in told):,} are gone of which only the deletion is known"
    )
    for reason, count in Counter(one.reason for one in told if one.reason).most_common(LISTED):
        yield f"{count:,} jumps are not healed: {reason}"
