"""Having what a source of news sends: from a host or a file, never more than `MOST_BYTES`."""

import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from bsky_assets.news.sources import UnreadableNews
from bsky_assets.settings import host_of

MOST_BYTES = 20_000_000
_MOST_SECONDS = 60.0
_TRIES = 2
_MOST_REDIRECTS = 5
_ACCEPT = "application/rss+xml, application/atom+xml, application/json, application/xml, text/xml"


@dataclass(frozen=True)
class Source:
    """One entry of BSKY_NEWS_FEEDS."""

    name: str
    side: str | None
    place: str
    """A URL, or the path of a file."""

    @classmethod
    def of(cls, name: str, place: str) -> "Source":
        """The source that the settings call `name`, with its side after a colon if it has one."""
        called, _, side = name.partition(":")
        return cls(called, side or None, place)

    @property
    def is_file(self) -> bool:
        """Whether it is a file here, and no host."""
        return not self.place.startswith(("http://", "https://"))

    @property
    def host(self) -> str | None:
        """Its host and port; None for a file."""
        return None if self.is_file else host_of(self.place)

    def content(self) -> bytes:
        """All of it.

        Raises:
            UnreadableNews: it cannot be had, or it is too long.
        """
        return self._file() if self.is_file else self._fetched()

    def _file(self) -> bytes:
        try:
            with Path(self.place).expanduser().open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise UnreadableNews(f"{self.name}: {self.place}: {error.strerror}") from None
        return self._bounded(content)

    def _fetched(self) -> bytes:
        for attempt in range(_TRIES):
            try:
                return self._bounded(self._streamed())
            except httpx.HTTPError as error:
                reason = type(error).__name__
                if attempt + 1 < _TRIES:
                    time.sleep(0.5)
        raise UnreadableNews(f"{self.name}: {self.host} cannot be read ({reason})")

    def _streamed(self) -> bytes:
        """The body, up to a little more than may be; it must come within `_MOST_SECONDS`."""
        until, content = time.monotonic() + _MOST_SECONDS, bytearray()
        client = httpx.Client(
            timeout=httpx.Timeout(20, connect=10),
            follow_redirects=True,
            max_redirects=_MOST_REDIRECTS,
            headers={"Accept": _ACCEPT, "User-Agent": "bsky_assets"},
        )
        with client, client.stream("GET", self.place) as response:
            if not response.is_success:
                raise UnreadableNews(f"{self.name}: {self.host} answers {response.status_code}")
            for piece in response.iter_bytes(65_536):
                content += piece
                if len(content) > MOST_BYTES:
                    break
                if time.monotonic() > until:
                    raise UnreadableNews(f"{self.name}: {self.host} takes too long")
        return bytes(content)

    def _bounded(self, content: bytes) -> bytes:
        if len(content) > MOST_BYTES:
            raise UnreadableNews(
                f"{self.name}: it is longer than {MOST_BYTES // 10**6} MB; name a shorter feed or "
                "list, or split the file"
            )
        return content
