"""Disguised words: written in digits and signs, spaced out, drawn out, or with letters starred.

A disguise is taken off only where a word of a list comes out, so that `3am`, `mp3` and `b b c`
stay as they are. What does not belong here: look-alike letters, which `normalise` folds.
"""

import re
from functools import lru_cache
from itertools import product

import pyarrow as pa

from bsky_assets.filters.words.normalise import where

_SIGNS = str.maketrans("013457@$!|+8", "oieastasiltb")
_ALTERNATIVE_SIGNS = str.maketrans("01345679@$!|+8", "oleastgqaslitb")
_TOKEN = re.compile(r"(?<![\w@$!|+*])[\w@$!|+*]*[a-z][\w@$!|+*]*", re.ASCII)
_SPACED = re.compile(r"(?<!\w)[a-z0-9@$!](?:[\s.*_\-]{1,3}[a-z0-9@$!](?!\w)){2,}")
_DRAWN_OUT = re.compile(r"(\w)\1{2,}")
_SUSPICIOUS = (
    r"[a-z][0-9@$!|+*]+[a-z]|(?:^|\s)[0-9$!][a-z]{2}|[a-z]{2}[0-9$]+(?:\s|$)"
    r"|\b[a-z0-9](?:[\s.*_\-]{1,3}[a-z0-9@$!]\b){2,}|"
    + "|".join(f"{letter}{{3}}" for letter in "abcdefghijklmnopqrstuvyz")
)
_MOST_STARS = 3
_REMEMBERED = 65_536
"""Words of which it is remembered what they may stand for: the same come again and again."""


class Unmasker:
    """Takes disguises off the words that a pattern looks for."""

    def __init__(self, wanted: str) -> None:
        """Look for words that match `wanted` whole."""
        self._wanted = re.compile(wanted)
        self._found = lru_cache(_REMEMBERED)(self._behind)

    def __call__(self, texts: pa.StringArray) -> pa.StringArray:
        """`texts` (folded), disguised words written plainly."""
        return where(texts, _SUSPICIOUS, self.plain)

    def plain(self, text: str) -> str:
        """One text, disguised words written plainly."""
        text = _SPACED.sub(self._joined, text)
        return _TOKEN.sub(self._undisguised, text)

    def _joined(self, match: re.Match[str]) -> str:
        spaced = match.group()
        letters = re.sub(r"[\s.*_\-]", "", spaced)
        if found := self._found(letters):
            return found
        first, rest = letters[0], self._found(letters[1:])
        return f"{first} {rest}" if rest else spaced

    def _undisguised(self, match: re.Match[str]) -> str:
        token = match.group()
        if token.isalpha() and not _DRAWN_OUT.search(token):
            return token
        return self._found(token) or token

    def _behind(self, token: str) -> str | None:
        """The wanted word that `token` may stand for."""
        spellings = [
            token,
            token.translate(_SIGNS),
            token.translate(_ALTERNATIVE_SIGNS),
        ]
        spellings += [token.rstrip("!+|").translate(_SIGNS)]
        for spelling in dict.fromkeys(spellings):
            for candidate in _candidates(spelling):
                if self._wanted.fullmatch(candidate):
                    return candidate
        return None


def _candidates(spelling: str) -> list[str]:
    """Readings of a spelling: drawn-out letters once or twice, stars as vowels."""
    readings = [spelling]
    if _DRAWN_OUT.search(spelling):
        readings = [_DRAWN_OUT.sub(r"\1", spelling), _DRAWN_OUT.sub(r"\1\1", spelling)]
    stars = spelling.count("*")
    if not 0 < stars <= _MOST_STARS:
        return readings
    return [
        "".join(next(vowels) if letter == "*" else letter for letter in reading)
        for reading in readings
        for combination in product("aeiou", repeat=reading.count("*"))
        for vowels in [iter(combination)]
    ]
