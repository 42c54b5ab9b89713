"""The tables of exports that may be given to others: what is in them is all that is stated here.

What belongs here: their columns, each chosen to be given away. What does not: how one is made from
what is stored, and tables of the lake.
"""

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model

from bsky_assets.contracts.base import Copied, From, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.labels import Ideology
from bsky_assets.contracts.records import Author, PostRecord
from bsky_assets.contracts.verdicts import heads

Outcome = Literal["fetched", "edited", "deleted", "account_gone", "unreadable", "no_address"]
"""What became of a post that was asked for by its address."""

_QUOTED = "filtered_posts.record.embed.quoted_uri"
_FACETS = "filtered_posts.record.facets"


class _Post(Row):
    """A post without its words, under pseudonyms."""

    post: Annotated[str, From("filtered_posts.uri")] = Field(
        description="Pseudonym of the post: HMAC-SHA256 of its AT URI, in hex."
    )
    author: Annotated[str, From("filtered_posts.author.did")] = Field(
        description="Pseudonym of its author: HMAC-SHA256 of the DID, in hex."
    )
    handle: Annotated[str | None, Copied("filtered_posts.author.handle")] = Field(
        description="The author's handle; null unless the account has as many followers as "
        "BSKY_EXPORT_FOLLOWER_FLOOR asks for."
    )
    display_name: Annotated[str | None, Copied("filtered_posts.author.display_name")] = Field(
        description="The author's display name; null likewise."
    )
    hour: Annotated[datetime, From("filtered_posts.indexed_at")] = Field(
        description="The hour in which the network had it."
    )
    source_feeds: Annotated[list[str], Copied("filtered_posts.metadata.source_feeds")] = Field(
        description="Every source that had it, by its name in the settings."
    )
    langs: Annotated[list[str], From("filtered_posts.record.langs")] = Field(
        description="Languages that the client says it is in, without what is no language tag."
    )
    embed: Annotated[str | None, From("filtered_posts.record.embed.kind")] = Field(
        description="What it carries: images, video, gallery, external, record, recordWithMedia, "
        "or other; null for nothing."
    )
    reply_parent: Annotated[str | None, From("filtered_posts.record.reply_parent")] = Field(
        description="Pseudonym of the post that it answers."
    )
    reply_parent_author: Annotated[str | None, From("filtered_posts.record.reply_parent")] = Field(
        description="Pseudonym of that post's author."
    )
    reply_root: Annotated[str | None, From("filtered_posts.record.reply_root")] = Field(
        description="Pseudonym of the first post of the thread."
    )
    quoted: Annotated[str | None, From(_QUOTED)] = Field(
        description="Pseudonym of the post or other record that it quotes."
    )
    quoted_author: Annotated[str | None, From(_QUOTED)] = Field(
        description="Pseudonym of that record's author."
    )
    mentions: Annotated[list[str], From(f"{_FACETS}.kind", f"{_FACETS}.value")] = Field(
        description="Pseudonyms of the accounts that it mentions."
    )
    likes: Annotated[int | None, From("filtered_posts.metrics.like_count")] = Field(
        description="Likes when a feed showed it, to two digits; null for the firehose."
    )
    replies: Annotated[int | None, From("filtered_posts.metrics.reply_count")] = Field(
        description="Replies, likewise."
    )
    reposts: Annotated[int | None, From("filtered_posts.metrics.repost_count")] = Field(
        description="Reposts, likewise."
    )
    quotes: Annotated[int | None, From("filtered_posts.metrics.quote_count")] = Field(
        description="Quotes, likewise."
    )
    passed_filters: Annotated[bool, Copied("filtered_posts.passed_filters")] = Field(
        description="Whether every filter let it through."
    )
    filtered_by_func: Annotated[str | None, Copied("filtered_posts.filtered_by_func")] = Field(
        description="The first filter that stopped it; null if none did."
    )
    language: Annotated[str | None, Copied("filtered_posts.language")] = Field(
        description="Most likely language; null where undecided."
    )
    filter_version: Annotated[str, Copied("filtered_posts.filter_version")] = Field(
        description="Version of the filters' configuration."
    )


VERDICTS = tuple(f"is_{name}" for name in heads())
"""The columns of the filters' verdicts."""

if TYPE_CHECKING:
    _Judged = _Post
else:
    _Judged = create_model(
        "_Judged",
        __base__=_Post,
        **{
            f"is_{name}": (
                Annotated[bool | None, Copied(f"filtered_posts.is_{name}")],
                Field(description=one["description"]),
            )
            for name, one in heads().items()
        },
    )


class PublicPost(_Judged):
    """A post without its words, under pseudonyms, with the filters' verdict."""

    asset: ClassVar[str] = "public_posts"
    key: ClassVar[tuple[str, ...]] = ("post",)
    rows_from: ClassVar[tuple[str, ...]] = ("filtered_posts.uri",)


class _Label(Row):
    """What a model says of a post, and which model and prompt it is from."""

    is_label_of_record: Annotated[bool | None, Copied("llm_labels.is_label_of_record")] = Field(
        description="Whether this is the first model's label with the prompt now in force."
    )
    is_sociopolitical: Annotated[bool | None, Copied("llm_labels.is_sociopolitical")] = Field(
        description="Whether it is about politics or social issues; null if not labelled."
    )
    political_ideology: Annotated[Ideology | None, Copied("llm_labels.political_ideology")] = Field(
        description="The side it takes; null where it is not sociopolitical."
    )
    was_successfully_labeled: Annotated[
        bool | None, Copied("llm_labels.was_successfully_labeled")
    ] = Field(description="Whether a valid answer was given.")
    selection_chance: Annotated[float | None, Copied("llm_labels.selection_chance")] = Field(
        description="Chance that the post was in the day's sample: weigh by one over it; 1 where "
        "all were asked about."
    )
    selection_stratum: Annotated[str | None, Copied("llm_labels.selection_stratum")] = Field(
        description="What it was drawn from; null where all were asked about."
    )
    model: Annotated[str | None, Copied("llm_labels.model")] = Field(
        description="Name of the model, as the endpoint knows it."
    )
    model_digest: Annotated[str | None, Copied("llm_labels.model_digest")] = Field(
        description="What identifies its weights, if known."
    )
    prompt_version: Annotated[str | None, Copied("llm_labels.prompt_version")] = Field(
        description="Hash of the prompt; its text is in the folder prompts."
    )
    schema_version: Annotated[str | None, Copied("llm_labels.schema_version")] = Field(
        description="Hash of the answer's JSON schema."
    )
    parameters: Annotated[str | None, Copied("llm_labels.parameters")] = Field(
        description="Parameters of sampling, as JSON."
    )


_ONE_OF_A_POST = ("model", "model_digest", "prompt_version", "schema_version", "parameters")


class _Pseudonym(Row):
    post: Annotated[str, From("llm_labels.uri")] = Field(
        description="Pseudonym of the post, as in public_posts."
    )


class PublicLabel(_Label, _Pseudonym):
    """One label of one post, under its pseudonym, by one model and prompt."""

    asset: ClassVar[str] = "public_labels"
    key: ClassVar[tuple[str, ...]] = ("post", *_ONE_OF_A_POST)
    rows_from: ClassVar[tuple[str, ...]] = ("llm_labels.uri",)


class _Address(Row):
    uri: Annotated[str, Copied("filtered_posts.uri")] = Field(description="AT URI of the post.")
    cid: Annotated[str, Copied("filtered_posts.cid")] = Field(
        description="CID of the version that was filtered and labelled."
    )
    passed_filters: Annotated[bool, Copied("filtered_posts.passed_filters")] = Field(
        description="Whether every filter let it through."
    )
    filtered_by_func: Annotated[str | None, Copied("filtered_posts.filtered_by_func")] = Field(
        description="The first filter that stopped it; null if none did."
    )


class DehydratedPost(_Label, _Address):
    """A post by its address alone, with one of its labels; without one, if it has none."""

    asset: ClassVar[str] = "dehydrated_posts"
    key: ClassVar[tuple[str, ...]] = ("uri", *_ONE_OF_A_POST)
    rows_from: ClassVar[tuple[str, ...]] = ("filtered_posts.uri", "llm_labels.uri")


_OF_CODEBOOKS = (
    *("is_label_of_record", "answer", "was_successfully_labeled"),
    *("selection_chance", "selection_stratum"),
    *_ONE_OF_A_POST,
)


@cache
def labels_to_publish(row: type[CodebookLabel]) -> tuple[type[Row], type[Row]]:
    """The labels of a codebook under pseudonyms, and with addresses, with nothing else of a post.

    Its answer must be one of its labels: a text of a model's may repeat the post.
    """
    alias = Field(description="Pseudonym of the post, as in public_posts.")
    address = Field(description="AT URI of the post, as in dehydrated_posts.")
    return (
        _published(row, "public", post=(Annotated[str, From(f"{row.asset}.uri")], alias)),
        _published(row, "dehydrated", uri=(Annotated[str, Copied(f"{row.asset}.uri")], address)),
    )


def _published(row: type[CodebookLabel], level: str, **post: Any) -> type[Row]:
    fields = {
        name: (
            Annotated[info.annotation, Copied(f"{row.asset}.{name}")],
            Field(description=info.description),
        )
        for name, info in row.model_fields.items()
        if name in _OF_CODEBOOKS
    }
    made = create_model(
        f"{level.capitalize()}{row.__name__}",
        __base__=Row,
        __module__=__name__,
        __doc__=row.__doc__,
        **{**post, **fields},
    )
    made.asset = f"{level}_{row.asset}"
    made.key = (*post, *_ONE_OF_A_POST)
    made.rows_from = (f"{row.asset}.uri",)
    return made


PUBLISHED: tuple[type[Row], ...] = (PublicPost, PublicLabel, DehydratedPost)
"""Tables that are made for others when they are exported, and stored nowhere else."""


class RehydratedPost(Row):
    """A post that was asked for by its address, as it is now, or why it is not there."""

    asset: ClassVar[str] = "rehydrated_posts"
    key: ClassVar[tuple[str, ...]] = ("uri",)

    uri: str = Field(description="AT URI of the post.")
    asked_cid: str | None = Field(description="CID that stood beside the URI, if one did.")
    outcome: Outcome = Field(
        description="fetched; edited, where the CID is another now; deleted, where the account is "
        "there and the post is not; account_gone; unreadable; or no_address."
    )
    fetched_at: datetime = Field(description="When the AppView was asked.")
    cid: str | None = Field(description="CID of the post now.")
    author: Author | None = Field(description="Its author now.")
    record: PostRecord | None = Field(description="The record now.")
    indexed_at: datetime | None = Field(description="When the AppView indexed it.")
    like_count: int | None = Field(description="Likes now.")
    reply_count: int | None = Field(description="Replies now.")
    repost_count: int | None = Field(description="Reposts now.")
    quote_count: int | None = Field(description="Quotes now.")
