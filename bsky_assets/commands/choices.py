"""What may be said to an option or argument, where its own room takes a second to import.

A test holds each equal to that room's own.
"""

from typing import Literal

AnswerKind = Literal["boolean", "one_of", "several_of", "scale", "text"]
ASSETS = (
    "raw_firehose_posts", "raw_feed_posts", "raw_post_deletions", "raw_moderation_labels",
    "consolidated_posts", "filtered_posts", "student_scores", "llm_labels", "label_shares",
    "model_agreement", "filter_audit", "daily_report",
)  # fmt: skip
EXPORTED = ("filtered_posts", "llm_labels")
Level = Literal["restricted", "public", "dehydrated"]
Regression = Literal["linear", "logistic"]
STRATA = ("label", "day", "context", "score", "confidence")
Teacher = Literal["model", "people"]
ReadBy = Literal["embeddings", "fasttext"]
OUTCOMES = ("political", "left", "right", "moderate", "unclear")
COVARIATES = (
    "day", "weekday", "hour", "source", "has_link", "has_media", "is_reply", "is_quote",
    "characters",
)  # fmt: skip
