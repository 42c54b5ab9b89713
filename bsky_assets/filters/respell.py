"""Misspelt words of a list: letters swapped or left out, spaces left out or put in.

A spelling counts as a word of the list only if it is no English word itself. What does not belong
here: digits and signs for letters, which `unmask` reads.
"""

import re
from collections.abc import Iterable

import pyarrow as pa

from bsky_assets.filters.lexicon import any_of
from bsky_assets.filters.normalise import where

_LEAST_LETTERS_SWAPPED = 4
_LEAST_LETTERS_LEFT_OUT = 6
_TOKEN = re.compile(r"[a-z]+")


class Respeller:
    """Puts the spelling of wanted words right."""

    def __init__(self, wanted: Iterable[str], known: Iterable[str]) -> None:
        """Look for misspelt `wanted` words; `known` words are never taken for one."""
        self._wanted = frozenset(wanted)
        known = frozenset(known) | self._wanted
        self._variants = {
            variant: word
            for word in sorted(self._wanted)
            for variant in _slips(word)
            if variant not in known
        }
        self._suspicious = any_of(self._variants)

    def __call__(self, texts: pa.StringArray) -> pa.StringArray:
        """`texts` (folded), misspelt words of the list put right."""
        return where(texts, self._suspicious, self.right)

    def right(self, text: str) -> str:
        """One text, misspelt words of the list put right."""
        return _TOKEN.sub(lambda match: self._variants.get(match.group(), match.group()), text)


def _slips(word: str) -> Iterable[str]:
    """Spellings with two neighbouring letters swapped, or one after the first left out."""
    if len(word) >= _LEAST_LETTERS_SWAPPED:
        for place in range(len(word) - 1):
            yield word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    if len(word) >= _LEAST_LETTERS_LEFT_OUT:
        for place in range(1, len(word)):
            yield word[:place] + word[place + 1 :]
