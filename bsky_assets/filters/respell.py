"""Misspelt words of a list: letters swapped or left out, spaces left out or put in.

A spelling counts as a word of the list only if it is no English word itself. Looking at every
word costs more than all other rules together, so that only texts with a sign are looked at: a
telling word that is spelt well, or one that is run together with others. What does not belong
here: digits and signs for letters, which `unmask` reads.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise

import pyarrow as pa

from bsky_assets.filters.lexicon import any_of
from bsky_assets.filters.normalise import where

_LEAST_LETTERS_SWAPPED = 4
_LEAST_LETTERS_LEFT_OUT = 5
_LEAST_LETTERS_SPLIT = 5
_LEAST_LETTERS_RUN_TOGETHER = 8
_MOST_LETTERS_RUN_TOGETHER = 40
_REMEMBERED = 20_000
_TOKEN = re.compile(r"[a-z]+")


class Respeller:
    """Puts the spelling of wanted words right."""

    def __init__(
        self,
        wanted: Iterable[str],
        signs: Iterable[str],
        marked: Iterable[str],
        phrases: Iterable[str],
        known: Iterable[str],
    ) -> None:
        """Look for misspelt `wanted` words in texts with one of `signs`, or run into `marked` ones.

        So do `phrases` that are run together.
        A word of `known` is never taken for a misspelling.
        """
        self._wanted = frozenset(wanted)
        self._known = frozenset(known) | self._wanted
        self._slips = {
            slip: word
            for word in sorted(self._wanted)
            for slip in _slips(word)
            if slip not in self._known
        }
        for phrase in phrases:
            if (glued := re.sub("[ ']", "", phrase)) not in self._known:
                self._slips[glued] = phrase
        self._splits = {
            (word[:place], word[place:]): word
            for word in sorted(self._wanted)
            if len(word) >= _LEAST_LETTERS_SPLIT
            for place in range(1, len(word))
            if not {word[:place], word[place:]} <= self._known
        }
        glued = "|".join(sorted(marked, key=len, reverse=True))
        self._glued = re.compile(glued)
        self._signs = rf"{any_of(signs)}|[a-z](?:{glued})|(?:{glued})[a-z]"
        self._word = lru_cache(_REMEMBERED)(self._find_word)

    def __call__(self, texts: pa.StringArray) -> pa.StringArray:
        """`texts` (folded), misspelt words of the list put right."""
        return where(texts, self._signs, self.right)

    def right(self, text: str) -> str:
        """One text, misspelt words of the list put right."""
        words = _TOKEN.findall(text)
        if not self._splits.keys().isdisjoint(pairwise(words)):
            for pair in pairwise(words):
                if word := self._splits.get(pair):
                    text = re.sub(rf"\b{pair[0]}[\s_-]+{pair[1]}\b", word, text)
            words = _TOKEN.findall(text)
        if all(self._word(word) == word for word in words):
            return text
        return _TOKEN.sub(lambda match: self._word(match.group()), text)

    def _find_word(self, token: str) -> str:
        """What a token stands for: a word that it misspells, several run together, or itself."""
        token = self._slips.get(token, token)
        return self._find_parts(token) if self._glued.search(token) else token

    def _find_parts(self, token: str) -> str:
        """The words that a token is run together from, or the token itself."""
        if (
            token in self._known
            or not _LEAST_LETTERS_RUN_TOGETHER <= len(token) <= _MOST_LETTERS_RUN_TOGETHER
        ):
            return token
        best: list[list[str] | None] = [[]] + [None] * len(token)
        for end in range(1, len(token) + 1):
            for start in range(end):
                before, word = best[start], token[start:end]
                if before is not None and self._is_part(word):
                    found = [*before, word]
                    if best[end] is None or len(found) < len(best[end] or found):
                        best[end] = found
        return " ".join(best[-1] or [token])

    def _is_part(self, word: str) -> bool:
        return word in ("i", "a") or (len(word) > 1 and word in self._known)


def _slips(word: str) -> Iterator[str]:
    """Spellings with two neighbouring letters swapped, or one after the first left out."""
    if len(word) >= _LEAST_LETTERS_SWAPPED:
        for place in range(len(word) - 1):
            yield word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    if len(word) >= _LEAST_LETTERS_LEFT_OUT:
        for place in range(1, len(word)):
            yield word[:place] + word[place + 1 :]
