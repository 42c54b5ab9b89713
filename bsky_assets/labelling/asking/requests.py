"""Getting an answer to every question: batches, retries, and what is asked again and how.

A post is never given up because a server was busy, slow or away: then it waits, and if the
server is gone everything stops, to go on another time. A post whose answer is wrong is asked
about again, alone; a batch that the server cannot bear, or whose answer cannot be relied on, is
split. Only what the server answers wrongly again and again, or declines, is left with an error, and
is asked again on the next run. A run in which nothing at all can be used is ended.
"""

import asyncio
import random
import re
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from statistics import median

import orjson

from bsky_assets.labelling.asking.answers import (
    Answer,
    AnswerForm,
    Invalid,
    dump_message,
    politics_of,
    read_answers,
    response_format,
    slots,
)
from bsky_assets.labelling.asking.batches import batches, halves
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
from bsky_assets.labelling.asking.preflight import Preflight
from bsky_assets.labelling.asking.prompt import Prompt
from bsky_assets.labelling.asking.questions import Question
from bsky_assets.labelling.ledger.store import AnswerKey, Exchange, LedgerWriter, SlotAnswer
from bsky_assets.storage.files import unique_id
from bsky_assets.sync_day import now

_CHARACTERS_A_TOKEN = 2.5
"""Of posts as JSON, at the least; English has about four."""
_USUAL_CHARACTERS = 500
"""Of a post with its context; a request has room for so many a post."""
_QUESTION_TOKENS = 64
"""At most, of the question that the preflight asks after the prompt."""
_LONGER_WORD = re.compile(rb"[A-Za-z]{4,}")
_USELESS = 3
"""After so many useless replies in a row about several posts, each is asked about alone, where the
server shows that it reads whole requests: then the model is what cannot do it."""
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
    """A request has posts of no more than this, and of less where the context is small."""
    shortest_timeout: float = 20.0
    first_timeout: float = 180.0
    """Until it is known how long answers take; a model may have to be loaded."""
    longest_timeout: float = 900.0
    patience: float = 60.0
    """After so many seconds of failures, and no answer between them, from a server that does not
    take connections, or gives nothing but errors, all stops."""
    busy_patience: float = 1800.0
    """Likewise of a server that does nothing but turn requests away."""
    tokens_a_post: int = 24
    """For its key and first word; so many more for each label."""
    tokens_a_reason: int = 128
    tokens_more: int = 96
    """A request may have so many tokens of answer: about twice what it takes in plain JSON."""
    tokens_of_talk: int = 512
    """So many more where the server keeps to no schema, so that the answer may stand in talk."""
    tokens_of_thought: int = 4096
    """So many more where the model thinks aloud."""

    def answer_tokens(self, preflight: Preflight, prompt: Prompt, posts: int) -> int:
        """How many tokens the answer about so many posts may have."""
        each = self.tokens_a_post + sum(field.most_tokens for field in prompt.form.asked)
        each += self.tokens_a_reason * prompt.form.has_reason
        talk = 0 if preflight.enforces_schema else self.tokens_of_talk
        return each * posts + self.tokens_more + talk + self.tokens_of_thought * preflight.thinks


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
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    """Tokens are null where the server never told them."""
    models: set[str] = field(default_factory=set)
    """The models that answered, as the server says."""
    retries: Counter[str] = field(default_factory=Counter)
    """By reason: requests and posts that had to be asked again."""
    latencies: list[float] = field(default_factory=list)
    one_by_one: bool = False
    """Whether the model could not tell the posts of a request apart, and got each alone."""
    concurrency: tuple[int, int] = (0, 0)
    """The lowest and highest number of requests allowed at once."""
    seconds: float = 0.0

    def plus(self, other: "Statistics") -> "Statistics":
        """What both took together."""
        if not other.requests:
            return self
        if not self.requests:
            return other
        lows, highs = zip(self.concurrency, other.concurrency, strict=True)  # lowest, highest
        return Statistics(
            self.requests + other.requests,
            self.answered + other.answered,
            self.failed + other.failed,
            _sum(self.prompt_tokens, other.prompt_tokens),
            _sum(self.completion_tokens, other.completion_tokens),
            _sum(self.cached_tokens, other.cached_tokens),
            self.models | other.models,
            self.retries + other.retries,
            self.latencies + other.latencies,
            self.one_by_one or other.one_by_one,
            (min(lows), max(highs)),
            self.seconds + other.seconds,
        )


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
        self._endpoint, self._preflight, self._prompt = endpoint, preflight, prompt
        self._answer_keys, self._writer, self._policy = answer_keys, writer, policy
        self._breaker = Breaker(preflight, is_proven=is_proven)
        self._limit = AdaptiveLimit(ceiling)
        self._queue: asyncio.PriorityQueue[tuple[int, int, Batch]] = asyncio.PriorityQueue()
        self._order = count()
        self._attempts: Counter[str] = Counter()
        self._invalid: Counter[str] = Counter()
        self._useless = 0
        self._open = 0
        self._finished = asyncio.Event()
        self._recent: deque[float] = deque(maxlen=200)
        self._deadlines: dict[asyncio.Timeout, tuple[float, Batch]] = {}
        self._trouble_since: float | None = None

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self._answer_keys[0].model

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
        size, characters = self.room(batch_size)
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

    def room(self, batch_size: int) -> tuple[int, int]:
        """How many posts a request may have, and how many characters of them, in the context."""
        policy, context = self._policy, self._preflight.context_tokens
        if context is None:
            return batch_size, policy.batch_characters
        left = context - (self._preflight.prompt_tokens or len(self._prompt.text) // 3)
        for size in range(batch_size, 0, -1):
            tokens = left - policy.answer_tokens(self._preflight, self._prompt, size)
            characters = int(tokens * _CHARACTERS_A_TOKEN)
            if characters >= size * _USUAL_CHARACTERS:
                return size, min(characters, policy.batch_characters)
        return 1, _USUAL_CHARACTERS

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
                self._trouble_since = None
                self._learn(outcome.latency_seconds)
                self._take(batch, outcome, temperature)
        return 0.0

    async def _send(self, batch: Batch, temperature: float) -> Reply:
        size = len(batch.questions)
        tokens = (
            self._policy.answer_tokens(self._preflight, self._prompt, size) * 4**batch.truncated
        )
        form = response_format(self._form(batch), size)
        message = dump_message([question.payload for question in batch.questions])
        self.statistics.requests += 1
        request = {
            **self._preflight.options(form, temperature, tokens),
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
        """Keep what can be used of `reply`; ask again about each other post alone, or about the
        halves of the batch if there is nothing."""
        self._note_usage(reply)
        answers = self._read(batch, reply)
        as_whole = isinstance(answers, Invalid)
        self._learn_company(batch, is_useless=as_whole)
        each = [answers] * len(batch.questions) if isinstance(answers, Invalid) else answers
        self._record(batch, each, reply, temperature)
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

    def _form(self, batch: Batch) -> AnswerForm:
        """What the answer has: no echoes where nothing can be cut off or confused."""
        proven = len(batch.questions) == 1 and self._preflight.shows_reading
        return replace(self._prompt.form, has_echoes=not proven)

    def _learn_company(self, batch: Batch, *, is_useless: bool) -> None:
        """Note whether the model can answer about several posts at once."""
        if len(batch.questions) > 1 and self._preflight.shows_reading:
            self._useless = self._useless + 1 if is_useless else 0
            self.statistics.one_by_one |= self._useless >= _USELESS

    def _read(self, batch: Batch, reply: Reply) -> list[Answer | Invalid] | Invalid:
        """The answers in `reply`, where it can be relied on."""
        if reply.refusal:
            return Invalid("refused")
        form, counted = self._form(batch), reply.prompt_tokens
        if counted is None and not form.has_echoes:
            return Invalid("not_read")
        if counted is not None and self._is_cut(batch, reply, counted):
            return Invalid("prompt_cut")
        return read_answers(
            reply.content,
            self._prompt.code,
            [question.text for question in batch.questions],
            form,
            cut_off=reply.cut_off,
            tokens=reply.tokens,
        )

    def _is_cut(self, batch: Batch, reply: Reply, counted: int) -> bool:
        """Whether the server read less than it was sent, by its own count.

        A server that cuts what does not fit fills its context; and what was sent has at least the
        tokens of the prompt, and one for each longer word of the posts.
        """
        context = self._preflight.context_tokens
        if context is not None and counted + (reply.completion_tokens or 0) >= context:
            return True
        words = len(_LONGER_WORD.findall(self._prompt.text.encode()))
        least = max((self._preflight.prompt_tokens or 0) - _QUESTION_TOKENS, words)
        least += sum(len(_LONGER_WORD.findall(q.payload)) for q in batch.questions)
        return max(counted, counted + (reply.cached_tokens or 0)) < least

    def _after_error(self, batch: Batch, failure: Failure, temperature: float) -> None:
        batch.server_errors += 1
        # An error that is about these posts comes again; another may be gone next time.
        final = not isinstance(failure, ServerFailed)
        policy = self._policy
        if not final:
            self._stop_if_gone(failure)
        else:
            self._trouble_since = None
            self._breaker.note_error(batch.questions, _code(failure), str(failure))
        if len(batch.questions) > 1 and (final or batch.server_errors >= policy.split_after):
            for half in halves(batch.questions):
                self._put(Batch(half))
        elif final or batch.server_errors >= policy.server_errors:
            wrong = Invalid(f"{_code(failure)}: {failure}")
            self._record(batch, [wrong] * len(batch.questions), None, temperature)
            for _ in batch.questions:
                self._close(answered=False)
        else:
            self._put(batch, self._pause(None) * 2**batch.server_errors)

    def _again_after_timeout(self, batch: Batch, failure: TimedOut) -> None:
        self._stop_if_gone(failure, self._policy.patience + 3 * failure.seconds)
        batch.timeouts += 1
        if failure.seconds >= self._policy.longest_timeout and len(batch.questions) > 1:
            for half in halves(batch.questions):
                self._put(Batch(half, timeouts=batch.timeouts))
        else:
            self._put(batch)

    def _stop_if_gone(self, failure: Failure, patience: float | None = None) -> None:
        if self._silent() > (self._policy.patience if patience is None else patience):
            raise EndpointUnreachable(
                f"endpoint unreachable, {self._open} posts left "
                f"({self._preflight.host}: {failure}); run again to go on"
            )

    def _silent(self) -> float:
        """Seconds since the first failure after the last answer: a slow answer is no failure."""
        self._trouble_since = self._trouble_since or time.monotonic()
        return time.monotonic() - self._trouble_since

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
        return min(max(self._silent() / 4, 0.1), 5.0) * _between(0.5, 1.5)

    def _temperature_for(self, batch: Batch) -> float:
        again = max(self._invalid[question.hash] for question in batch.questions)
        return self._policy.retry_temperature if again >= 2 else 0.0

    def _record(
        self,
        batch: Batch,
        answers: Sequence[Answer | Invalid],
        reply: Reply | None,
        temperature: float,
    ) -> None:
        for question in batch.questions:
            self._attempts[question.hash] += 1
        request_id, answered_at = unique_id(), now()
        for place, key in enumerate(self._answer_keys):
            exchange = self._exchange(key, batch, reply, temperature, request_id, answered_at)
            asked = zip(slots(len(answers)), batch.questions, answers, strict=True)
            self._writer.append(exchange, [self._slot(place, *each) for each in asked])

    def _exchange(
        self,
        key: AnswerKey,
        batch: Batch,
        reply: Reply | None,
        temperature: float,
        request_id: str,
        answered_at: datetime,
    ) -> Exchange:
        preflight, several = self._preflight, len(self._answer_keys) > 1
        return Exchange(
            request_id=request_id,
            raw_answer=(reply.refusal or reply.content) if reply else None,
            finish_reason=reply.finish_reason if reply else None,
            batch_size=len(batch.questions),
            model=key.model,
            model_digest=key.model_digest,
            answered_by=reply.model if reply else None,
            endpoint=preflight.endpoint,
            system_fingerprint=reply.fingerprint if reply else None,
            prompt_version=key.prompt_version,
            schema_version=key.schema_version,
            sent_prompt_version=self._prompt.version if several else None,
            parameters=key.parameters,
            temperature=temperature if preflight.takes_temperature else None,
            response_format=preflight.response_format,
            prompt_tokens=reply.prompt_tokens if reply else None,
            completion_tokens=reply.completion_tokens if reply else None,
            latency_seconds=reply.latency_seconds if reply else 0.0,
            answered_at=answered_at,
        )

    def _slot(
        self, place: int, key: str, question: Question, answer: Answer | Invalid
    ) -> SlotAnswer:
        value = answer.values[place] if isinstance(answer, Answer) else None
        sure = answer.confidence if isinstance(answer, Answer) else ()
        is_sociopolitical, ideology = politics_of(self._prompt.form.asked[place], value)
        return SlotAnswer(
            slot=key,
            question_hash=question.hash,
            text_hash=question.text_hash,
            question=question.payload.decode(),
            is_valid=isinstance(answer, Answer),
            answer=None if value is None else orjson.dumps(value).decode(),
            is_sociopolitical=is_sociopolitical,
            political_ideology=ideology,
            confidence=sure[place] if sure else None,
            reason=answer.reason if isinstance(answer, Answer) else None,
            error=answer.code if isinstance(answer, Invalid) else None,
            attempt=self._attempts[question.hash],
        )

    def _note_usage(self, reply: Reply) -> None:
        statistics = self.statistics
        statistics.latencies.append(reply.latency_seconds)
        statistics.prompt_tokens = _sum(statistics.prompt_tokens, reply.prompt_tokens)
        statistics.completion_tokens = _sum(statistics.completion_tokens, reply.completion_tokens)
        statistics.cached_tokens = _sum(statistics.cached_tokens, reply.cached_tokens)
        if reply.model:
            statistics.models.add(reply.model)

    def _count(self, reason: str) -> None:
        self.statistics.retries[reason] += 1

    def _close(self, *, answered: bool) -> None:
        self._open -= 1
        self.statistics.answered += answered
        self.statistics.failed += not answered
        if self._open == 0:
            self._finished.set()


def _sum(first: int | None, second: int | None) -> int | None:
    """The sum of what is known."""
    return second if first is None else first + (second or 0)


def _code(failure: Failure) -> str:
    return {ServerFailed: "server_error", TooLong: "too_long", Declined: "declined"}[type(failure)]


def _between(least: float, most: float) -> float:
    """Any number of these, so that those who wait do not all come back at once."""
    return random.uniform(least, most)  # noqa: S311 -- no secret
