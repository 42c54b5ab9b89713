"""One record shape for every post, and the verdict of the filters on it."""

from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, create_model

from bsky_assets.contracts.base import Copied, From, Row, Struct
from bsky_assets.contracts.records import (
    AppliedLabel,
    Author,
    EarlierVersion,
    Metrics,
    PostRecord,
)
from bsky_assets.contracts.verdicts import heads

RAW = ("raw_firehose_posts", "raw_feed_posts")


def _of(asset: str, *columns: str) -> tuple[str, ...]:
    return tuple(f"{asset}.{column}" for column in columns)


def _from_raw(column: str, into: str = "") -> From:
    return From(*(f"{asset}.{column}" for asset in RAW), into=into)


class ConsolidatedMetadata(Struct):
    """How and when we came by a post, whatever its source."""

    synctimestamp: str = Field(description="When we received it, UTC, YYYY-MM-DD-HH:MM:SS.")
    url: str | None = Field(description="Its page on bsky.app; null for the firehose.")
    source: Literal["firehose", "most_liked"] = Field(
        description="'firehose', or 'most_liked' for a post that a feed showed."
    )
    source_feeds: list[str] = Field(description="Every source that had it, by name.")
    processed_timestamp: datetime = Field(description="When it was consolidated.")


class LeftOut(Row):
    """A post that came in on a day and is not among its consolidated posts, and why."""

    asset: ClassVar[str] = "left_out"
    key: ClassVar[tuple[str, ...]] = ("uri",)

    uri: str = Field(description="AT URI of the post.")
    did: str = Field(description="DID of its author.")
    reason: str = Field(
        description="deleted, already_consolidated on an earlier day, edited_older_post, or "
        "account_ and the account's status."
    )
    known_at: datetime = Field(description="When the day was made without it, or lost it since.")


class ConsolidatedPost(Row):
    """A post, once, whatever its source."""

    asset: ClassVar[str] = "consolidated_posts"
    key: ClassVar[tuple[str, ...]] = ("uri",)

    rows_from: ClassVar[tuple[str, ...]] = (
        *_of("raw_firehose_posts", "uri", "author", "cid", "rev", "commit_time", "received_at"),
        *_of("raw_firehose_posts", "earlier_versions.cid", "action"),
        *_of("raw_feed_posts", "uri", "cid", "author.did", "metadata.source_feed"),
        *_of("raw_feed_posts", "indexed_at", "received_at"),
        *_of("raw_post_deletions", "kind", "uri", "did", "status", "rev", "event_time", "seq"),
        *_of("raw_post_deletions", "received_at"),
    )

    uri: Annotated[str, _from_raw("uri")] = Field(description="AT URI of the post.")
    cid: Annotated[str, _from_raw("cid")] = Field(description="CID of the record.")
    indexed_at: Annotated[
        datetime,
        From(
            "raw_feed_posts.indexed_at",
            "raw_firehose_posts.commit_time",
            "raw_firehose_posts.received_at",
        ),
    ] = Field(description="When the network had it; the relay's time for the firehose.")
    author: Annotated[
        Author, Copied("raw_feed_posts.author"), From("raw_firehose_posts.author", into="did")
    ] = Field(description="The author.")
    metadata: Annotated[
        ConsolidatedMetadata,
        _from_raw("metadata.synctimestamp", into="synctimestamp"),
        _from_raw("metadata.url", into="url"),
        From("raw_feed_posts.metadata.source_feed", into="source_feeds"),
    ] = Field(description="How we came by it.")
    record: Annotated[
        PostRecord, Copied(*_of("raw_firehose_posts", "record"), *_of("raw_feed_posts", "record"))
    ] = Field(description="The record.")
    metrics: Annotated[
        Metrics | None,
        *(From(f"raw_feed_posts.{count}", into=count) for count in Metrics.model_fields),
    ] = Field(description="Engagement when the feed showed it; null for the firehose.")
    applied_labels: Annotated[
        list[AppliedLabel],
        Copied("raw_feed_posts.post_labels", "raw_feed_posts.author_labels"),
    ] = Field(description="Labels that the feed showed on the post and its author.")
    earlier_versions: Annotated[
        list[EarlierVersion] | None,
        Copied("raw_firehose_posts.earlier_versions"),
        From("raw_firehose_posts.cid", "raw_feed_posts.cid", into="cid"),
        From("raw_firehose_posts.rev", into="rev"),
        From("raw_firehose_posts.record.text", "raw_feed_posts.record.text", into="text"),
    ] = Field(
        description="Other versions of that day, oldest first, of which none is taken; those that "
        "the author deleted are not among them. Null where there is none."
    )


_READ_BY = dict(
    zip(
        heads(),
        accumulate(tuple(one["reads"]) for one in heads().values()),
        strict=True,
    )
)
"""What each filter reads, and what those before it read: what one stops, the next never sees."""
_READ_BY_FIRST, *_, _READ_BY_ALL = _READ_BY.values()


class _Passed(ConsolidatedPost):
    """A consolidated post that filters were asked about."""

    passed_filters: Annotated[bool, From(*_READ_BY_ALL)] = Field(
        description="Whether every filter let it through."
    )
    filtered_at: datetime = Field(description="When the verdict was given.")
    filtered_by_func: Annotated[str | None, From(*_READ_BY_ALL)] = Field(
        description="The first filter that stopped it; null if none did."
    )
    filter_reason: Annotated[str | None, From(*_READ_BY_ALL)] = Field(
        description="Why that filter stopped it, e.g. label:porn; null if none did."
    )


if TYPE_CHECKING:
    _Judged = _Passed
else:
    _Judged = create_model(
        "_Judged",
        __base__=_Passed,
        **{
            f"is_{name}": (
                Annotated[bool | None, From(*_READ_BY[name])],
                Field(description=one["description"]),
            )
            for name, one in heads().items()
        },
    )


class FilteredPost(_Judged):
    """A consolidated post with the filters' verdict."""

    asset: ClassVar[str] = "filtered_posts"
    rows_from: ClassVar[tuple[str, ...]] = ()

    language: Annotated[str | None, From(*_READ_BY_FIRST)] = Field(
        description="Most likely language; null where undecided."
    )
    language_probability: Annotated[float | None, From(*_READ_BY_FIRST)] = Field(
        description="How likely, from 0 to 1."
    )
    filter_version: str = Field(description="Version of the filters' configuration.")
    synctimestamp: Annotated[str, From("consolidated_posts.metadata.synctimestamp")] = Field(
        description="When we received it, UTC, YYYY-MM-DD-HH:MM:SS."
    )
    preprocessing_timestamp: str = Field(
        description="When it was filtered, UTC, YYYY-MM-DD-HH:MM:SS."
    )
