"""What arrives: posts, feed items, deletions, labels, and what could not be read."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from bsky_assets.contracts.arrival import ARCHIVE, FIREHOSE, LABELS, Arrival
from bsky_assets.contracts.base import Row, Struct
from bsky_assets.contracts.records import (
    AppliedLabel,
    Author,
    EarlierVersion,
    PostMetadata,
    PostRecord,
)

ACTIVE = "active"
"""The status of an account that its host says is active. With any other it is gone for now: the
event's field `active` decides, and the reader of the stream has folded it into the status."""


class RawFirehosePost(Row):
    """A post created on the network, or one whose author replaced it."""

    asset: ClassVar[str] = "raw_firehose_posts"
    key: ClassVar[tuple[str, ...]] = ("uri",)
    arrival = Arrival(
        column="post",
        counted_as="posts",
        streams=(FIREHOSE, ARCHIVE),
        keeps_versions=True,
    )

    uri: str = Field(description="AT URI of the post.")
    cid: str = Field(description="CID of the record, checked against its bytes.")
    author: str = Field(description="DID of the author.")
    record: PostRecord | None = Field(
        description="The record; null once it has been deleted and maintenance has erased it."
    )
    metadata: PostMetadata = Field(description="How we came by it.")
    relay: str = Field(description="Host that sent it.")
    seq: int = Field(description="Its number in that host's stream.")
    action: Literal["create", "update"] | None = Field(
        description="create where its creation came on this day; update where only a replacement "
        "did, and the post is older; null in days stored before this was kept."
    )
    rev: str = Field(description="Revision of the repository (a TID).")
    commit_time: datetime | None = Field(description="The relay's time of the commit.")
    received_at: datetime = Field(description="When we received it.")
    dated_by: Literal["witnessed_at", "indexed_at", "record_key", "revisions"] | None = Field(
        description="Of a post that an archive or a repository had, how its day is known: the "
        "archive saw the commit, an instant was imported, the clock in the key, or it is of "
        "between two revisions of its repository. Null where the stream brought it."
    )
    earlier_versions: list[EarlierVersion] | None = Field(
        description="Versions of the same day that the author replaced, oldest first."
    )


class FeedReason(Struct):
    """Why a feed shows a post, where it is not for itself."""

    kind: str | None = Field(description="The $type: a repost, or a pin.")
    by: str | None = Field(description="DID of who reposted it.")
    indexed_at: datetime | None = Field(description="When the AppView indexed the repost.")
    uri: str | None = Field(description="AT URI of the repost.")


class RawFeedPost(Row):
    """An item seen in a feed."""

    asset: ClassVar[str] = "raw_feed_posts"
    key: ClassVar[tuple[str, ...]] = ("metadata.source_feed", "uri")

    uri: str = Field(description="AT URI of the post.")
    cid: str = Field(description="CID of the record.")
    author: Author = Field(description="The author.")
    record: PostRecord | None = Field(
        description="The record; null once it has been deleted and maintenance has erased it."
    )
    metadata: PostMetadata = Field(description="How we came by it.")
    indexed_at: datetime | None = Field(
        description="When the AppView indexed it; null where that cannot be read."
    )
    like_count: int | None = Field(description="Likes when the feed showed it.")
    reply_count: int | None = Field(description="Replies when the feed showed it.")
    repost_count: int | None = Field(description="Reposts when the feed showed it.")
    quote_count: int | None = Field(description="Quotes when the feed showed it.")
    bookmark_count: int | None = Field(description="Bookmarks when the feed showed it.")
    reason: FeedReason | None = Field(description="Why it is in the feed, if not for itself.")
    post_labels: list[AppliedLabel] = Field(description="Labels on the post.")
    author_labels: list[AppliedLabel] = Field(description="Labels on the author's account.")
    position: int = Field(description="Its first place in the feed, from 0.")
    received_at: datetime = Field(description="When we received it.")
    unknown_fields: str | None = Field(
        description="What else the item had, or could not be read, as a JSON object."
    )


class RawPostDeletion(Row):
    """A post deleted, or an account whose status changed."""

    asset: ClassVar[str] = "raw_post_deletions"
    key: ClassVar[tuple[str, ...]] = ("did", "uri", "status", "rev", "event_time")
    """Of the deletion itself, so that it is one whichever host sends it, and under what name."""
    arrival = Arrival(
        column="deletion",
        counted_as="deletions",
        streams=(FIREHOSE, ARCHIVE),
        same=(
            *("did", "uri", "status"),
            "coalesce(rev, CAST(event_time AS VARCHAR), concat_ws(' ', relay, seq))",
        ),
        order=("seq", "relay", "did", "uri"),
    )

    kind: Literal["post", "account"] = Field(description="What this is about.")
    uri: str | None = Field(description="AT URI of the deleted post; null for an account.")
    did: str = Field(description="DID of the author or account.")
    status: str = Field(
        description="deleted, takendown, suspended, deactivated, desynchronized, throttled, "
        f"or {ACTIVE} (an account that came back)."
    )
    rev: str | None = Field(
        description="Revision of the commit; null for an account, and where it is none."
    )
    event_time: datetime | None = Field(
        description="When it happened, as the host tells; null where that cannot be read."
    )
    relay: str = Field(description="Host that sent it.")
    seq: int = Field(description="Its number in that host's stream.")
    received_at: datetime = Field(description="When we received it.")
    unknown_fields: str | None = Field(
        description="What the event had that could not be read, as a JSON object."
    )


class RawModerationLabel(Row):
    """A moderation label applied or taken back, by a labeler or by the account itself."""

    asset: ClassVar[str] = "raw_moderation_labels"
    key: ClassVar[tuple[str, ...]] = ("src", "uri", "val", "cts", "neg")
    rows_from: ClassVar[tuple[str, ...]] = ("raw_feed_posts.uri", "raw_feed_posts.author.did")
    """Of these the labeler is asked; most rows come by its stream, whatever the feeds show."""
    arrival = Arrival(
        column="label",
        counted_as="labels",
        streams=(LABELS, FIREHOSE),
        same=key,
        first=("received_at", "origin", "seq"),
        order=("cts", "src", "uri", "val", "neg"),
    )

    src: str = Field(description="DID of who made it; the subject's own for a self-label.")
    uri: str = Field(description="AT URI of the record, or DID of the account, that it is on.")
    cid: str | None = Field(description="CID of the version it is on, where it names one.")
    val: str = Field(description="The label's value.")
    neg: bool = Field(description="Whether it takes an earlier one back.")
    cts: datetime | None = Field(description="When it was made; null where that cannot be read.")
    exp: datetime | None = Field(description="When it ceases to apply.")
    origin: str = Field(description="Host that sent it.")
    seq: int | None = Field(description="Its number in that host's stream, if it came by one.")
    received_at: datetime = Field(description="When we received it.")
    unknown_fields: str | None = Field(
        description="What else the label had, or could not be read, as a JSON object."
    )


RAW: tuple[type[Row], ...] = (
    RawFirehosePost,
    RawFeedPost,
    RawPostDeletion,
    RawModerationLabel,
)
"""What arrives from the network, in the order of the lineage."""


class Quarantined(Row):
    """Something that arrived and could not be read, kept as it came."""

    asset: ClassVar[str] = "quarantine"
    key: ClassVar[tuple[str, ...]] = ("source", "origin", "position", "reason", "content")
    arrival = Arrival(column="quarantined", counted_as="quarantined")

    source: str = Field(description="The asset that it would have gone into.")
    origin: str = Field(description="Host or file that it came from.")
    position: str = Field(description="Where in that: a sequence number, or page and item.")
    reason: str = Field(description="Short code of what is wrong.")
    detail: str = Field(description="What is wrong, in a sentence, without the content.")
    content: bytes = Field(description="The bytes as they came.")
    received_at: datetime = Field(description="When we received it.")
