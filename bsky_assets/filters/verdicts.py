"""The surface that every filter has: posts in columns in, verdicts and reasons in columns out."""

from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.posts import Posts


@dataclass(frozen=True)
class Verdicts:
    """What one filter says of each post that reached it."""

    reasons: pa.StringArray
    """Why the post is stopped, beginning with a code such as `label:porn`; null lets it through."""
    columns: dict[str, pa.Array] = field(default_factory=dict)
    """What else it found out, by column of the filtered posts."""

    @property
    def passed(self) -> pa.BooleanArray:
        """Which posts are let through."""
        return pc.is_null(self.reasons)


class Filter(Protocol):
    """One filter of the chain. It is made once in each process and keeps no state of posts."""

    name: str
    """As in the configuration, in `filtered_by_func` and in `is_…`."""
    passes_if: bool
    """The value of its verdict column for a post that it lets through."""

    def judge(self, posts: Posts) -> Verdicts:
        """The verdict on each of `posts`, by content and by the day's facts."""
        ...
