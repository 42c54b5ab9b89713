"""The row models of every table: the one source of what a column is."""

from bsky_assets.contracts.base import Row, arrow_schema, columns, contract_version
from bsky_assets.contracts.labels import LlmLabel
from bsky_assets.contracts.posts import ConsolidatedPost, FilteredPost
from bsky_assets.contracts.raw import (
    Quarantined,
    RawFeedPost,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
)

ALL: tuple[type[Row], ...] = (
    RawFirehosePost,
    RawFeedPost,
    RawPostDeletion,
    RawModerationLabel,
    ConsolidatedPost,
    FilteredPost,
    LlmLabel,
    Quarantined,
)
"""Every contract, in the order of the lineage."""

__all__ = [
    "ALL",
    "ConsolidatedPost",
    "FilteredPost",
    "LlmLabel",
    "Quarantined",
    "RawFeedPost",
    "RawFirehosePost",
    "RawModerationLabel",
    "RawPostDeletion",
    "Row",
    "arrow_schema",
    "columns",
    "contract_version",
]
