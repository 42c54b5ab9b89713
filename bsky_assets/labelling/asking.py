"""Getting an answer to every question: batches, retries, and what is asked again and how.

A post is never given up because a server was busy, slow or away: then it waits, and if the
server is gone everything stops, to go on another time. A post whose answer is wrong is asked
about again, alone; a batch that the server cannot bear is split. Only what the server answers
wrongly again and again, or declines, is left with an error, and is asked again on the next run.
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import median

from bsky_assets.labelling.answers import (
    Answer,
    Invalid,
    dump_message,
    read_answers,
    response_format,
    slots,
)
from bsky_assets.labelling.concurrency import AdaptiveLimit
from bsky_assets.labelling.endpoint import (
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
from bsky_assets.labelling.ledger import AskedHow, Exchange, LedgerWriter, SlotAnswer
from bsky_assets.labelling.preflight import Preflight
from bsky_assets.labelling.prompt import Prompt
from bsky_assets.labelling.questions import Question
from bsky_assets.storage.files import unique_id
from bsky_assets.sync_day import now

_ENOUGH_ANSWERS = 20
"""To know how long answers take."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to wait and how often to ask."""

    invalid_answers: int = 8
    """So many answers for one post that cannot be used, and it is left with an error."""
    server_errors: int = 8
    """Likewise for the server's errors about one post alone."""
    split_after: int = 2
    """A batch is split in two after so many errors of the server."""
    retry_temperature: float = 0.5
    """Of the third and later times that a post is asked about: the same at 0 gives the same."""
    batch_characters: int = 16_000
    """A request has posts of no more than this; small models have small contexts."""
    shortest_timeout: float = 20.0
    first_timeout: float = 180.0
    """Until it is known how long answers take; a model may have to be loaded."""
    longest_timeout: float = 900.0
    patience: float = 60.0
    """After so many seconds without any answer from a server that does not take connections, or
    gives nothing but errors, all stops."""
    busy_patience: float = 1800.0
    """Likewise of a server that does nothing but turn requests away."""
    tokens_a_post: int = 64
    tokens_a_reason: int = 128
    tokens_more: int = 128
    """A request may have so many tokens of answer: about twice what it takes in plain JSON."""


@dataclass(slots=True)
class Batch:
    """Posts to be asked about together, and how that went so far."""

    questions: Sequence[Question]
    server_errors: int = 0
    timeouts: int = 0
    truncated: int = 0


@dataclass(slots=True)
class Statistics:
    """What asking took."""

    requests: int = 0
    answered: int = 0
    """Questions with a valid answer."""
    failed: int = 0
    """Questions left with an error."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    """By reason: requests and posts that had to be asked again."""
    latencies: list[float] = field(default_factory=list)
    concurrency: tuple[int, int] = (0, 0)
    """The lowest and highest number of requests allowed at once."""
    seconds: float = 0.0


class Asking:
    """One round of questions to one model."""

    def __init__(
        self,
        endpoint: Endpoint,
        found: Preflight,
        prompt: Prompt,
        how: AskedHow,
        writer: LedgerWriter,
        *,
        ceiling: int,
        policy: Policy,
        temperature: float = 0.0,
    ) -> None:
        """Ask `found.model` at `endpoint` with `prompt`; answers go to `writer` as they come."""
        self.statistics = Statistics()
        self._endpoint, self._found, self._prompt, self._how = endpoint, found, prompt, how
        self._writer, self._policy, self._temperature = writer, policy, temperature
        self._limit = AdaptiveLimit(ceiling)
        self._queue: asyncio.PriorityQueue[tuple[int, int, Batch]] = asyncio.PriorityQueue()
        self._order = count()
        self._attempts: Counter[str] = Counter()
        self._invalid: Counter[str] = Counter()
        self._open = 0
        self._finished = asyncio.Event()
        self._recent: deque[float] = deque(maxlen=200)
        self._deadlines: dict[asyncio.Timeout, tuple[float, Batch]] = {}
        self._last_answer = time.monotonic()

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self._how.model

    @property
    def left(self) -> int:
        """How many questions have neither an answer nor an error."""
        return self._open

    async def ask(self, questions: Iterable[Question], batch_size: int) -> Statistics:
        """Ask until there is an answer or an error for each of `questions`.

        Raises:
            EndpointUnreachable: the endpoint went away; answers so far are in the ledger.
            EndpointRefuses: it takes our requests no longer.
        """
        started = self._last_answer = time.monotonic()
        for batch in _batches(questions, batch_size, self._policy.batch_characters):
            self._open += len(batch.questions)
            self._put(batch)
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
        asked = max(self._attempts[question.hash] for question in batch.questions)
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
                return self._put(batch, self._pause(outcome.retry_after))
            case TimedOut():
                self._count("timed_out")
                self._again_after_timeout(batch, outcome)
            case NoConnection():
                self._count("no_connection")
                self._stop_if_gone(outcome)
                return self._put(batch, self._pause_without_connection())
            case Failure():
                self._count(_code(outcome))
                self._after_error(batch, outcome, temperature)
            case Reply():
                self._last_answer = time.monotonic()
                self._learn(outcome.latency_seconds)
                self._take(batch, outcome, temperature)
        return 0.0

    async def _send(self, batch: Batch, temperature: float) -> Reply:
        policy, size = self._policy, len(batch.questions)
        form = self._prompt.form
        each = policy.tokens_a_post + policy.tokens_a_reason * form.has_reason
        tokens = (each * size + policy.tokens_more) * 4**batch.truncated
        message = dump_message([question.payload for question in batch.questions])
        self.statistics.requests += 1
        request = {
            **self._found.options(response_format(form, size), temperature, tokens),
            "messages": [
                {"role": "system", "content": self._prompt.text},
                {"role": "user", "content": message},
            ],
        }
        deadline = asyncio.timeout(self._timeout(batch))
        self._deadlines[deadline] = (asyncio.get_running_loop().time(), batch)
        try:
            return await self._endpoint.ask(request, deadline)
        finally:
            del self._deadlines[deadline]

    def _take(self, batch: Batch, reply: Reply, temperature: float) -> None:
        """Keep what can be used of `reply`, and ask about the rest again, each post alone."""
        self._note_usage(reply)
        keys = slots(len(batch.questions))
        answers = read_answers(reply.content, keys, cut_off=reply.cut_off)
        if reply.refusal:
            answers = {key: Invalid("refused") for key in keys}
        self._record(batch, answers, reply, temperature)
        for key, question in zip(keys, batch.questions, strict=True):
            answer = answers[key]
            if isinstance(answer, Answer):
                self._close(answered=True)
                continue
            self._count(answer.code)
            self._invalid[question.hash] += 1
            if self._invalid[question.hash] >= self._policy.invalid_answers:
                self._close(answered=False)
            else:
                cut = batch.truncated + 1 if reply.cut_off and len(keys) == 1 else 0
                self._put(Batch([question], truncated=min(cut, 3)))

    def _after_error(self, batch: Batch, failure: Failure, temperature: float) -> None:
        batch.server_errors += 1
        # An error that is about these posts comes again; another may be gone next time.
        final = not isinstance(failure, ServerFailed)
        policy = self._policy
        if not final:
            self._stop_if_gone(failure)
        else:
            self._last_answer = time.monotonic()
        if len(batch.questions) > 1 and (final or batch.server_errors >= policy.split_after):
            for half in _halves(batch.questions):
                self._put(Batch(half))
        elif final or batch.server_errors >= policy.server_errors:
            keys = slots(len(batch.questions))
            wrong = {key: Invalid(f"{_code(failure)}: {failure}") for key in keys}
            self._record(batch, wrong, None, temperature)
            for _ in keys:
                self._close(answered=False)
        else:
            self._put(batch, self._pause(None) * 2**batch.server_errors)

    def _again_after_timeout(self, batch: Batch, failure: TimedOut) -> None:
        self._stop_if_gone(failure, self._policy.patience + 3 * failure.seconds)
        batch.timeouts += 1
        if failure.seconds >= self._policy.longest_timeout and len(batch.questions) > 1:
            for half in _halves(batch.questions):
                self._put(Batch(half, timeouts=batch.timeouts))
        else:
            self._put(batch)

    def _stop_if_gone(self, failure: Failure, patience: float | None = None) -> None:
        silent = time.monotonic() - self._last_answer
        if silent > (self._policy.patience if patience is None else patience):
            raise EndpointUnreachable(
                f"endpoint unreachable, {self._open} posts left ({self._found.host}: {failure}); "
                "run again to go on"
            )

    def _learn(self, latency: float) -> None:
        """Note how long an answer took; now and then, shorten the wait for those under way."""
        self._recent.append(latency)
        if self.statistics.requests % _ENOUGH_ANSWERS == 0:
            for deadline, (started, batch) in self._deadlines.items():
                sooner = started + self._timeout(batch)
                if not deadline.expired() and sooner < (deadline.when() or 0.0):
                    deadline.reschedule(sooner)

    def _timeout(self, batch: Batch) -> float:
        policy = self._policy
        if len(self._recent) < _ENOUGH_ANSWERS:
            base = policy.first_timeout
        else:
            usual = sorted(self._recent)[int(0.95 * len(self._recent))]
            base = max(policy.shortest_timeout, 10 * usual)
        return float(min(base * 2.0**batch.timeouts, policy.longest_timeout))

    def _pause(self, retry_after: float | None) -> float:
        """Seconds to back off: what the server asks for, or about half an answer's time."""
        if retry_after is not None:
            return retry_after + _between(0, 0.1)
        usual = median(self._recent) if self._recent else 0.5
        pause = min(max(usual, 0.05), 5.0) * _between(0.25, 0.75)
        return min(pause * self._limit.backing_off, 30.0)

    def _pause_without_connection(self) -> float:
        """Seconds to wait for a server that may be starting again: the longer it has been away."""
        silent = time.monotonic() - self._last_answer
        return min(max(silent / 4, 0.1), 5.0) * _between(0.5, 1.5)

    def _temperature_for(self, batch: Batch) -> float:
        again = max(self._invalid[question.hash] for question in batch.questions)
        return self._policy.retry_temperature if again >= 2 else self._temperature

    def _record(
        self,
        batch: Batch,
        answers: Mapping[str, Answer | Invalid],
        reply: Reply | None,
        temperature: float,
    ) -> None:
        for question in batch.questions:
            self._attempts[question.hash] += 1
        found, how = self._found, self._how
        exchange = Exchange(
            request_id=unique_id(),
            raw_answer=(reply.refusal or reply.content) if reply else None,
            finish_reason=reply.finish_reason if reply else None,
            batch_size=len(batch.questions),
            model=how.model,
            model_digest=how.model_digest,
            endpoint=found.endpoint,
            system_fingerprint=reply.fingerprint if reply else None,
            prompt_version=how.prompt_version,
            schema_version=how.schema_version,
            parameters=how.parameters,
            temperature=temperature if found.takes_temperature else None,
            response_format=found.response_format,
            prompt_tokens=reply.prompt_tokens if reply else None,
            completion_tokens=reply.completion_tokens if reply else None,
            latency_seconds=reply.latency_seconds if reply else 0.0,
            answered_at=now(),
        )
        self._writer.append(
            exchange,
            [
                self._slot(key, question, answers[key])
                for key, question in zip(slots(len(batch.questions)), batch.questions, strict=True)
            ],
        )

    def _slot(self, key: str, question: Question, answer: Answer | Invalid) -> SlotAnswer:
        valid = isinstance(answer, Answer)
        return SlotAnswer(
            slot=key,
            question_hash=question.hash,
            text_hash=question.text_hash,
            question=question.payload.decode(),
            is_valid=valid,
            is_sociopolitical=answer.is_sociopolitical if isinstance(answer, Answer) else None,
            political_ideology=answer.political_ideology if isinstance(answer, Answer) else None,
            reason=answer.reason if isinstance(answer, Answer) else None,
            error=answer.code if isinstance(answer, Invalid) else None,
            attempt=self._attempts[question.hash],
        )

    def _note_usage(self, reply: Reply) -> None:
        statistics = self.statistics
        statistics.latencies.append(reply.latency_seconds)
        statistics.prompt_tokens += reply.prompt_tokens or 0
        statistics.completion_tokens += reply.completion_tokens or 0
        statistics.cached_tokens += reply.cached_tokens or 0

    def _count(self, reason: str) -> None:
        self.statistics.retries[reason] += 1

    def _close(self, *, answered: bool) -> None:
        self._open -= 1
        self.statistics.answered += answered
        self.statistics.failed += not answered
        if self._open == 0:
            self._finished.set()


def _batches(questions: Iterable[Question], size: int, characters: int) -> Iterator[Batch]:
    gathered: list[Question] = []
    length = 0
    for question in questions:
        if gathered and (len(gathered) == size or length + len(question.payload) > characters):
            yield Batch(gathered)
            gathered, length = [], 0
        gathered.append(question)
        length += len(question.payload)
    if gathered:
        yield Batch(gathered)


def _halves(questions: Sequence[Question]) -> tuple[Sequence[Question], Sequence[Question]]:
    middle = len(questions) // 2
    return questions[:middle], questions[middle:]


def _code(failure: Failure) -> str:
    return {ServerFailed: "server_error", TooLong: "too_long", Declined: "declined"}[type(failure)]


def _between(least: float, most: float) -> float:
    """Any number of these, so that those who wait do not all come back at once."""
    return random.uniform(least, most)  # noqa: S311 -- no secret
