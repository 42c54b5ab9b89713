"""What the ledger keeps of each request: the exchange, and the answer to every question in it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import orjson

from bsky_assets.labelling.asking.answers import Answer, Invalid, politics_of, slots
from bsky_assets.labelling.asking.endpoint import Reply
from bsky_assets.labelling.asking.preflight import Preflight
from bsky_assets.labelling.asking.prompt import Prompt
from bsky_assets.labelling.asking.questions import Question
from bsky_assets.labelling.ledger.store import AnswerKey, Exchange, LedgerWriter, SlotAnswer
from bsky_assets.storage.files import unique_id
from bsky_assets.sync_day import now


class Recorder:
    """Writes down what one model was asked with one prompt."""

    def __init__(
        self,
        preflight: Preflight,
        prompt: Prompt,
        answer_keys: Sequence[AnswerKey],
        writer: LedgerWriter,
    ) -> None:
        """`answer_keys` are what the answers to each codebook of `prompt` are known by."""
        self._preflight, self._prompt = preflight, prompt
        self._answer_keys, self._writer = answer_keys, writer
        self.attempts: Counter[str] = Counter()
        """How often each question was asked and replied to, by its hash."""

    def record(
        self,
        questions: Sequence[Question],
        answers: Sequence[Answer | Invalid],
        reply: Reply | None,
        temperature: float,
    ) -> None:
        """Keep the answer to each of `questions`; without `reply` the server gave an error.

        Raises:
            UnusableDataDirectory: it cannot be written.
        """
        for question in questions:
            self.attempts[question.hash] += 1
        request_id, answered_at = unique_id(), now()
        for place, key in enumerate(self._answer_keys):
            exchange = self._exchange(
                key, len(questions), reply, temperature, request_id, answered_at
            )
            asked = zip(slots(len(answers)), questions, answers, strict=True)
            self._writer.append(exchange, [self._slot(place, *each) for each in asked])

    def _exchange(
        self,
        key: AnswerKey,
        batch_size: int,
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
            batch_size=batch_size,
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
            attempt=self.attempts[question.hash],
        )
