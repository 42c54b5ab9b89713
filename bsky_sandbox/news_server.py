"""The outlets of the sandbox: feeds, an article list, and much that goes wrong with feeds."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import cached_property
from xml.sax.saxutils import escape

import orjson
from aiohttp import web

from bsky_sandbox.news import News, SandboxArticle

FEEDS = {
    "wire": "wire.rss",
    "herald:left": "herald.atom",
    "tribune:right": "tribune",
    "gdelt": "gdelt.json",
    "broken": "broken.rss",
    "gone": "gone.rss",
}
"""Paths, as BSKY_NEWS_FEEDS names sources."""
_FUTURE = timedelta(days=2)


class NewsServer:
    """Serves what outlets report: `/wire.rss`, `/herald.atom`, `/tribune` (which has moved to
    `/tribune.rss`), `/gdelt.json`; `/broken.rss` breaks off, and what else there is not is 404."""

    def __init__(self, news: Callable[[], News], now: datetime) -> None:
        """Serve what `news` gives once it is asked for; one article is dated after `now`."""
        self._made, self._now = news, now

    @cached_property
    def news(self) -> News:
        """What is served."""
        return self._made()

    def app(self) -> web.Application:
        """The outlets as an application, to be run where the caller pleases."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/wire.rss", self._wire),
                web.get("/herald.atom", self._herald),
                web.get("/tribune", _moved),
                web.get("/tribune.rss", self._tribune),
                web.get("/gdelt.json", self._gdelt),
                web.get("/broken.rss", self._broken),
            ]
        )
        return app

    def _of(self, outlet: str) -> list[SandboxArticle]:
        return [article for article in self.news.articles if article.outlet == outlet]

    async def _wire(self, _request: web.Request) -> web.Response:
        ahead = (
            "<item><link>https://wire.sandbox.test/ahead</link><title>What will be reported in two "
            f"days</title><pubDate>{format_datetime(self._now + _FUTURE)}</pubDate></item>"
        )
        return _xml(_rss(self._of("wire"), ahead))

    async def _tribune(self, _request: web.Request) -> web.Response:
        return _xml(_rss(self._of("tribune"), ""))

    async def _broken(self, _request: web.Request) -> web.Response:
        return _xml(_rss(self._of("tribune")[:1], "")[:-30])

    async def _herald(self, _request: web.Request) -> web.Response:
        """Atom; each article a second time too, updated under the same address with a mark."""
        entries = "".join(
            f'<entry><title>{escape(title)}</title><link href="{escape(one.url)}{mark}"/>'
            f"<published>{one.published_at.isoformat()}</published>"
            f"<summary>{escape(one.text)}</summary></entry>"
            for one in self._of("herald")
            for title, mark in ((one.title, ""), (f"Updated: {one.title}", "?utm_source=atom"))
        )
        return _xml(f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>')

    async def _gdelt(self, _request: web.Request) -> web.Response:
        listed = [
            {
                "url": one.url,
                "title": one.title,
                "seendate": f"{one.published_at:%Y%m%dT%H%M%SZ}",
                "domain": "wire.sandbox.test",
                "language": "English",
            }
            for one in self._of("wire")
        ]
        body = orjson.dumps({"articles": listed})
        return web.Response(body=body, content_type="application/json")


async def _moved(_request: web.Request) -> web.Response:
    raise web.HTTPMovedPermanently("/tribune.rss")


def _rss(articles: Iterable[SandboxArticle], more: str) -> str:
    items = "".join(
        f"<item><title>{escape(one.title)}</title><link>{escape(one.url)}</link>"
        f"<pubDate>{format_datetime(one.published_at)}</pubDate>"
        f"<description>{escape(one.text)}</description></item>"
        for one in articles
    )
    head = "<channel><title>Sandbox</title><language>en</language>"
    return f'<?xml version="1.0"?><rss version="2.0">{head}{items}{more}</channel></rss>'


def _xml(body: str) -> web.Response:
    return web.Response(text=body, content_type="application/xml")
