"""Whether all of a repository came: each commit names the revision that it goes on from.

The last revision of every repository is remembered while its stream is read without a gap; after
a gap or a new beginning each repository is unknown until its next commit. A commit that goes on
from a later revision than the one that we had, or a host's word that a repository jumped
(`#sync`), is told of: what changed in between did not come.
What does not belong here: gaps in the numbers of a stream.

Source: lexicon com.atproto.sync.subscribeRepos (#commit, #sync), https://atproto.com/specs/sync.
"""

from dataclasses import dataclass, replace
from typing import Any

from bsky_assets.bluesky.rows import instant
from bsky_assets.storage.stretches import Jump

MOST_REPOSITORIES = 100_000
"""Remembered at least; about twice as many at most, in some 50 MB."""
MOST_LISTED = 1_000
"""Jumps of one segment that are listed; all are counted."""


@dataclass(frozen=True)
class Followed:
    """What a segment has to say of the repositories in it."""

    jumps: list[Jump]
    jump_count: int
    unfollowed: int
    """Commits of repositories whose last revision was not known."""


class Revisions:
    """The last revision of each repository, as far as it is remembered."""

    def __init__(self) -> None:
        self.last: dict[str, Any] = {}
        """By DID; whoever reads a commit in good order, or the first of its repository, puts its
        revision here."""
        self.older: dict[str, Any] = {}
        """Of repositories that are not in `last`, as far as they are still remembered."""
        self._known = 0
        """Those in `last` that do not count as unfollowed, or have been counted."""
        self._jumps: list[Jump] = []
        self._unsettled: list[Jump] = []
        self._count = self._unfollowed = 0

    def follow(self, did: str, since: Any, rev: Any, time: Any) -> None:
        """Take a commit that does not go on from what `last` has."""
        last = self._last_of(did)
        if last is None:
            self._unfollowed += did in self.last  # or it is counted as it is in `last` now
            self.last[did] = rev
            return
        if type(since) is str and since > last:
            self._unsettled.append(Jump(did, _iso(time), last, since, "commit"))
        elif since != last:  # sent again, or late
            self._came_late(did, since, rev)
            if type(rev) is str and rev <= last:
                return
        self._remember(did, rev)

    def jumped(self, did: str, rev: Any, time: Any, shown_by: str) -> None:
        """Take a host's word that a repository is now at `rev`, without what changed."""
        last, new = self._last_of(did), rev if type(rev) is str else None
        if last is None or last != new:
            self._jumps += self._listed([Jump(did, _iso(time), last, new, shown_by)])
            self._remember(did, new)

    def unknown(self) -> None:
        """Take a commit that does not name the revision before it."""
        self._unfollowed += 1

    def settle(self, *, is_whole: bool) -> None:
        """Close what was read since the last time; unless it is whole, all is unknown now.

        Where numbers are missing, the commits of those events are: that is told of already.
        """
        self._count_unfollowed()
        if is_whole:
            self._jumps += self._listed(self._unsettled)
        if not is_whole or len(self.last) >= MOST_REPOSITORIES:
            older = self.last if is_whole else {}
            self.last, self.older, self._known = {}, older, 0
        self._unsettled = []

    def take(self) -> Followed:
        """What a segment says; begin the next."""
        self._count_unfollowed()
        taken = Followed(self._jumps, self._count, self._unfollowed)
        self._jumps, self._count, self._unfollowed = [], 0, 0
        return taken

    def _listed(self, jumps: list[Jump]) -> list[Jump]:
        self._count += len(jumps)
        return jumps[: max(0, MOST_LISTED - len(self._jumps))]

    def _last_of(self, did: str) -> str | None:
        last = self.last.get(did) or self.older.get(did)
        return last if type(last) is str else None

    def _remember(self, did: str, rev: Any) -> None:
        self._known += did not in self.last
        self.last[did] = rev

    def _count_unfollowed(self) -> None:
        """Count the repositories that came for the first time, each by its first commit."""
        self._unfollowed += len(self.last) - self._known
        self._known = len(self.last)

    def _came_late(self, did: str, since: Any, rev: Any) -> None:
        """Close the jump that a commit fills which came after the one that follows it."""
        for at, jump in enumerate(self._unsettled):
            if jump.did == did and jump.had == since:
                rest = [] if jump.rev == rev else [replace(jump, had=rev)]
                self._unsettled[at : at + 1] = rest
                return


def _iso(time: Any) -> str | None:
    made = instant(time)
    return made.isoformat() if made else None
