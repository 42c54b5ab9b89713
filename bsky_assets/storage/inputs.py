"""What each partition is made from: which assets, of its own day or of days before it, too.

A partition keeps the versions of these that it was made from; whoever compares them with what is
there now knows whether it is behind. Dagster's dependencies are the same.
What does not belong here: deciding what is made again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from bsky_assets.contracts import (
    AuditedShare,
    ConsolidatedPost,
    DisputedPost,
    FilteredPost,
    LabelShare,
    LlmLabel,
    RawFeedPost,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
    ScoredPost,
)
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.news import (
    ArticleEmbedding,
    ContextEffect,
    NewsArticle,
    NewsContext,
    NewsView,
)
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition, Versions
from bsky_assets.sync_day import look_back


@dataclass(frozen=True)
class Input:
    """An asset that is read."""

    row: type[Row]
    looks_back: bool = False
    """Whether the days of the look-back window are read as well."""

    def days(self, day: date) -> list[date]:
        """The days that are read for `day`, oldest first."""
        return [*look_back(day), day] if self.looks_back else [day]


INPUTS: Mapping[type[Row], tuple[Input, ...]] = {
    ConsolidatedPost: (
        Input(RawFirehosePost, looks_back=True),
        Input(RawFeedPost, looks_back=True),
        # Those of later days are honoured by the nightly job, which makes nothing anew.
        Input(RawPostDeletion, looks_back=True),
    ),
    FilteredPost: (
        Input(ConsolidatedPost, looks_back=True),
        Input(RawModerationLabel, looks_back=True),
    ),
    ScoredPost: (Input(FilteredPost),),
    LlmLabel: (Input(FilteredPost), Input(ScoredPost)),
    LabelShare: (Input(LlmLabel), Input(FilteredPost), Input(ScoredPost)),
    DisputedPost: (Input(LlmLabel),),
    AuditedShare: (Input(FilteredPost), Input(LlmLabel)),
}
"""By contract, in the order of the lineage; what arrives from outside has no inputs."""
_NEWS_INPUTS: Mapping[type[Row], tuple[Input, ...]] = {
    ArticleEmbedding: (Input(NewsArticle),),
    NewsContext: (Input(FilteredPost), Input(ArticleEmbedding)),
    NewsView: (Input(NewsContext),),
    ContextEffect: (Input(FilteredPost), Input(NewsContext)),
}
"""The same of the assets that are there where news is. Context reads articles of days before, too;
that there are more of these since makes it not behind."""
SURVIVAL_INPUTS = (Input(RawFirehosePost), Input(FilteredPost), Input(LlmLabel))
"""What `archive_survival` was made from. It is made where somebody asks for it, so that it is never
behind: it has no place among the inputs that are followed."""


def inputs_of(row: type[Row]) -> tuple[Input, ...]:
    """What is read for a partition of `row`, first what it cannot do without; nothing where it
    arrives from outside."""
    if issubclass(row, CodebookLabel):
        return (*map(Input, row.parents), Input(FilteredPost), Input(ScoredPost))
    return {**INPUTS, **_NEWS_INPUTS}.get(row, ())


REPORT_INPUTS = (Input(FilteredPost), Input(LlmLabel), Input(AuditedShare))
"""What the daily report cannot do without."""


def report_inputs(lake: Lake) -> tuple[Input, ...]:
    """What the daily report is made from."""
    codebooks = (Input(row) for row in lake.rows if issubclass(row, CodebookLabel))
    return (*REPORT_INPUTS, *codebooks)


def versions(lake: Lake, inputs: tuple[Input, ...], day: date) -> Versions:
    """The versions of `inputs` for `day` that are there now.

    Whoever makes a partition asks before it reads: what changes meanwhile makes it behind.
    """
    return {
        one.row.asset: {
            read.isoformat(): found.version
            for read in one.days(day)
            if (found := _current(lake, one.row, read))
        }
        for one in inputs
    }


def _current(lake: Lake, row: type[Row], day: date) -> Partition | None:
    """The current partition; none where it is damaged: when it is mended, others are behind."""
    try:
        return lake.current(row, day)
    except Damaged:
        return None


def made_from(lake: Lake, row: type[Row], day: date) -> Versions:
    """The versions of what the partition of `row` on `day` is made from, as they are now."""
    return versions(lake, inputs_of(row), day)
