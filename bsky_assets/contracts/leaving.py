"""Which tables a post leaves that is deleted, told by their columns, so that a new one is among
them. What does not belong here: finding out what is deleted.
"""

from collections.abc import Mapping

from bsky_assets.contracts import (
    AuditedShare,
    LeftOut,
    RawModerationLabel,
    RawPostDeletion,
    Row,
)
from bsky_assets.contracts.provenance import FeedRead

_WITH_OTHER_URIS: tuple[type[Row], ...] = (RawPostDeletion, RawModerationLabel, LeftOut, FeedRead)
LISTING: Mapping[type[Row], str] = {AuditedShare: "posts"}
"""Tables whose rows list posts, and the column in which they do."""


def is_of_posts(row: type[Row]) -> bool:
    """Whether each row is of the post that its `uri` names, and leaves with it."""
    return "uri" in row.model_fields and row not in _WITH_OTHER_URIS


def has_posts(row: type[Row]) -> bool:
    """Whether a post that is deleted is to leave it, with its row or out of a list."""
    return is_of_posts(row) or row in LISTING
