"""The kinds of sources of news, a file each, found by their files.

What belongs here: of each kind its `KIND`: how what it sends is known, and how it is read. What
does not: fetching it (`fetching`), and what becomes of its articles (`collecting`).
Bytes come in, articles go out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from bsky_assets.errors import UserError
from bsky_assets.news.items import Item


class UnreadableNews(UserError):
    """A source of news cannot be had, or has nothing that can be read."""


@dataclass(frozen=True)
class Kind:
    """One kind of source."""

    name: str
    is_mine: Callable[[str, bytes], bool]
    """Whether content is of this kind, by the name of its place and its first bytes."""
    read: Callable[[str, bytes], Iterable[Item | None]]
    """Its articles, None for each that cannot be used, given the name of its place and the content.

    Raises ValueError where it is broken; those before it are good.
    """


def kind_of(place: str, content: bytes) -> Kind:
    """The kind of source that sent `content`; a feed unless it is known to be another."""
    others = (kind for kind in KINDS.values() if kind.name != "feed")
    return next((kind for kind in others if kind.is_mine(place, content[:2_000])), KINDS["feed"])


KINDS: dict[str, Kind] = {}
"""By name; filled when they are first imported, since each imports `Kind`."""


def _load() -> None:
    for module in iter_modules(__path__):
        kind: Kind = import_module(f"{__name__}.{module.name}").KIND
        KINDS[kind.name] = kind


_load()
