"""What a partition says of itself beside its rows: a model an asset, stored in its pointer.

What belongs here: what makers tell and readers ask for. What does not: counting it, which is done
where rows are made; what is told of a stream is with its segments (`storage.completeness`).
Nothing flows through: makers and readers take their models from here.
"""

from bsky_assets.contracts.details.base import Details, Rewriting, Since, details_version
from bsky_assets.contracts.details.consolidated_posts import ConsolidationDetails
from bsky_assets.contracts.details.filtered_posts import FilterDetails, FilterStep
from bsky_assets.contracts.details.llm_labels import (
    AuditDetails,
    Company,
    InFlight,
    LabelDetails,
    ModelRound,
    NewsGiven,
    RecordSample,
    SampledStratum,
    ShareDetails,
    StudentDetails,
)
from bsky_assets.contracts.details.news import (
    ContextDetails,
    ContextEffectDetails,
    EmbeddingDetails,
    NewsDetails,
    NewsReading,
    ViewsDetails,
)
from bsky_assets.contracts.details.raw_feed_posts import FeedDetails, FeedReading
from bsky_assets.contracts.details.survival import SurvivalDetails

__all__ = [
    "AuditDetails",
    "Company",
    "ConsolidationDetails",
    "ContextDetails",
    "ContextEffectDetails",
    "Details",
    "EmbeddingDetails",
    "FeedDetails",
    "FeedReading",
    "FilterDetails",
    "FilterStep",
    "InFlight",
    "LabelDetails",
    "ModelRound",
    "NewsDetails",
    "NewsGiven",
    "NewsReading",
    "RecordSample",
    "Rewriting",
    "SampledStratum",
    "ShareDetails",
    "Since",
    "StudentDetails",
    "SurvivalDetails",
    "ViewsDetails",
    "details_version",
]
