"""News beside posts: articles, their vectors, and which post is told of which article.

These tables are in a lake whose settings name news, and in no other.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bsky_assets.contracts.base import From, Row, Struct

Side = Literal["left", "right", "moderate"]


class Outlet(Struct):
    """Where an article was found."""

    name: str = Field(description="Name of the feed or, in files and lists, of the outlet.")
    side: Side | None = Field(description="The side that BSKY_NEWS_FEEDS gives the feed.")
    url: str = Field(description="Canonical URL of its copy.")


class NewsArticle(Row):
    """An article, once, whichever outlets have it."""

    asset: ClassVar[str] = "news_articles"
    key: ClassVar[tuple[str, ...]] = ("article_id",)

    article_id: str = Field(description="16 hex digits of the SHA-256 of `url`.")
    url: str = Field(description="Canonical URL of the copy that was first found.")
    title: str = Field(description="Its title.")
    text: str = Field(description="What the feed, list or file gives of its text; may be empty.")
    outlets: list[Outlet] = Field(description="Who has it, also as a near copy, first found first.")
    language: str | None = Field(description="As the source says, ISO 639-1; null if it does not.")
    published_at: datetime = Field(
        description="Since when it has said this: the later of its dates of publication and "
        "update; where it has none, when we found it."
    )
    is_dated: bool = Field(description="Whether the source gives a date.")
    received_at: datetime = Field(description="When we first found it.")
    source: str = Field(description="Kind of the source: feed, gdelt or file.")


_WORDS = ("news_articles.title", "news_articles.text")


class ArticleEmbedding(Row):
    """The vector of an article."""

    asset: ClassVar[str] = "article_embeddings"
    key: ClassVar[tuple[str, ...]] = ("article_id",)
    rows_from: ClassVar[tuple[str, ...]] = ("news_articles.article_id",)
    parents: ClassVar[tuple[type[Row], ...]] = (NewsArticle,)

    article_id: Annotated[str, From("news_articles.article_id")] = Field(description="The article.")
    model: str = Field(description="What made the vector: name, and what identifies the weights.")
    vector: Annotated[list[float], From(*_WORDS)] = Field(
        description="Of length one, of title and text."
    )


_ARTICLE = (
    *_WORDS,
    "news_articles.published_at",
    "news_articles.language",
    "news_articles.outlets",
    "article_embeddings.vector",
)
_JUDGED = ("filtered_posts.record.text", *_ARTICLE)


class NewsContext(Row):
    """The article nearest to a post, and whether the post's question tells of it."""

    asset: ClassVar[str] = "news_context"
    key: ClassVar[tuple[str, ...]] = ("uri", "article_id")
    rows_from: ClassVar[tuple[str, ...]] = ("filtered_posts.passed_filters", *_JUDGED)
    parents: ClassVar[tuple[type[Row], ...]] = (NewsArticle, ArticleEmbedding)

    uri: Annotated[str, From("filtered_posts.uri")] = Field(description="AT URI of the post.")
    article_id: Annotated[str, From("news_articles.article_id")] = Field(description="The article.")
    gate: Annotated[Literal["name", "if_unclear", "closed"], From(*_JUDGED)] = Field(
        description="name: a name in the news is in both, and the article is near enough: the post "
        "is asked about with it. if_unclear: near enough without a name: only if the first answer "
        "is unclear, in a second question. closed: not near enough; kept to calibrate the gate."
    )
    name: Annotated[str | None, From(*_JUDGED)] = Field(
        description="The name in the news that post and article share; null if there is none."
    )
    distance: Annotated[float, From(*_JUDGED)] = Field(
        description="Cosine distance of post and article, from 0 to 2."
    )
    margin: Annotated[float, From(*_JUDGED)] = Field(
        description="How much farther the nearest article about something else is."
    )
    rank: Annotated[int, From(*_JUDGED)] = Field(
        description="1 for the nearest; further ones are of the same story."
    )
    told: Annotated[str, From(*_ARTICLE)] = Field(
        description="What is sent of it: outlet, day, title and the beginning of the text."
    )
    topic_id: Annotated[str | None, From(*_JUDGED)] = Field(
        description="16 hex digits of the SHA-256 of `topic_articles`; null where the gate is "
        "closed. With BSKY_NEWS_VIEWS the post is asked about with the views of this topic in "
        "news_views, if there are any, in the place of `told`."
    )
    topic_articles: Annotated[list[str] | None, From(*_JUDGED)] = Field(
        description="Articles of the same story, the latest eight at most, that were out before "
        "any post of the day that is told of it."
    )
    model: Annotated[str, From("article_embeddings.model")] = Field(
        description="What made the vectors."
    )


_SUMMED_UP = (
    *_WORDS,
    "news_articles.outlets",
    "news_articles.published_at",
    "news_context.topic_articles",
)


class NewsView(Row):
    """What one side says of a topic of the day, by a model that was given its articles."""

    asset: ClassVar[str] = "news_views"
    key: ClassVar[tuple[str, ...]] = ("topic_id", "side")
    rows_from: ClassVar[tuple[str, ...]] = ("news_context.topic_id", *_SUMMED_UP)
    parents: ClassVar[tuple[type[Row], ...]] = (NewsArticle, NewsContext)

    topic_id: Annotated[str, From("news_context.topic_id")] = Field(description="The topic.")
    side: Annotated[Side, From(*_SUMMED_UP)] = Field(description="Whose argument it is.")
    argument: Annotated[str, From(*_SUMMED_UP)] = Field(
        description="The argument, as the model sums it up: two sentences are asked for."
    )
    article_ids: Annotated[list[str], From(*_SUMMED_UP)] = Field(
        description="The articles that say so, by the model; only articles that it was given."
    )
    model: str = Field(description="The model that was asked: that of record.")
    prompt_version: str = Field(description="Hash of the prompt; see llm_prompts.")
    request_id: str = Field(description="The request in llm_answers, with what was sent and said.")


_ASKED_ABOUT = ("filtered_posts.record.text", "news_context.gate", "news_context.told")


class ContextEffect(Row):
    """One measure of the labels of the same posts, without and with news."""

    asset: ClassVar[str] = "context_effect"
    key: ClassVar[tuple[str, ...]] = ("measure", "label")
    rows_from: ClassVar[tuple[str, ...]] = ("filtered_posts.passed_filters", *_ASKED_ABOUT)
    parents: ClassVar[tuple[type[Row], ...]] = (NewsContext,)

    measure: Literal["accuracy", "share"] = Field(
        description="accuracy: of posts coded by people; share: of the sample of the day."
    )
    label: str = Field(description="The label whose share it is; `all` for accuracy.")
    posts: Annotated[int, From(*_ASKED_ABOUT)] = Field(description="Posts that were asked about.")
    value_without: Annotated[float, From(*_ASKED_ABOUT)] = Field(
        description="Accuracy or share without news, from 0 to 1."
    )
    value_with: Annotated[float, From(*_ASKED_ABOUT)] = Field(description="The same with news.")
    difference: Annotated[float, From(*_ASKED_ABOUT)] = Field(description="With less without.")
    difference_low: Annotated[float, From(*_ASKED_ABOUT)] = Field(
        description="Lower end of its 95% interval."
    )
    difference_high: Annotated[float, From(*_ASKED_ABOUT)] = Field(description="Upper end.")
    only_with: Annotated[int, From(*_ASKED_ABOUT)] = Field(
        description="Posts that are right, or have the label, only with news."
    )
    only_without: Annotated[int, From(*_ASKED_ABOUT)] = Field(description="Only without.")
    p: Annotated[float | None, From(*_ASKED_ABOUT)] = Field(
        description="McNemar's exact test, two-sided; null for shares."
    )
    model: str = Field(description="The model of record.")
    prompt_without: str = Field(description="Hash of the prompt without news; see llm_prompts.")
    prompt_with: str = Field(description="Hash of the prompt with news.")


NEWS: tuple[type[Row], ...] = (NewsArticle, ArticleEmbedding, NewsContext, ContextEffect)
"""In the order of the lineage."""
VIEWS: tuple[type[Row], ...] = (NewsView,)
"""Where BSKY_NEWS_VIEWS is on."""
