"""Exchanges with a model, for a ledger to keep."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from bsky_assets.labelling.asking.answers import LABELS_ONLY
from bsky_assets.labelling.asking.questions import make_question
from bsky_assets.labelling.ledger.store import AnswerKey, Exchange, SlotAnswer

DAY = date(2026, 3, 8)


NOON = datetime(2026, 3, 8, 18, tzinfo=UTC)


KEY = AnswerKey("model", "sha256:aa", "prompt", LABELS_ONLY.version, "{}")


def exchange(number: int, **changes: Any) -> Exchange:
    shared = {
        "request_id": f"request{number}",
        "raw_answer": f'{{"p0": "…{number}\\n"}}',
        "finish_reason": "stop",
        "batch_size": 1,
        "model": KEY.model,
        "model_digest": KEY.model_digest,
        "answered_by": None,
        "endpoint": "test@here",
        "system_fingerprint": None,
        "prompt_version": KEY.prompt_version,
        "schema_version": KEY.schema_version,
        "sent_prompt_version": None,
        "parameters": KEY.parameters,
        "temperature": 0.0,
        "response_format": "json_schema",
        "prompt_tokens": 100 + number,
        "completion_tokens": 10,
        "latency_seconds": 0.5,
        "answered_at": NOON + timedelta(seconds=number),
    }
    return Exchange(**{**shared, **changes})


def slot(text: str, ideology: str | None = "left", *, is_valid: bool = True) -> SlotAnswer:
    question = make_question(text)
    return SlotAnswer(
        slot="p0",
        question_hash=question.hash,
        text_hash=question.text_hash,
        question=question.payload.decode(),
        is_valid=is_valid,
        answer=f'"{ideology or "not_sociopolitical"}"' if is_valid else None,
        is_sociopolitical=ideology is not None if is_valid else None,
        political_ideology=ideology if is_valid else None,
        confidence=0.75 if is_valid else None,
        reason=None,
        error=None if is_valid else "missing",
        attempt=1,
    )
