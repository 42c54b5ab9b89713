"""The text of articles from their own pages, by trafilatura.

Only pages of the hosts of BSKY_NEWS_PAGES are read, of which the user says that their terms allow
it, and only where the host's robots.txt allows it, too. A page that cannot be had leaves the text
that the source gives. What does not belong here: reading sources (`fetching`).
Source: RFC 9309, Robots Exclusion Protocol.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import httpx

from bsky_assets.settings import Settings, host_of

_AGENT = "bsky_assets"
MOST_PAGES = 200
"""In one reading of the sources, so that no list keeps a day waiting."""
_NO_READER = "BSKY_NEWS_PAGES needs the extra: `pip install -c constraints.txt -e '.[pages]'`"
_MOST_SECONDS = 120.0
"""For all pages of a reading together."""
_PAGE_SECONDS = 15.0
_MOST_BYTES = 3_000_000
_MOST_HOPS = 6
_NOTHING = b"User-agent: *\nDisallow: /"


class Pages:
    """The pages that may be read in one reading of the sources."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is asked yet."""
        self._hosts = frozenset(settings.news_pages)
        self._robots: dict[str, RobotFileParser] = {}
        self._left, self._until = MOST_PAGES, time.monotonic() + _MOST_SECONDS
        self.problem = None if find_spec("trafilatura") else _NO_READER
        """For a person, why none is read."""

    def is_allowed(self, link: str) -> bool:
        """Whether the page is of one of the hosts."""
        return urlsplit(link).scheme in ("http", "https") and host_of(link) in self._hosts

    def text_of(self, link: str) -> str | None:
        """The text of the article at `link`; None where its page cannot or must not be read."""
        if self.problem or self._left == 0 or time.monotonic() > self._until:
            return None
        self._left -= 1
        answer = self._followed(link, self._robots_allow)
        if answer is None or not answer.is_success:
            return None
        from trafilatura import extract

        return extract(answer.content, include_comments=False, include_tables=False)

    def _robots_allow(self, link: str) -> bool:
        """By the robots.txt of its host; where that cannot be had, nothing is allowed."""
        if (host := host_of(link)) not in self._robots:
            rules = self._robots[host] = RobotFileParser()
            answer = self._followed(urljoin(link, "/robots.txt"), lambda _: True)
            told = answer.content if answer and answer.is_success else b""
            if answer is None or answer.is_server_error:
                told = _NOTHING
            rules.parse(told.decode("utf-8", "replace").splitlines())
        return self._robots[host].can_fetch(_AGENT, link)

    def _followed(self, link: str, may: Callable[[str], bool]) -> httpx.Response | None:
        """What is at `link`, or where it leads; it is followed to pages alone that may be read."""
        for _ in range(_MOST_HOPS):
            try:
                if not self.is_allowed(link) or not may(link):
                    return None
                answer = _get(link)
                if not answer.is_redirect:
                    return answer
                link = urljoin(link, answer.headers.get("location", ""))
            except (httpx.HTTPError, httpx.InvalidURL, ValueError):
                return None
        return None


def _get(url: str) -> httpx.Response:
    """What a host answers; it must be short, and come within `_PAGE_SECONDS`."""
    until, content = time.monotonic() + _PAGE_SECONDS, bytearray()
    client = httpx.Client(timeout=_PAGE_SECONDS, headers={"User-Agent": _AGENT})
    with client, client.stream("GET", url) as answer:
        for piece in answer.iter_bytes(65_536):
            content += piece
            if len(content) > _MOST_BYTES or time.monotonic() > until:
                raise ValueError("it is too long")
        location = {"location": answer.headers.get("location", "")} if answer.is_redirect else {}
        return httpx.Response(answer.status_code, headers=location, content=bytes(content))
