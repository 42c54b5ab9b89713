"""A sandbox's posts and news in a data directory, and what is true of the gate."""

from dataclasses import dataclass
from datetime import UTC, datetime
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
from bsky_assets.storage.lake import Lake, Partition
from bsky_assets.sync_day import today
from bsky_assets_tests.support.serving import served
from bsky_sandbox.llm import LlmServer
from bsky_sandbox.news import News
from bsky_sandbox.news_server import NewsServer
from bsky_sandbox.posts import SandboxPost
from bsky_sandbox.world import World
from testbed.rows import filtered_post, table

FEEDS = {
    "wire": "wire.rss",
    "herald:left": "herald.atom",
    "tribune:right": "tribune",
    "gdelt": "gdelt.json",
    "broken": "broken.rss",
    "gone": "gone.rss",
}


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
    """Posts of a world, articles of its outlets read twice, vectors by the sandbox, the gate."""
    day = today(Settings(_env_file=None, sync_timezone="UTC").timezone)
    now = datetime.now(UTC)
    world = World.generate(seed, day=day, events=events, now=now)
    news = News.of(world)
    with served(NewsServer(news, now).app()) as url, served(LlmServer(()).app()) as llm:
        settings = Settings(
            _env_file=None,
            data_dir=folder,
            sync_timezone="UTC",
            news_feeds={name: f"{url}/{path}" for name, path in FEEDS.items()},
            embeddings_base_url=f"{llm}/v1",
            embeddings_model="sandbox",
            **options,
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
        lake.write(FilteredPost, day, table(FilteredPost, posts))
        with duckdb.connect() as con:
            collect_news(con, lake, settings, day)
            collect_news(con, lake, settings, day)
            embed_articles(con, lake, settings, day)
            return NewsDay(settings, world, news, judge_day(con, lake, settings, day))
