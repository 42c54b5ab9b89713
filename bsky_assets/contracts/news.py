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


NEWS: tuple[type[Row], ...] = (NewsArticle, ArticleEmbedding)
"""In the order of the lineage."""
