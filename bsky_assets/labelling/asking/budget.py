"""What a call may spend at an endpoint, counted before each request goes out.

A request is booked at the most that it can take: its bytes, since no token is less than one, and
the longest answer that it allows. What the server counts takes the place of that when it answers;
where it does not answer, or tells no count, the booking stays. So a budget is not passed whatever
goes wrong, by a server that keeps to the length that it is given.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.endpoint import Busy, Declined, Endpoint, Reply, Service, TooLong

_TEMPLATE_TOKENS = 256
"""Of a chat template, at most."""
_MOMENT = 0.05


class BudgetSpent(UserError):
    """A call may not ask more; what was answered is kept, and another call goes on from there."""


@dataclass(slots=True)
class Budget:
    """Requests and tokens that are left."""

    requests: int
    tokens: int
    kept_requests: int = 0
    """Of what is left, for later."""
    kept_tokens: int = 0
    spent_requests: int = 0
    spent_tokens: int = 0
    is_spent: bool = False
    """Whether something could not be asked."""
    _in_flight: int = 0

    def book(self, tokens: int) -> None:
        """Take a request of so many tokens at most.

        Raises:
            Busy: there may be enough when what is in flight has been answered.
            BudgetSpent: there is not enough.
        """
        enough = self.requests > self.kept_requests and self.tokens - self.kept_tokens >= tokens
        if not enough and self._in_flight:
            raise Busy("the budget waits for what is in flight", _MOMENT)
        if not enough:
            self.is_spent = True
            raise BudgetSpent(
                f"the budget is spent: {self.spent_requests:,} requests and "
                f"{self.spent_tokens:,} tokens; run again to go on, or give a larger "
                "--max-requests or --max-tokens"
            )
        self._in_flight += 1
        self.requests -= 1
        self.spent_requests += 1
        self._take(tokens)

    def settle(self, booked: int, took: int | None) -> None:
        """Put what a request took in the place of what was booked; None: it is not known."""
        self._in_flight -= 1
        if took is not None:
            self._take(took - booked)

    def keep(self, requests: int, tokens: int) -> None:
        """Keep so much of what is left for later."""
        self.kept_requests, self.kept_tokens = requests, tokens
        self.is_spent = False

    def _take(self, tokens: int) -> None:
        self.tokens -= tokens
        self.spent_tokens += tokens


class MeteredEndpoint(Endpoint):
    """An endpoint that is asked no more than a budget allows."""

    def __init__(self, service: Service, connections: int, budget: Budget) -> None:
        """Look at the endpoint of `service`, and count against `budget`."""
        super().__init__(service, connections)
        self._budget = budget

    async def ask(self, request: Mapping[str, Any], deadline: asyncio.Timeout) -> Reply:
        """As an endpoint's.

        Raises:
            BudgetSpent: it may not be asked.
        """
        most = most_tokens(request)
        self._budget.book(most)
        took: int | None = None
        try:
            reply = await super().ask(request, deadline)
            if reply.prompt_tokens is not None and reply.completion_tokens is not None:
                took = reply.prompt_tokens + reply.completion_tokens
            return reply
        except (Busy, Declined, TooLong):
            took = 0  # turned away before it was read
            raise
        finally:
            self._budget.settle(most, took)


def most_tokens(request: Mapping[str, Any]) -> int:
    """The most tokens that `request`, a chat completion, can take with its answer."""
    answer = request.get("max_tokens") or request.get("max_completion_tokens") or 0
    return len(orjson.dumps(request)) + _TEMPLATE_TOKENS + int(answer)
