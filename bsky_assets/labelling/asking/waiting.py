"""How long to wait for an answer, and before asking again.

What does not belong here: how many wait at once; see `concurrency`.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from bsky_assets.labelling.asking.concurrency import AdaptiveLimit
from bsky_assets.labelling.asking.policy import Policy

_ENOUGH_ANSWERS = 20
"""To know how long answers take."""


class Waiting:
    """Learns from one endpoint how long its answers take."""

    def __init__(self, policy: Policy, limit: AdaptiveLimit) -> None:
        """As `policy` says, and the longer the less `limit` lets through."""
        self._policy, self._limit = policy, limit
        self._asked = 0
        self._recent: deque[float] = deque(maxlen=200)
        self._deadlines: dict[asyncio.Timeout, tuple[float, int]] = {}
        self._trouble_since: float | None = None

    @contextmanager
    def deadline(self, timeouts: int) -> Iterator[asyncio.Timeout]:
        """The time-out of a request about posts that were waited for in vain `timeouts` times."""
        self._asked += 1
        deadline = asyncio.timeout(self._timeout(timeouts))
        self._deadlines[deadline] = (asyncio.get_running_loop().time(), timeouts)
        try:
            yield deadline
        finally:
            del self._deadlines[deadline]

    def learn(self, latency: float) -> None:
        """Note how long an answer took; now and then, shorten the wait for those under way."""
        self.end_of_trouble()
        self._recent.append(latency)
        if self._asked % _ENOUGH_ANSWERS == 0:
            for deadline, (started, timeouts) in self._deadlines.items():
                sooner = started + self._timeout(timeouts)
                if not deadline.expired() and sooner < (deadline.when() or 0.0):
                    deadline.reschedule(sooner)

    def end_of_trouble(self) -> None:
        """The server has answered."""
        self._trouble_since = None

    def silent(self) -> float:
        """Seconds since the first failure after the last answer: a slow answer is no failure."""
        self._trouble_since = self._trouble_since or time.monotonic()
        return time.monotonic() - self._trouble_since

    def pause(self, retry_after: float | None) -> float:
        """Seconds to back off: what the server asks for, or about half an answer's time."""
        if retry_after is not None:
            return retry_after + _between(0, 0.1)
        usual = median(self._recent) if self._recent else 0.5
        pause = min(max(usual, 0.05), 5.0) * _between(0.25, 0.75)
        return min(pause * self._limit.backing_off, 30.0)

    def pause_without_connection(self) -> float:
        """Seconds to wait for a server that may be starting again: the longer it has been away."""
        return min(max(self.silent() / 4, 0.1), 5.0) * _between(0.5, 1.5)

    def _timeout(self, timeouts: int) -> float:
        policy = self._policy
        if len(self._recent) < _ENOUGH_ANSWERS:
            base = policy.first_timeout
        else:
            usual = sorted(self._recent)[int(0.95 * len(self._recent))]
            base = max(policy.shortest_timeout, 10 * usual)
        return float(min(base * 2.0**timeouts, policy.longest_timeout))


def _between(least: float, most: float) -> float:
    """Any number of these, so that those who wait do not all come back at once."""
    return random.uniform(least, most)  # noqa: S311 -- no secret
