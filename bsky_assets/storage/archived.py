"""What a day's partition says of itself that was made from an archive.

What does not belong here: reading the archive, and what is made of the day.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

REPOSITORIES = "repositories"
"""In place of a host: each account's own."""


@dataclass(frozen=True)
class Archived:
    """Where a past day is from. Times are ISO 8601 in UTC."""

    host: str
    since: str
    until: str
    """Up to where the archive reached, within the day."""
    as_of: str | None
    """When the oldest part of what it was made from was fetched."""
    dated_by: dict[str, int] = field(default_factory=dict)
    """Posts by how their day is known."""
    undatable: int = 0
    """Posts in quarantine: their key's clock names this day, and their createdAt another."""
    undated: int = 0
    """Posts of the same parts of the archive that no time is known of; they are in no day."""
    fetched_bytes: int = 0
    survivors_only: bool = True
    """What was deleted or replaced before the archive was compacted is not in it."""
    accounts: int | None = None
    """How many accounts it is of, if it is of a list of accounts alone."""
    without_repository: int = 0
    """Accounts of the list whose repository could not be had, or not be believed."""

    def lines(self) -> Iterator[str]:
        """The same in words, a sentence a line."""
        source = (
            "repositories of accounts" if self.host == REPOSITORIES else f"archive of {self.host}"
        )
        yield (
            f"it is of the {source}, up to {self.until}, and holds survivors only: "
            "what was deleted or replaced before is gone"
        )
        if self.accounts is not None:
            lacking = f", {self.without_repository:,} of which could not be read"
            yield (
                f"it is of a list of {self.accounts:,} accounts alone"
                f"{lacking if self.without_repository else ''}"
            )
        counts = ", ".join(f"{count:,} by {how}" for how, count in sorted(self.dated_by.items()))
        yield f"posts are dated {counts or 'by nothing: there are none'}"
        if self.undatable:
            yield f"{self.undatable:,} posts are kept apart in quarantine, as two clocks name days"
        if self.undated:
            yield f"{self.undated:,} posts of the archive are in no day: no time is known of them"
