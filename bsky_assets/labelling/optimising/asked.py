"""The model of record as a search asks it: by the ledger, within a budget.

Answers go to the ledger as answers of any other labelling do, so that they are not asked for again
when a wording is put to work. What the model wrote is kept in a file of the search, by what it was
asked. What does not belong here: which questions are asked.
"""

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb

from bsky_assets.contracts.codebooks import Codebook
from bsky_assets.contracts.progress import Reporter
from bsky_assets.labelling.asking.answers import after_thoughts
from bsky_assets.labelling.asking.batches import by_chance
from bsky_assets.labelling.asking.budget import Budget, MeteredEndpoint
from bsky_assets.labelling.asking.endpoint import (
    Busy,
    Endpoint,
    EndpointUnreachable,
    Failure,
    Reply,
    Service,
    Waiting,
)
from bsky_assets.labelling.asking.policy import Policy
from bsky_assets.labelling.asking.preflight import Preflight, identify, probe
from bsky_assets.labelling.asking.prompt import Prompt, codebook_prompt
from bsky_assets.labelling.asking.rounds import Asker
from bsky_assets.labelling.ledger.store import answers_in
from bsky_assets.labelling.optimising.coded import Coded
from bsky_assets.labelling.optimising.written import Written
from bsky_assets.settings import Settings

_WRITTEN_TOKENS = 1_500
_TRIES = 3
_SECONDS = 300.0
_TEMPERATURE = 0.7
"""So that a part that is worded anew twice is not worded the same."""


class Asked:
    """The model of record."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        settings: Settings,
        day: date,
        written: Path,
        budget: Budget,
        report: Reporter,
        policy: Policy | None = None,
        *,
        has_news: bool = False,
    ) -> None:
        """Ask within `budget`; answers are filed under `day`, and what is written in `written`.

        `has_news` says that posts may come with articles.
        """
        self._has_news = has_news
        self.budget = budget
        self._con, self._settings, self._day = con, settings, day
        self._report, self._policy = report, policy or Policy()
        self._written = Written(written)
        self._preflight: Preflight | None = None
        self._known: dict[tuple[str, str], str | None] = {}

    def version(self, codebook: Codebook) -> str:
        """Of what is sent of `codebook`."""
        return self._prompt(codebook).version

    def _prompt(self, codebook: Codebook) -> Prompt:
        return codebook_prompt(
            (codebook,),
            has_reason=self._settings.llm_reason,
            has_news=self._has_news,
            has_views=self._settings.news_views,
        )

    def answers(self, codebook: Codebook, posts: Sequence[Coded]) -> list[str | None]:
        """What it says of each post; None where there is no valid answer."""
        prompt = self._prompt(codebook)
        asked = {post.question.hash: post.question for post in posts}  # some come twice
        fresh = [one for key, one in asked.items() if (prompt.version, key) not in self._known]
        if fresh:
            settings = self._settings
            asker = Asker(
                self._con, settings, prompt, self._day, settings.llm_batch_size,
                self._policy, self._report, budget=self.budget,
            )  # fmt: skip
            asker.ask(settings.label_of_record, by_chance(fresh, str(self._day)), "optimising")
            found = answers_in(self._con, "optimising")
            self._known |= {(prompt.version, one.hash): found.get(one.hash) for one in fresh}
        return [self._known[prompt.version, one.question.hash] for one in posts]

    def write(self, prompt: str, in_sight: Collection[str]) -> str:
        """What it writes when it is asked so, or wrote when it was asked before.

        It is kept until one of the posts with these texts is deleted.
        """
        key = hashlib.sha256(f"{self._settings.label_of_record}\n{prompt}".encode()).hexdigest()
        written = self._written.next_of(key)
        if written is None:
            reply = asyncio.run(self._write(prompt))
            written = after_thoughts(reply.content)
            self._written.add(key, written, in_sight)
        return written

    async def _write(self, prompt: str) -> Reply:
        async with MeteredEndpoint(Service.of_labels(self._settings), 1, self.budget) as endpoint:
            if self._preflight is None:
                found = await identify(endpoint, self._settings.label_of_record)
                self._preflight = await probe(endpoint, found, "You write instructions.")
            request = {
                **replace(self._preflight, response_format="text").options(
                    {}, _TEMPERATURE, self._room(self._preflight)
                ),
                "messages": [{"role": "user", "content": prompt}],
            }
            return await _ask(endpoint, request)

    def _room(self, preflight: Preflight) -> int:
        return _WRITTEN_TOKENS + self._policy.tokens_of_thought * preflight.thinks


async def _ask(endpoint: Endpoint, request: dict[str, object]) -> Reply:
    waiting, failures = Waiting(), 0
    while True:
        try:
            return await endpoint.ask(request, asyncio.timeout(_SECONDS))
        except Busy as failure:
            await waiting.for_load(endpoint.host, str(failure))
        except Failure as failure:
            failures += 1
            if failures == _TRIES:
                raise EndpointUnreachable(
                    f"{endpoint.host} does not write ({failure}); run again to go on"
                ) from None
