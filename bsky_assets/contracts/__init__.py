"""What rooms agree on: the row models of every table, details of partitions, progress of work.

What belongs here: what a column or a detail is, and what it is made from. What does not: making it.
Nothing flows through: every other room reads its schemas here, and states none itself.
"""

from bsky_assets.contracts.arrival import Arrival
from bsky_assets.contracts.base import Row, arrow_schema, columns, contract_version
from bsky_assets.contracts.labels import (
    AuditedShare,
    DisputedPost,
    LabelShare,
    LlmAnswer,
    LlmLabel,
    LlmPrompt,
    ScoredPost,
)
from bsky_assets.contracts.posts import ConsolidatedPost, FilteredPost, LeftOut
from bsky_assets.contracts.raw import (
    RAW,
    Quarantined,
    RawFeedPost,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
)

ALL: tuple[type[Row], ...] = (
    *RAW,
    ConsolidatedPost,
    FilteredPost,
    ScoredPost,
    LlmLabel,
    LabelShare,
    DisputedPost,
    AuditedShare,
    LeftOut,
    Quarantined,
)
"""Every contract of the lake, in the order of the lineage."""

ASIDE: tuple[type[Row], ...] = (LeftOut, Quarantined)
"""Those of no asset of their own: what is not in one, and why."""

_ARRIVING: tuple[type[Row], ...] = (*RAW, Quarantined)
STREAMED: dict[type[Row], Arrival] = {row: row.arrival for row in _ARRIVING if row.arrival}
"""The contracts whose rows come by a stream, and how."""

LEDGER: tuple[type[Row], ...] = (LlmAnswer, LlmPrompt)
"""What labels are traced to: rows that are only ever added."""

__all__ = [
    "ALL",
    "ASIDE",
    "LEDGER",
    "RAW",
    "STREAMED",
    "AuditedShare",
    "ConsolidatedPost",
    "DisputedPost",
    "FilteredPost",
    "LabelShare",
    "LeftOut",
    "LlmAnswer",
    "LlmLabel",
    "LlmPrompt",
    "Quarantined",
    "RawFeedPost",
    "RawFirehosePost",
    "RawModerationLabel",
    "RawPostDeletion",
    "Row",
    "ScoredPost",
    "arrow_schema",
    "columns",
    "contract_version",
]
