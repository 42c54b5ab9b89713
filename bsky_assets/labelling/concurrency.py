"""How many requests are in flight: as many as the server bears, under a ceiling.

Begins low and grows with every answer until the server first refuses; from then on it grows by
one a round. It is cut back only when the smoothed share of refusals is high, since a server at
its limit refuses a few now and then, and towards what the server was busy with when it refused.
"""

import asyncio
from collections import deque

START = 8
CUT_ABOVE = 0.15
"""Smoothed share of refusals above which fewer requests are sent."""

_CUT_TO = 0.75
_WEIGHT = 0.05
"""Of one outcome in the smoothed share."""
_WEIGHT_OF_BORNE = 0.2


class AdaptiveLimit:
    """Slots for requests in flight. Hold one while a request is made, and while backing off."""

    def __init__(self, ceiling: int) -> None:
        """Never allow more than `ceiling`."""
        self.ceiling = ceiling
        self.lowest = self.highest = min(START, ceiling)
        self._limit = float(self.highest)
        self._in_flight = 0
        self._refusals = 0.0
        self._refused_before = False
        self._outcomes_until_cut = 0
        self._resting = 0
        self._borne = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return int(self._limit)

    async def __aenter__(self) -> None:
        """Wait for a slot and take it."""
        while self._in_flight >= self.limit:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._admit()
                raise
        self._in_flight += 1

    async def __aexit__(self, *_: object) -> None:
        """Give the slot back."""
        self._in_flight -= 1
        self._admit()

    def accepted(self) -> None:
        """The server took a request and answered it, well or badly."""
        self._note(refused=False)
        if self._refusals < CUT_ABOVE / 2:
            self._limit += 1 / self._limit if self._refused_before else 1
            self._limit = min(self._limit, self.ceiling)
            self.highest = max(self.highest, self.limit)
            self._admit()

    def refused(self) -> None:
        """The server turned a request away because it was busy, or did not answer in time."""
        self._note(refused=True)
        # The server was busy with all others that are waiting for an answer: so much it bears.
        borne = self._in_flight - self._resting - 1
        self._borne += (borne - self._borne) * (_WEIGHT_OF_BORNE if self._refused_before else 1)
        self._refused_before = True
        if self._refusals > CUT_ABOVE and self._outcomes_until_cut <= 0:
            gentle = min(self._limit - 1, self._borne + 1)
            self._limit = max(1.0, self._limit * _CUT_TO, gentle)
            self.lowest = min(self.lowest, self.limit)
            self._refusals = CUT_ABOVE / 2
            self._outcomes_until_cut = self._in_flight

    async def rest(self, seconds: float) -> None:
        """Back off for so long, keeping the slot."""
        self._resting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._resting -= 1

    def _note(self, *, refused: bool) -> None:
        self._refusals += _WEIGHT * (refused - self._refusals)
        self._outcomes_until_cut -= 1

    def _admit(self) -> None:
        free = self.limit - self._in_flight
        while self._waiting and free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
