"""One record shape for every post, and the verdict of the filters on it."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bsky_assets.contracts.base import From, Row, Struct
from bsky_assets.contracts.records import AppliedLabel, Author, Metrics, PostRecord

RAW = ("raw_firehose_posts", "raw_feed_posts")


def _from_raw(column: str) -> From:
    return From(*(f"{asset}.{column}" for asset in RAW))


class ConsolidatedMetadata(Struct):
    """How and when we came by a post, whatever its source."""

    synctimestamp: str = Field(description="When we received it, UTC, YYYY-MM-DD-HH:MM:SS.")
    url: str | None = Field(description="Its page on bsky.app; null for the firehose.")
    source: Literal["firehose", "most_liked"] = Field(
        description="'firehose', or 'most_liked' for a post that a feed showed."
    )
    source_feeds: list[str] = Field(description="Every source that had it, by name.")
    processed_timestamp: datetime = Field(description="When it was consolidated.")


class ConsolidatedPost(Row):
    """A post, once, whatever its source."""

    asset: ClassVar[str] = "consolidated_posts"
    key: ClassVar[tuple[str, ...]] = ("uri",)

    uri: Annotated[
        str, _from_raw("uri"), From("raw_post_deletions.uri", "raw_post_deletions.did")
    ] = Field(description="AT URI of the post.")
    cid: Annotated[str, _from_raw("cid")] = Field(description="CID of the record.")
    indexed_at: Annotated[
        datetime,
        From(
            "raw_feed_posts.indexed_at",
            "raw_firehose_posts.commit_time",
            "raw_firehose_posts.received_at",
        ),
    ] = Field(description="When the network had it; the relay's time for the firehose.")
    author: Annotated[Author, _from_raw("author")] = Field(description="The author.")
    metadata: Annotated[ConsolidatedMetadata, _from_raw("metadata")] = Field(
        description="How we came by it."
    )
    record: Annotated[PostRecord, _from_raw("record")] = Field(description="The record.")
    metrics: Annotated[
        Metrics | None,
        From(
            "raw_feed_posts.like_count",
            "raw_feed_posts.reply_count",
            "raw_feed_posts.repost_count",
            "raw_feed_posts.quote_count",
        ),
    ] = Field(description="Engagement when the feed showed it; null for the firehose.")
    applied_labels: Annotated[
        list[AppliedLabel],
        From("raw_feed_posts.post_labels", "raw_feed_posts.author_labels"),
    ] = Field(description="Labels that the feed showed on the post and its author.")


class FilteredPost(ConsolidatedPost):
    """A consolidated post with the filters' verdict."""

    asset: ClassVar[str] = "filtered_posts"

    passed_filters: bool = Field(description="Whether every filter let it through.")
    filtered_at: datetime = Field(description="When the verdict was given.")
    filtered_by_func: str | None = Field(
        description="The first filter that stopped it; null if none did."
    )
    filter_reason: str | None = Field(
        description="Why that filter stopped it, e.g. label:porn; null if none did."
    )
    is_english: bool | None = Field(description="English; every post is asked this first.")
    is_bot: bool | None = Field(description="By a bot; null where not reached.")
    is_nsfw: bool | None = Field(description="Not safe for work; null where not reached.")
    is_spam: bool | None = Field(description="Spam; null where not reached.")
    is_hate_speech: bool | None = Field(description="Hate speech; null where not reached.")
    language: str | None = Field(description="Most likely language; null where undecided.")
    language_probability: float | None = Field(description="How likely, from 0 to 1.")
    filter_version: str = Field(description="Version of the filters' configuration.")
    synctimestamp: str = Field(description="When we received it, UTC, YYYY-MM-DD-HH:MM:SS.")
    preprocessing_timestamp: str = Field(
        description="When it was filtered, UTC, YYYY-MM-DD-HH:MM:SS."
    )
