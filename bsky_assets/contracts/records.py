"""The structs that rows share: a post's record, its embed, its author, its labels.

Source: lexicons app.bsky.feed.post, app.bsky.embed.*, app.bsky.richtext.facet,
app.bsky.actor.defs and com.atproto.label.defs.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from bsky_assets.contracts.base import Struct


class AspectRatio(Struct):
    """The shape of a picture; it may be approximate, and in any unit."""

    width: int = Field(description="Width.")
    height: int = Field(description="Height.")


class Media(Struct):
    """An image or a video."""

    kind: Literal["image", "video"] = Field(description="image or video.")
    cid: str | None = Field(description="CID of the file; null where it cannot be read.")
    mime_type: str | None = Field(description="MIME type of the file; null likewise.")
    alt: str | None = Field(description="Its alt text; null where there is none or it is empty.")
    aspect_ratio: AspectRatio | None = Field(description="Its shape, where the client tells it.")


class Embed(Struct):
    """What a post carries besides its text. A record with media has parts of both.

    A $type never ends in #main here: with and without, it names the same.
    """

    kind: str = Field(description="The embed's $type, e.g. app.bsky.embed.images.")
    media_kind: str | None = Field(
        description="The $type of its media, its own or that of a record with media; null where "
        "it has none."
    )
    media: list[Media] | None = Field(
        description="Its images or video, in order; null where it is not of a kind that has any."
    )
    link_uri: str | None = Field(description="Address of the link card.")
    link_title: str | None = Field(description="Title of the link card.")
    link_description: str | None = Field(description="Description of the link card.")
    alt_texts: list[str] = Field(
        description="Alt texts of images (empty where there is none) or video, in order."
    )
    quoted_uri: str | None = Field(description="AT URI of the quoted record.")
    quoted_cid: str | None = Field(description="CID of the quoted record.")


class Facet(Struct):
    """One feature of a rich-text facet: a mention, a link or a tag, and where it stands."""

    byte_start: int | None = Field(
        description="First byte in the UTF-8 text; null where a legacy table did not keep it."
    )
    byte_end: int | None = Field(description="First byte after it; null likewise.")
    kind: str = Field(description="The feature's $type, e.g. app.bsky.richtext.facet#tag.")
    value: str | None = Field(description="The mentioned DID, the link's URI or the tag.")


class Entity(Struct):
    """A deprecated text annotation, as early clients wrote it."""

    start: int | None = Field(
        description="First character; null where a legacy table did not keep it."
    )
    end: int | None = Field(description="First character after it; null likewise.")
    kind: str = Field(description="mention or link.")
    value: str = Field(description="The DID or URI.")


class PostRecord(Struct):
    """An app.bsky.feed.post record. Lists are null where the author gave none."""

    created_at: str = Field(description="When the author's client says it was written, verbatim.")
    text: str = Field(description="The text, verbatim; may be empty.")
    embed: Embed | None = Field(description="What it carries besides text.")
    entities: list[Entity] | None = Field(description="Deprecated annotations.")
    facets: list[Facet] | None = Field(description="Mentions, links and tags, one a feature.")
    labels: list[str] | None = Field(description="Self-labels that the author put on it.")
    langs: list[str] | None = Field(description="Languages that the client says it is in.")
    reply_parent: str | None = Field(description="AT URI of the post it answers.")
    reply_root: str | None = Field(description="AT URI of the first post of the thread.")
    tags: list[str] | None = Field(description="Hashtags outside the text.")
    py_type: Literal["app.bsky.feed.post"] = Field(description="The record's $type.")
    unknown_fields: str | None = Field(
        description="Fields that this contract does not know, or could not read, as a JSON object."
    )


class PostMetadata(Struct):
    """How and when we came by a post."""

    synctimestamp: str = Field(description="When we received it, UTC, YYYY-MM-DD-HH:MM:SS.")
    source_feed: str = Field(description="'firehose', or the feed's name in the settings.")
    url: str | None = Field(description="Its page on bsky.app; null for the firehose.")


class Verification(Struct):
    """Who vouches for an account, as an AppView shows it."""

    issuer: str | None = Field(description="DID of who vouches.")
    uri: str | None = Field(description="AT URI of the record that says so.")
    is_valid: bool | None = Field(description="Whether it holds for the present name and handle.")
    created_at: datetime | None = Field(description="When it was made.")


class VerificationState(Struct):
    """Whether an account is verified, and verifies others."""

    verified_status: str | None = Field(description="valid, invalid or none.")
    trusted_verifier_status: str | None = Field(description="valid, invalid or none.")
    verifications: list[Verification] | None = Field(description="Who vouches for it.")


class Author(Struct):
    """An author. For the firehose only the DID is known."""

    did: str = Field(description="The account's DID.")
    handle: str | None = Field(description="Its handle.")
    display_name: str | None = Field(description="Its display name.")
    avatar: str | None = Field(description="Address of its picture.")
    created_at: datetime | None = Field(description="When the account says it was made.")
    verification: VerificationState | None = Field(description="Whether it is verified.")


class AppliedLabel(Struct):
    """A moderation label as an AppView shows it on a post or an account."""

    src: str = Field(description="DID of who applied it; the author's own for a self-label.")
    uri: str = Field(description="AT URI of the record, or DID of the account, that it is on.")
    val: str = Field(description="The label's value.")
    neg: bool = Field(description="Whether this takes the label back.")
    cts: datetime | None = Field(description="When it was made.")
    exp: datetime | None = Field(description="When it ceases to apply.")


class Metrics(Struct):
    """How often a post was liked, answered, reposted and quoted when the feed showed it."""

    like_count: int | None = Field(description="Likes.")
    reply_count: int | None = Field(description="Replies.")
    repost_count: int | None = Field(description="Reposts.")
    quote_count: int | None = Field(description="Quotes.")


class EarlierVersion(Struct):
    """A version of a post that its author replaced, or that another source still showed."""

    cid: str = Field(description="CID of that version.")
    rev: str | None = Field(
        description="Revision of the repository that held it; null where only a feed showed it."
    )
    text: str = Field(description="Its text.")
