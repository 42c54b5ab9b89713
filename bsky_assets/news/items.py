"""An article as a source has it, before it is known whether there is a copy already."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_MOST_CHARACTERS = 2_000
_LONGEST_URL = 2_000
_TRACKING = re.compile(
    r"(?:utm_\w+|fbclid|gclid|dclid|msclkid|mc_[ce]id|igshid|ref(?:_?src)?|cmpid|smid|ocid)$",
    re.IGNORECASE,
)
_PORTS = {"http": 80, "https": 443}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")
_UNREAD = frozenset({"script", "style", "template"})


@dataclass(frozen=True, slots=True)
class Item:
    """What one source says of one article."""

    url: str
    """Canonical."""
    title: str
    text: str
    outlet: str | None
    """The outlet's name, where a list or a file gives it."""
    language: str | None
    published_at: datetime | None
    """The later of publication and update, in UTC."""
    link: str = ""
    """The address as the source gives it."""

    @property
    def id(self) -> str:
        """16 hex digits that the URL decides."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def with_text(self, text: str) -> "Item":
        """The article with another text."""
        return replace(self, text=plain(text, _MOST_CHARACTERS))


def make_item(
    url: object,
    title: object,
    text: object = None,
    *,
    outlet: object = None,
    language: object = None,
    dates: tuple[datetime | None, ...] = (),
) -> Item | None:
    """The article, or None where it has no title or no usable address."""
    address, named = canonical(url), plain(title, 300)
    if address is None or not named:
        return None
    code = str(language or "").strip().lower().partition("-")[0]
    known = [date for date in dates if date]
    return Item(
        address,
        named,
        plain(text, _MOST_CHARACTERS),
        plain(outlet, 100) or None,
        _LANGUAGES.get(code, code if len(code) in (2, 3) else None),
        max(known, default=None),
        str(url).strip(),
    )


_LANGUAGES = {"english": "en", "spanish": "es", "german": "de", "french": "fr", "eng": "en"}


def canonical(url: object) -> str | None:
    """The address without what differs between links to the same page; None if it is none.

    Scheme, www., the usual port, the fragment, marks of campaigns and a final slash go; parameters
    are sorted.
    """
    if not isinstance(url, str) or len(url) > _LONGEST_URL:
        return None
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return None
    if parts.scheme not in _PORTS or ("." not in host and host != "localhost"):
        return None
    netloc = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    kept = [pair for pair in parse_qsl(parts.query) if not _TRACKING.match(pair[0])]
    path = parts.path.rstrip("/") or "/"
    return urlunsplit(("https", netloc, path, urlencode(sorted(kept)), ""))


def plain(markup: object, characters: int) -> str:
    """The words of a text that may be HTML, on one line, cut off after so many characters."""
    if not isinstance(markup, str):
        return ""
    text = markup[: characters * 20]
    if "<" in text:
        reader = _Words()
        reader.feed(text)
        reader.close()
        text = " ".join(reader.words)
    text = unicodedata.normalize("NFC", _UNPRINTABLE.sub(" ", unescape(text)))
    text = " ".join(text.encode("utf-8", "ignore").decode().split())
    return text if len(text) <= characters else text[: characters - 1] + "…"


class _Words(HTMLParser):
    """Collects the words of a page that a reader would see."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread += tag in _UNREAD

    def handle_endtag(self, tag: str) -> None:
        self._unread -= tag in _UNREAD and self._unread > 0

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.words.append(data)


def instant(text: object) -> datetime | None:
    """A date as files and lists write it, in UTC; without a zone it is UTC. None if it is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            found = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None
