"""What an archive has kept of a day that came by the stream, too.

This table is in a lake whose settings name an archive, and in no other.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bsky_assets.contracts.base import From, Row

_COMPARED = (
    "raw_firehose_posts.uri",
    "raw_firehose_posts.action",
    "raw_firehose_posts.commit_time",
    "raw_firehose_posts.dated_by",
)
_DIVIDED = (
    "raw_firehose_posts.commit_time",
    "filtered_posts.passed_filters",
    "filtered_posts.filtered_by_func",
    "filtered_posts.author.created_at",
    "llm_labels.is_sociopolitical",
    "llm_labels.political_ideology",
)


class ArchiveSurvival(Row):
    """One part of a day's posts, and how much of it is gone from the archive."""

    asset: ClassVar[str] = "archive_survival"
    key: ClassVar[tuple[str, ...]] = ("divided_by", "stratum")
    rows_from: ClassVar[tuple[str, ...]] = (
        *_COMPARED,
        "filtered_posts.uri",
        "llm_labels.is_label_of_record",
        "llm_labels.was_successfully_labeled",
    )

    divided_by: Literal["all", "verdict", "label", "side", "hour", "account_age"] = Field(
        description="What the day's posts are divided by; each division has every post once."
    )
    stratum: Annotated[str, From(*_DIVIDED)] = Field(
        description="`all`; `passed` or the filter that stopped it; `political` or "
        "`not_sociopolitical`; the side; the hour, of the sync timezone; or how old the account "
        "was. `not known` where it is not stored: a post that was deleted leaves the tables that "
        "say it, and of most accounts no feed told their age."
    )
    posts: Annotated[int, From(*_COMPARED)] = Field(
        description="Posts that the stream brought and that are compared."
    )
    gone: Annotated[int, From(*_COMPARED)] = Field(
        description="Posts of these that the archive does not have."
    )
    share: Annotated[float, From(*_COMPARED)] = Field(description="gone / posts.")
    share_low: Annotated[float, From(*_COMPARED)] = Field(
        description="Lower end of its 95% interval (Wilson)."
    )
    share_high: Annotated[float, From(*_COMPARED)] = Field(description="Upper end.")


SURVIVAL: tuple[type[Row], ...] = (ArchiveSurvival,)
