"""A host of news whose every answer a test decides."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import duckdb
from aiohttp import web

from bsky_assets.contracts.news import NewsArticle
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake

NOW = datetime.now(UTC)


def settings_of(folder: Path, feeds: dict[str, str], **options: Any) -> Settings:
    return Settings(_env_file=None, data_dir=folder, news_feeds=feeds, **options)


def rss(*entries: tuple[str, str, str, datetime | None]) -> str:
    """A feed of entries: address, title, text, date."""
    items = "".join(
        f"<item><link>{escape(link)}</link><title>{escape(title)}</title>"
        f"<description>{escape(text)}</description>"
        + (f"<pubDate>{format_datetime(at)}</pubDate>" if at else "")
        + "</item>"
        for link, title, text, at in entries
    )
    return f'<rss version="2.0"><channel><title>x</title>{items}</channel></rss>'


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


class NewsHost:
    """Serves `pages` by path."""

    def __init__(self) -> None:
        self.pages: dict[str, str | bytes | web.StreamResponse] = {}
        self.asked: list[str] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/{path:.*}", self._serve)])
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.asked.append(path)
        page = self.pages.get(path)
        if page is None:
            raise web.HTTPNotFound
        if isinstance(page, str) and page.startswith("/"):
            raise web.HTTPFound(page)
        return web.Response(body=page) if isinstance(page, str | bytes) else page


def articles(settings: Settings) -> list[dict[str, Any]]:
    lake = Lake.of(settings)
    with duckdb.connect() as con:
        return lake.relation(con, NewsArticle, lake.days(NewsArticle)).to_arrow_table().to_pylist()
