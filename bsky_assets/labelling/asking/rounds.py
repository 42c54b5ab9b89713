"""Asking one model about a day: only what the ledger does not know already."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import duckdb

from bsky_assets.contracts.codebooks import Codebook
from bsky_assets.contracts.progress import Progress, Reporter, silent
from bsky_assets.labelling.asking.budget import Budget, MeteredEndpoint
from bsky_assets.labelling.asking.endpoint import Endpoint, EndpointUnreachable, Service
from bsky_assets.labelling.asking.policy import Policy
from bsky_assets.labelling.asking.preflight import Preflight, identify, probe, raise_context
from bsky_assets.labelling.asking.prompt import Prompt, codebook_prompt
from bsky_assets.labelling.asking.questions import Question
from bsky_assets.labelling.asking.requests import Asking
from bsky_assets.labelling.asking.usage import Statistics
from bsky_assets.labelling.ledger.store import (
    SYNC_SECONDS,
    AnswerKey,
    Ledger,
    LedgerWriter,
    ledger_of,
)
from bsky_assets.settings import Settings

PARAMETERS = '{"temperature":0.0}'
"""What is asked for in the first place; a post that is asked about again may get another
temperature, which its answer in the ledger says."""


@dataclass(frozen=True, slots=True)
class Round:
    """How one model was asked about a day, and what that took."""

    answer_key: AnswerKey
    preflight: Preflight | None
    """None where everything was known and the endpoint was away."""
    questions: int
    known: int
    """Questions whose answer was in the ledger before."""
    statistics: Statistics
    notices: tuple[str, ...] = ()
    """What whoever runs the endpoint should know of it."""

    def and_then(self, second: "Round") -> "Round":
        """Both, where more was asked of the same model afterwards."""
        new = second.statistics.answered + second.statistics.failed
        return replace(
            self,
            questions=self.questions + new,
            statistics=self.statistics.plus(second.statistics),
            notices=tuple(dict.fromkeys((*self.notices, *second.notices))),
        )


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks models about the questions of one day, and leaves the answers in the ledger."""

    con: duckdb.DuckDBPyConnection
    settings: Settings
    prompt: Prompt
    day: date
    batch_size: int
    policy: Policy = field(default_factory=Policy)
    report: Reporter = silent
    together: tuple[Codebook, ...] = ()
    """The codebook of `prompt`, and others that can be asked about the same posts."""
    budget: Budget | None = None
    """What may be spent, where that is bounded."""

    @property
    def ledger(self) -> Ledger:
        """Where the answers are."""
        return ledger_of(self.settings)

    def ask(
        self, model: str, questions: Sequence[Question], table: str, parameters: str = PARAMETERS
    ) -> Round:
        """Have `model` answer `questions`; `table` then has the answer in force for each.

        Answers are known by `parameters` too: with others, everything is asked anew.

        Raises:
            EndpointUnreachable: there is no endpoint, or it went away; its answers are kept.
            EndpointRefuses: it does not take our key, model or form of request.
            NoSuchModel: it does not have the model.
        """
        return asyncio.run(self._ask(model, questions, table, parameters))

    async def _ask(
        self, model: str, questions: Sequence[Question], table: str, parameters: str
    ) -> Round:
        async with self._endpoint() as endpoint:
            preflight: Preflight | None = None
            try:
                preflight = await identify(endpoint, model)
                answer_key = self._answer_key(model, preflight.model_digest, parameters)
            except EndpointUnreachable:
                # Whoever has every answer already needs no endpoint.
                digest = self.ledger.last_digest(self.con, model)
                answer_key = self._answer_key(model, digest, parameters)
                if self._unanswered(questions, answer_key, table):
                    raise
            unanswered = self._unanswered(questions, answer_key, table)
            statistics, batch_size = Statistics(), self.batch_size
            if unanswered and preflight:
                preflight = await probe(endpoint, preflight, self.prompt.text)
                loaded = await identify(endpoint, model)
                if loaded.model_digest != preflight.model_digest:
                    # While it is loaded a server may not say yet what identifies a model.
                    preflight = replace(preflight, model_digest=loaded.model_digest)
                    answer_key = self._answer_key(model, preflight.model_digest, parameters)
                    unanswered = self._unanswered(questions, answer_key, table)
                prompt = self._prompt_for(unanswered, answer_key)
                self.ledger.record_prompt(prompt, self.day)
                with self.ledger.writer(self.day) as writer:
                    asking = Asking(
                        endpoint, preflight, prompt, _keys(prompt, answer_key), writer,
                        ceiling=self.settings.llm_concurrency, policy=self.policy,
                        is_proven=len(unanswered) < len(questions),
                    )  # fmt: skip
                    batch_size, _ = self.policy.room(preflight, prompt, self.batch_size)
                    statistics = await self._watched(asking, unanswered, writer)
                self.ledger.register_best(self.con, table, [q.hash for q in questions], answer_key)
        known = len(questions) - len(unanswered)
        notices = _notices(preflight, self.batch_size, batch_size, statistics)
        return Round(answer_key, preflight, len(questions), known, statistics, notices)

    def _endpoint(self) -> Endpoint:
        service, connections = Service.of_labels(self.settings), self.settings.llm_concurrency
        if self.budget is None:
            return Endpoint(service, connections)
        return MeteredEndpoint(service, connections, self.budget)

    def _prompt_for(self, questions: Sequence[Question], answer_key: AnswerKey) -> Prompt:
        """What is sent: with this codebook those that know no answer to `questions` either."""
        own, *others = self.together or (None,)
        fresh = [one for one in others if one and not self._knows(one, questions, answer_key)]
        if own is None or not fresh:
            return self.prompt
        return codebook_prompt((own, *fresh), has_reason=self.prompt.form.has_reason)

    def _knows(
        self, codebook: Codebook, questions: Sequence[Question], answer_key: AnswerKey
    ) -> bool:
        prompt = codebook_prompt((codebook,), has_reason=self.prompt.form.has_reason)
        (key,) = _keys(prompt, answer_key)
        return len(self._unanswered(questions, key, "labelling_together")) < len(questions)

    def _answer_key(self, model: str, digest: str | None, parameters: str) -> AnswerKey:
        return AnswerKey(model, digest, self.prompt.version, self.prompt.form.version, parameters)

    def _unanswered(
        self, questions: Sequence[Question], answer_key: AnswerKey, table: str
    ) -> list[Question]:
        """Fill `table` from the ledger; the questions that have no valid answer there."""
        self.ledger.register_best(
            self.con, table, [question.hash for question in questions], answer_key
        )
        valid = self.con.sql(f"SELECT question_hash FROM {table} WHERE is_valid").fetchall()
        answered = {question_hash for (question_hash,) in valid}
        return [question for question in questions if question.hash not in answered]

    async def _watched(
        self, asking: Asking, questions: Sequence[Question], writer: LedgerWriter
    ) -> Statistics:
        ticking = asyncio.create_task(self._tick(asking, len(questions), writer))
        try:
            return await asking.ask(questions, self.batch_size)
        finally:
            ticking.cancel()

    async def _tick(self, asking: Asking, total: int, writer: LedgerWriter) -> None:
        started = time.monotonic()
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            writer.sync()
            done = total - asking.left
            rate = done / (time.monotonic() - started)
            self.report(Progress(asking.model, done, total, per_second=rate))


def _keys(prompt: Prompt, like: AnswerKey) -> list[AnswerKey]:
    """What answers to each codebook of `prompt` are known by, where all else is as in `like`."""
    return [
        replace(like, prompt_version=part.version, schema_version=part.form.version)
        for part in prompt.parts or (prompt,)
    ]


def _notices(
    preflight: Preflight | None, wanted: int, taken: int, statistics: Statistics
) -> tuple[str, ...]:
    if preflight is None or not statistics.requests:
        return ()
    told = {
        f"the context of {preflight.context_tokens or 0:,} tokens has room for {taken} posts a "
        f"request, not {wanted}; {raise_context(preflight)}": taken < wanted,
        "the server does not keep to the schema, so that answers are as regular as the model is": (
            not preflight.enforces_schema
        ),
        "the model cannot tell the posts of a request apart, so that each was asked about alone; "
        "set BSKY_LLM_BATCH_SIZE=1, or take another model": statistics.one_by_one,
        "the model thinks aloud, which takes longer; turn thinking off where it is served": (
            preflight.thinks
        ),
    }
    return tuple(notice for notice, holds in told.items() if holds)
