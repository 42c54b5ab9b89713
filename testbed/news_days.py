"""A sandbox's posts and news in a data directory, and what is true of the gate."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from bsky_assets.contracts import FilteredPost
from bsky_assets.contracts.news import NewsArticle, NewsContext
from bsky_assets.news.calibrating import Pair
from bsky_assets.news.collecting import collect_news
from bsky_assets.news.embedding import embed_articles
from bsky_assets.news.gate import judge_day
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_sandbox.chat import MODEL
from bsky_sandbox.news import News
from bsky_sandbox.posts import SandboxPost
from bsky_sandbox.server import Sandbox, Servers
from bsky_sandbox.world import World
from testbed.rows import filtered_post, table

DAY = date(2026, 3, 8)
EVENING = datetime(2026, 3, 8, 22, tzinfo=UTC)


@dataclass
class NewsDay:
    """A day of a sandbox's posts, judged by the gate with the news of its outlets."""

    settings: Settings
    world: World
    news: News
    context: Partition

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `news_context` with rank 1, with the event that the article reports."""
        lake, day = Lake.of(self.settings), self.context.day
        events = {article.url: article.event for article in self.news.articles}
        with duckdb.connect() as con:
            lake.relation(con, NewsContext, [day]).create_view("context")
            lake.relation(con, NewsArticle, [day]).create_view("articles")
            found = con.sql(
                "SELECT context.*, url, published_at FROM context JOIN articles USING (article_id) "
                "WHERE rank = 1 ORDER BY uri"
            ).to_arrow_table()
        return [{**row, "event": events[row["url"]]} for row in found.to_pylist()]

    def pairs(self) -> list[Pair]:
        """What a person would say of each row that has a name."""
        return [
            Pair(row["distance"], row["margin"], self.news.reported.get(row["uri"]) == row["event"])
            for row in self.rows()
            if row["name"]
        ]

    def precision_and_recall(self) -> tuple[float, float]:
        """Of the posts that are asked about with an article at once."""
        opened = [row for row in self.rows() if row["gate"] == "name"]
        right = sum(self.news.reported.get(row["uri"]) == row["event"] for row in opened)
        return right / max(len(opened), 1), right / max(len(self.news.reported), 1)


def english(world: World) -> list[SandboxPost]:
    return [
        post
        for post in world.posts
        if post.in_firehose
        and post.language == "en"
        and not (post.is_spam or post.is_nsfw or post.is_bot or post.is_hate_speech)
    ]


def make_news_day(folder: Path, seed: int, events: int, **options: Any) -> NewsDay:
    """Posts of a world, articles of its outlets read twice, their vectors, the gate.

    Vectors are the sandbox's, unless `options` name another endpoint, or None for the package's.
    """
    world = World.generate(seed, day=DAY, events=events, now=EVENING)
    with Sandbox(world, Servers.of(world)) as sandbox:
        served: dict[str, Any] = {
            "news_feeds": sandbox.news_feeds,
            "embeddings_base_url": sandbox.llm_base_url,
            "embeddings_model": MODEL,
        }
        settings = Settings(
            _env_file=None, data_dir=folder, sync_timezone="UTC", **{**served, **options}
        )
        lake = Lake.of(settings)
        posts = [
            filtered_post(
                number,
                str(post.record["text"]),
                uri=post.uri,
                indexed_at=post.indexed_at,
                author={"did": post.did},
            )
            for number, post in enumerate(english(world))
        ]
        lake.write(FilteredPost, DAY, table(FilteredPost, posts))
        with duckdb.connect() as con:
            collect_news(con, lake, settings, DAY, EVENING)
            collect_news(con, lake, settings, DAY, EVENING)
            embed_articles(con, lake, settings, DAY)
            context = judge_day(con, lake, settings, DAY)
        return NewsDay(settings, world, sandbox.servers.news.news, context)
