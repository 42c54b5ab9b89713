"""Word lists: read from their files, and made into patterns that Arrow and Python both take."""

import re
from collections.abc import Iterable
from typing import Any

from bsky_assets.contracts.verdicts import declarations

_LETTER = re.compile(r"\w")


class EmptyWordList(ValueError):
    """A word list has no words, so that the filter that needs it could stop nothing."""


def lexicon(name: str) -> dict[str, Any]:
    """What the file of a filter has, word lists and rules among it.

    Raises:
        KeyError: there is no such filter.
    """
    return declarations()[name]


def words(name: str, key: str) -> tuple[str, ...]:
    """One list of a file: a TOML list of terms, or words in one string. Dots lead into tables.

    Raises:
        KeyError: the file has no such list.
        EmptyWordList: the list is empty.
    """
    stored: Any = lexicon(name)
    for part in key.split("."):
        stored = stored[part]
    found = tuple(stored.split() if isinstance(stored, str) else stored)
    if not found:
        raise EmptyWordList(f"{key} in {name}.toml is empty")
    return found


def any_of(terms: Iterable[str]) -> str:
    """A pattern that matches one of `terms` as whole words.

    A term is a regular expression fragment in lower case; a space in it matches a space, a hyphen,
    an underscore or nothing. A term of signs alone, such as an emoji, matches anywhere.
    """
    fragments = sorted({term.replace(" ", "[ _-]?") for term in terms}, key=len, reverse=True)
    if not fragments:
        raise EmptyWordList("a pattern of no words would match everything")
    signs = [fragment for fragment in fragments if not _LETTER.search(fragment)]
    with_letters = [fragment for fragment in fragments if _LETTER.search(fragment)]
    parts = [rf"\b(?:{'|'.join(with_letters)})\b"] if with_letters else []
    return "|".join([*parts, *signs])
