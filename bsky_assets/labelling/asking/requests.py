"""Getting an answer to every question: batches, retries, and what is asked again and how.

A post is never given up because a server was busy, slow or away: then it waits, and if the
server is gone everything stops, to go on another time. A post whose answer is wrong is asked
about again, alone; a batch that the server cannot bear, or whose answer cannot be relied on, is
split. Only what the server answers wrongly again and again, or declines, is left with an error, and
is asked again on the next run. A run in which nothing at all can be used is ended.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count

from bsky_assets.labelling.asking.answers import Answer, Invalid, dump_message, response_format
from bsky_assets.labelling.asking.batches import Batch, batches, halves
from bsky_assets.labelling.asking.breaker import Breaker
from bsky_assets.labelling.asking.concurrency import AdaptiveLimit
from bsky_assets.labelling.asking.endpoint import (
    Busy,
    Declined,
    Endpoint,
    EndpointUnreachable,
    Failure,
    NoConnection,
    Reply,
    ServerFailed,
    TimedOut,
    TooLong,
)
from bsky_assets.labelling.asking.policy import Policy
from bsky_assets.labelling.asking.preflight import Preflight
from bsky_assets.labelling.asking.prompt import Prompt
from bsky_assets.labelling.asking.questions import Question
from bsky_assets.labelling.asking.reading import Reading
from bsky_assets.labelling.asking.recording import Recorder
from bsky_assets.labelling.asking.usage import Statistics
from bsky_assets.labelling.asking.waiting import Waiting
from bsky_assets.labelling.ledger.store import AnswerKey, LedgerWriter

_USELESS = 3
"""After so many useless replies in a row about several posts, each is asked about alone, where the
server shows that it reads whole requests: then the model is what cannot do it."""


class Asking:
    """One round of questions to one model."""

    def __init__(
        self,
        endpoint: Endpoint,
        preflight: Preflight,
        prompt: Prompt,
        answer_keys: Sequence[AnswerKey],
        writer: LedgerWriter,
        *,
        ceiling: int,
        policy: Policy,
        is_proven: bool = False,
    ) -> None:
        """Ask `preflight.model` at `endpoint` with `prompt`; answers go to `writer` as they come.

        `answer_keys` are what the answers to each codebook of the prompt are known by.
        `is_proven` says that the model has answered about this day before.
        """
        self.statistics = Statistics()
        self.model = preflight.model
        self._endpoint, self._preflight, self._prompt = endpoint, preflight, prompt
        self._policy = policy
        self._reading = Reading(preflight, prompt)
        self._recorder = Recorder(preflight, prompt, answer_keys, writer)
        self._breaker = Breaker(preflight, is_proven=is_proven)
        self._limit = AdaptiveLimit(ceiling)
        self._waiting = Waiting(policy, self._limit)
        self._queue: asyncio.PriorityQueue[tuple[int, int, Batch]] = asyncio.PriorityQueue()
        self._order = count()
        self._invalid: Counter[str] = Counter()
        self._useless = 0
        self._open = 0
        self._finished = asyncio.Event()

    @property
    def left(self) -> int:
        """How many questions have neither an answer nor an error."""
        return self._open

    async def ask(self, questions: Iterable[Question], batch_size: int) -> Statistics:
        """Ask until there is an answer or an error for each of `questions`.

        Raises:
            EndpointUnreachable: the endpoint went away; answers so far are in the ledger.
            EndpointRefuses: it takes our requests no longer.
            NothingUsable: nothing that it says can be used.
        """
        started = time.monotonic()
        size, characters = self._policy.room(self._preflight, self._prompt, batch_size)
        for gathered in batches(questions, size, characters):
            self._open += len(gathered)
            self._put(Batch(gathered))
        try:
            if self._open:
                await self._work()
        finally:
            self.statistics.seconds = time.monotonic() - started
            self.statistics.concurrency = (self._limit.lowest, self._limit.highest)
        return self.statistics

    async def _work(self) -> None:
        workers = [asyncio.create_task(self._worker()) for _ in range(self._limit.ceiling)]
        finished = asyncio.create_task(self._finished.wait())
        try:
            done, _ = await asyncio.wait([finished, *workers], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (finished, *workers):
                task.cancel()
            await asyncio.gather(finished, *workers, return_exceptions=True)

    async def _worker(self) -> None:
        while True:
            _, _, batch = await self._queue.get()
            if self.statistics.one_by_one and len(batch.questions) > 1:
                for question in batch.questions:
                    self._put(Batch([question]))
                continue
            temperature = self._temperature_for(batch)
            async with self._limit:
                outcome = await self._try(batch, temperature)
            await asyncio.sleep(0)  # whoever waited for the slot sends before this is looked into
            if pause := self._handle(batch, outcome, temperature):
                await self._limit.rest(pause)

    def _put(self, batch: Batch, delay: float = 0.0) -> float:
        """Queue `batch`, in `delay` seconds, which are returned.

        What was asked about before goes first, so that nothing lags behind.
        """
        asked = max(self._recorder.attempts[question.hash] for question in batch.questions)
        entry = (-asked, next(self._order), batch)
        if delay:
            asyncio.get_running_loop().call_later(delay, self._queue.put_nowait, entry)
        else:
            self._queue.put_nowait(entry)
        return delay

    async def _try(self, batch: Batch, temperature: float) -> Reply | Failure:
        """Ask once, and tell the limit how the server bore it."""
        try:
            reply = await self._send(batch, temperature)
        except (Busy, TimedOut) as failure:
            self._limit.refused()
            return failure
        except NoConnection as failure:
            return failure
        except Failure as failure:
            self._limit.accepted()
            return failure
        self._limit.accepted()
        return reply

    def _handle(self, batch: Batch, outcome: Reply | Failure, temperature: float) -> float:
        """Do what follows from the outcome; returns for how many seconds to back off."""
        match outcome:
            case Busy():
                self._count("busy")
                self._stop_if_gone(outcome, self._policy.busy_patience)
                return self._put(batch, self._waiting.pause(outcome.retry_after))
            case TimedOut():
                self._count("timed_out")
                self._again_after_timeout(batch, outcome)
            case NoConnection():
                self._count("no_connection")
                self._stop_if_gone(outcome)
                return self._put(batch, self._waiting.pause_without_connection())
            case Failure():
                self._count(_code(outcome))
                self._after_error(batch, outcome, temperature)
            case Reply():
                self._waiting.learn(outcome.latency_seconds)
                self._take(batch, outcome, temperature)
        return 0.0

    async def _send(self, batch: Batch, temperature: float) -> Reply:
        size = len(batch.questions)
        tokens = (
            self._policy.answer_tokens(self._preflight, self._prompt, size) * 4**batch.truncated
        )
        form = response_format(self._reading.form(size), size)
        message = dump_message([question.payload for question in batch.questions])
        self.statistics.requests += 1
        request = {
            **self._preflight.options(form, temperature, tokens),
            "messages": [
                {"role": "system", "content": self._prompt.text},
                {"role": "user", "content": message},
            ],
        }
        with self._waiting.deadline(batch.timeouts) as deadline:
            return await self._endpoint.ask(request, deadline)

    def _take(self, batch: Batch, reply: Reply, temperature: float) -> None:
        """Keep what can be used of `reply`; ask again about each other post alone, or about the
        halves of the batch if there is nothing."""
        self.statistics.note(reply)
        answers = self._reading.read(batch.questions, reply)
        as_whole = isinstance(answers, Invalid)
        self._learn_company(batch, is_useless=as_whole)
        each = [answers] * len(batch.questions) if isinstance(answers, Invalid) else answers
        self._recorder.record(batch.questions, each, reply, temperature)
        again = []
        for question, answer in zip(batch.questions, each, strict=True):
            if isinstance(answer, Answer):
                self._close(answered=True)
                continue
            self._count(answer.code)
            # That a reply is of no use is the fault of one post perhaps, and not of each in it.
            self._invalid[question.hash] += not as_whole or len(each) == 1
            if self._invalid[question.hash] >= self._policy.invalid_answers:
                self._close(answered=False)
            else:
                again.append(question)
        cut = min(batch.truncated + 1, 3) if reply.cut_off and len(each) == 1 else 0
        for part in halves(again) if as_whole else [[question] for question in again]:
            self._put(Batch(part, truncated=cut))
        if len(each) == 1 or not self._preflight.shows_reading:
            self._breaker.note(batch.questions, each, reply)

    def _learn_company(self, batch: Batch, *, is_useless: bool) -> None:
        """Note whether the model can answer about several posts at once."""
        if len(batch.questions) > 1 and self._preflight.shows_reading:
            self._useless = self._useless + 1 if is_useless else 0
            self.statistics.one_by_one |= self._useless >= _USELESS

    def _after_error(self, batch: Batch, failure: Failure, temperature: float) -> None:
        batch.server_errors += 1
        # An error that is about these posts comes again; another may be gone next time.
        final = not isinstance(failure, ServerFailed)
        policy = self._policy
        if not final:
            self._stop_if_gone(failure)
        else:
            self._waiting.end_of_trouble()
            self._breaker.note_error(batch.questions, _code(failure), str(failure))
        if len(batch.questions) > 1 and (final or batch.server_errors >= policy.split_after):
            for half in halves(batch.questions):
                self._put(Batch(half))
        elif final or batch.server_errors >= policy.server_errors:
            wrong = Invalid(f"{_code(failure)}: {failure}")
            self._recorder.record(
                batch.questions, [wrong] * len(batch.questions), None, temperature
            )
            for _ in batch.questions:
                self._close(answered=False)
        else:
            self._put(batch, self._waiting.pause(None) * 2**batch.server_errors)

    def _again_after_timeout(self, batch: Batch, failure: TimedOut) -> None:
        self._stop_if_gone(failure, self._policy.patience + 3 * failure.seconds)
        batch.timeouts += 1
        if failure.seconds >= self._policy.longest_timeout and len(batch.questions) > 1:
            for half in halves(batch.questions):
                self._put(Batch(half, timeouts=batch.timeouts))
        else:
            self._put(batch)

    def _stop_if_gone(self, failure: Failure, patience: float | None = None) -> None:
        if self._waiting.silent() > (self._policy.patience if patience is None else patience):
            raise EndpointUnreachable(
                f"endpoint unreachable, {self._open} posts left "
                f"({self._preflight.host}: {failure}); run again to go on"
            )

    def _temperature_for(self, batch: Batch) -> float:
        again = max(self._invalid[question.hash] for question in batch.questions)
        return self._policy.retry_temperature if again >= 2 else 0.0

    def _count(self, reason: str) -> None:
        self.statistics.retries[reason] += 1

    def _close(self, *, answered: bool) -> None:
        self._open -= 1
        self.statistics.answered += answered
        self.statistics.failed += not answered
        if self._open == 0:
            self._finished.set()


def _code(failure: Failure) -> str:
    return {ServerFailed: "server_error", TooLong: "too_long", Declined: "declined"}[type(failure)]
