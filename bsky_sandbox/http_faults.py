"""Faults that the sandbox's HTTP servers commit on demand, by seed, settable while they run.

What does not belong here: the shape of an error's body, which is each protocol's own, and the
faults of a stream.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_LINGER_ZERO = struct.pack("ii", 1, 0)
_FOREVER = 24 * 3600.0


class HttpFaults(BaseModel):
    """What goes wrong with a request, and how often. The default is that nothing does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(0, description="Of the dice; the same requests in a row meet the same.")
    latency: Seconds = Field(0, description="Seconds before an answer, at least.")
    latency_spread: Seconds = Field(0, description="Seconds on top, evenly spread from 0.")
    p429: Probability = Field(0, description="Share refused with 429.")
    retry_after: Seconds = Field(1, description="Seconds in the Retry-After header of a 429.")
    p500: Probability = Field(0, description="Share answered with 500.")
    p503: Probability = Field(0, description="Share answered with 503.")
    p_hang: Probability = Field(0, description="Share never answered, the connection kept open.")
    p_reset: Probability = Field(0, description="Share whose connection is reset.")
    p_malformed: Probability = Field(0, description="Share answered with JSON that is not JSON.")
    p_cut: Probability = Field(0, description="Share of files cut off in the middle.")
    p_flip: Probability = Field(0, description="Share of files with a wrong byte in them.")


T = TypeVar("T")
F = TypeVar("F", bound=HttpFaults)


class Refused(Exception):
    """The request meets a fault: it is to be answered with this status."""

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        """Take the status, and for a 429 the seconds to wait."""
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Retry-After, where there is one; in whole seconds if it can be."""
        return {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}


class FaultInjector(Generic[F]):
    """Throws the dice for each request. Its faults can be replaced at any time."""

    def __init__(self, faults: F) -> None:
        self.faults = faults

    @property
    def faults(self) -> F:
        """What is in force; setting it also starts the dice anew from its seed."""
        return self._faults

    @faults.setter
    def faults(self, faults: F) -> None:
        self._random = random.Random(faults.seed)
        self._faults = faults

    def strikes(self, probability: float) -> bool:
        """Whether a fault of this probability happens now."""
        return probability > 0 and self._random.random() < probability

    def pick(self, things: Sequence[T]) -> T:
        """One of `things`, by the same dice."""
        return self._random.choice(things)

    async def meet(self, request: web.Request, extra: float = 0) -> None:
        """Let `request` meet what is in store for it: latency, `extra` seconds, and faults.

        Raises:
            Refused: it is to be answered with an error.
        """
        faults = self._faults
        hangs, resets = self.strikes(faults.p_hang), self.strikes(faults.p_reset)
        statuses = {429: faults.p429, 500: faults.p500, 503: faults.p503}
        struck = [status for status, probability in statuses.items() if self.strikes(probability)]
        delay = faults.latency + extra + self._random.random() * faults.latency_spread
        if hangs:
            await asyncio.sleep(_FOREVER)
        if delay:
            await asyncio.sleep(delay)
        if resets:
            reset(request)
            raise Refused(500)
        if struck:
            raise Refused(struck[0], faults.retry_after if struck[0] == 429 else None)

    async def show(self, _request: web.Request) -> web.Response:
        """`GET /faults`: what is in force."""
        return web.json_response(text=self._faults.model_dump_json())

    async def replace(self, request: web.Request) -> web.Response:
        """`POST /faults`: put the JSON body's in force; what it leaves out is as by default."""
        try:
            self.faults = type(self._faults).model_validate_json(await request.read())
        except ValidationError as error:
            return web.Response(status=400, text=str(error))
        return await self.show(request)

    def routes(self) -> list[web.RouteDef]:
        """The control route, for whoever is in another process."""
        return [web.get("/faults", self.show), web.post("/faults", self.replace)]


def reset(request: web.Request) -> None:
    """Cut the connection of `request` with a TCP reset."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        request.transport.abort()
