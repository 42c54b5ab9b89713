"""Versions of the code that decides labels, their audit and their comparison.

The prompt and the form of answers have versions of their own, which are hashes of what is sent.
What does not belong here: how a server is reached and how fast, which decides no row.
"""

from pathlib import Path

from bsky_assets.contracts import AuditedShare, DisputedPost, LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.versions import source_version

_LABELS = (
    "answer_sql", "asking/answers", "asking/batches", "asking/confidence", "asking/endpoint",
    "asking/policy", "asking/preflight", "asking/questions", "asking/reading", "asking/recording",
    "asking/requests", "asking/rounds", "batch_size", "day", "ledger/store", "sample",
    "news_texts", "second_question", "statistics/allocation",
)  # fmt: skip
RULES: dict[type[Row], tuple[str, ...]] = {
    LlmLabel: _LABELS,
    AuditedShare: (*_LABELS, "audit", "statistics/metrics", "statistics/weighing"),
    DisputedPost: ("answer_sql", "asking/answers", "statistics/agreement"),
}
"""The modules that decide the rows of a contract."""


def labelling_version(row: type[Row]) -> str:
    """Twelve hex digits that change with the code that decides the rows of `row`."""
    decided = RULES[LlmLabel if issubclass(row, CodebookLabel) else row]
    return source_version(Path(__file__).parent / f"{name}.py" for name in decided)
