"""How many requests are in flight: as many as the server bears, under a ceiling.

Begins low and grows with every answer until the server first refuses. It is cut back only when
the smoothed share of refusals is high, since a server at its limit refuses a few now and then,
and then to what the server was busy with when it refused. From there it feels its way up again,
the more rarely the more often that was in vain.
"""

import asyncio
from collections import deque

START = 16
_CUT_ABOVE = 0.15
"""Smoothed share of refusals above which fewer requests are sent."""

_CUT_TO = 0.75
"""At most so far at once."""
_WEIGHT = 0.05
"""Of one outcome in the smoothed share."""
_ROUNDS = (4, 64)
"""Answers to every request in flight, so many times over, before more are sent again: at first,
and at most. It doubles with every time that it was in vain, and halves when it was not."""


class AdaptiveLimit:
    """Slots for requests in flight. Hold one while awaiting an answer, none while backing off."""

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.lowest = self.highest = min(START, ceiling)
        self._limit = float(self.highest)
        self._in_flight = 0
        self._resting = 0
        self._borne = 0
        self._refusals = 0.0
        self._refused_in_a_row = 0
        self._patience = float(_ROUNDS[0])
        self._answers_until_growth = 0.0
        self._outcomes_until_cut = 0
        self._was_cut = False
        self._grew_since_cut = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return int(self._limit)

    @property
    def backing_off(self) -> float:
        """By how much to lengthen a pause, as nothing but refusals come: 1 at first."""
        return float(2.0 ** min(self._refused_in_a_row // (2 * self.limit), 6))

    async def __aenter__(self) -> None:
        while self._free() <= 0:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._admit()
                raise
        self._in_flight += 1

    async def __aexit__(self, *_: object) -> None:
        self._in_flight -= 1
        self._admit()

    async def rest(self, seconds: float) -> None:
        """Back off for so long. While nothing but refusals come, who rests counts as in flight."""
        self._resting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._resting -= 1
            self._admit()

    def accepted(self) -> None:
        """The server took a request and answered it, well or badly. Call it in the slot."""
        self._note(refused=False)
        self._admit()
        self._answers_until_growth -= 1
        if self._answers_until_growth <= 0 and self._refusals < _CUT_ABOVE / 2:
            self._limit = min(self._limit + 1, self.ceiling)
            if self._was_cut:
                self._wait_for_growth(
                    self._patience / 2 if self._grew_since_cut else self._patience
                )
                self._grew_since_cut = True
            self.highest = max(self.highest, self.limit)
            self._admit()

    def refused(self) -> None:
        """The server turned a request away because of its load. Call it in the slot."""
        self._note(refused=True)
        self._borne = max(self._borne, self._in_flight - 1)
        if self._refusals > _CUT_ABOVE and self._outcomes_until_cut <= 0:
            lower = max(self._limit * _CUT_TO, self._borne)
            self._limit = max(1.0, min(self._limit - 1, lower))
            self.lowest = min(self.lowest, self.limit)
            self._wait_for_growth(self._patience * (2 if self._grew_since_cut else 1))
            self._was_cut, self._grew_since_cut = True, False
            # What is under way was sent before the cut, and says nothing of whether it was enough.
            self._refusals, self._borne = 0.0, 0
            self._outcomes_until_cut = self._in_flight

    def _wait_for_growth(self, rounds: float) -> None:
        least, most = _ROUNDS
        self._patience = min(max(rounds, least), most)
        self._answers_until_growth = self._patience * self._limit

    def _note(self, *, refused: bool) -> None:
        self._refusals += _WEIGHT * (refused - self._refusals)
        self._refused_in_a_row = self._refused_in_a_row + 1 if refused else 0
        self._outcomes_until_cut -= 1

    def _free(self) -> int:
        free = self.limit - self._in_flight
        if self._refused_in_a_row > self.limit:
            free = min(free, 2 * self.limit - self._resting - self._in_flight)
        return free

    def _admit(self) -> None:
        free = self._free()
        while self._waiting and free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
