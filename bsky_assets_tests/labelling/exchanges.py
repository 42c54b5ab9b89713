"""Exchanges with a model, for a ledger to keep."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from bsky_assets.labelling.answers import LABELS_ONLY
from bsky_assets.labelling.ledger import AskedHow, Exchange, SlotAnswer
from bsky_assets.labelling.questions import make_question

DAY = date(2026, 3, 8)


NOON = datetime(2026, 3, 8, 18, tzinfo=UTC)


HOW = AskedHow("model", "sha256:aa", "prompt", LABELS_ONLY.version, "{}")


def exchange(number: int, **changes: Any) -> Exchange:
    shared = {
        "request_id": f"request{number}",
        "raw_answer": f'{{"p0": "…{number}\\n"}}',
        "finish_reason": "stop",
        "batch_size": 1,
        "model": HOW.model,
        "model_digest": HOW.model_digest,
        "answered_by": None,
        "endpoint": "test@here",
        "system_fingerprint": None,
        "prompt_version": HOW.prompt_version,
        "schema_version": HOW.schema_version,
        "parameters": HOW.parameters,
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
        is_sociopolitical=ideology is not None if is_valid else None,
        political_ideology=ideology if is_valid else None,
        reason=None,
        error=None if is_valid else "missing",
        attempt=1,
    )
