"""Misspelt words: run together, torn or spaced apart, with a letter left out or two swapped.

A spelling is put right only where a word of a list comes out of it, and no word that English has is
rewritten. What does not belong here: signs for letters in a word by itself (`disguises`).
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.words.normalise import replaced

_SPACED = re.compile(r"(?<![\w'])[a-z](?:[\s.*_\-]{1,3}[a-z](?![\w'])){3,}")
_SPACED_OUT = r"\b[a-z](?:[\s.*_\-]{1,3}[a-z]\b){3,}"
_SEPARATORS = re.compile(r"[\s.*_\-]+")
_LONG = re.compile(r"(?<![\w'])[a-z]{7,}(?![\w'])")
_WORD = re.compile(r"(?<![\w'@])[a-z]{3,}(?![\w'])")
_LEET = re.compile(r"(?<![\w@])(?=\w*[a-z])(?=\w*[013457])[a-z013457]{3,}(?!\w)")
_IN_DIGITS = r"[a-z][013457]+[a-z]|\b[013457][a-z]{2}|[a-z]{2}[013457]\b"
_DIGITS = str.maketrans("013457", "oieast")
_TORN = re.compile(r"(?<![\w'])[a-z]{1,6}(?: [a-z]{1,6}(?![\w']))+")
_SHORT_WORD = re.compile(r"(?<![\w'])[a-z]{1,6}(?![\w'])")
_NOT_LETTERS = r"[^a-z]+"
_LEAST_LETTERS = 4
"""Letters of a word of a list that is looked for in others."""
_LEAST_TO_LOSE_TWO = 7
"""Letters of a word that may have lost two."""
_LEAST_JOINED = 3
"""Words that run together: of two many names and words are made."""
_MOST_TORN = 3
"""Pieces that a word is torn into."""
_LEAST_UNKNOWN = 2
"""Pieces of a torn word that are no words themselves."""
_REMEMBERED = 65_536
"""Words of which it is remembered what they are made of: the same come again and again."""
_FEW_LETTERS = 4
_MANY_UNKNOWN = 3
"""So many unknown words of few letters make a text one of torn words."""
_SHORT = frozenset(
    ["am", "an", "as", "at", "be", "by", "do", "go", "he", "if", "in", "is", "it", "me", "my", "no",
     "of", "on", "or", "so", "to", "up", "us", "we"]
)  # fmt: skip


class Speller:
    """Puts right the spelling of the words that lists have."""

    def __init__(self, wanted: Iterable[str], known: Iterable[str], alike: Iterable[str]) -> None:
        """Look for `wanted` words; `known` and rare words that look `alike` are not misspelt."""
        self._wanted = frozenset(word for word in wanted if len(word) >= _LEAST_LETTERS)
        self._known, self._alike = self._wanted | frozenset(known), frozenset(alike)
        self._misspelt = _misspelt(self._wanted, self._known | self._alike)
        inside = "|".join(sorted(word for word in self._wanted if word.isalpha()))
        self._joined = rf"(?:{inside})[a-z]{{3}}|[a-z]{{3}}(?:{inside})"
        self._words_in = lru_cache(_REMEMBERED)(self._taken_apart)

    def __call__(self, texts: pa.StringArray) -> pa.StringArray:
        """`texts` (folded), words put right."""
        return replaced(
            texts,
            self._chosen(texts),
            lambda chosen: pa.array([self.plain(text) for text in chosen.to_pylist()], pa.string()),
        )

    def _chosen(self, texts: pa.StringArray) -> pa.BooleanArray:
        """Texts that may have something to put right."""
        listed = pc.split_pattern_regex(pc.fill_null(texts, ""), _NOT_LETTERS)
        owners = pc.list_parent_indices(listed).to_numpy()
        # What is asked of a word is asked once, however many texts have it.
        words = listed.flatten().dictionary_encode()
        places, distinct = words.indices.to_numpy(), words.dictionary.to_pylist()
        unknown = [len(word) <= _FEW_LETTERS and word not in self._known for word in distinct]
        misspelt = np.array([word in self._misspelt for word in distinct], dtype=bool)
        joined = self._run_together(words.dictionary)
        counted = np.bincount(owners[np.array(unknown, dtype=bool)[places]], minlength=len(texts))
        chosen: np.ndarray = counted >= _MANY_UNKNOWN
        chosen[owners[(misspelt | joined)[places]]] = True
        for pattern in (_SPACED_OUT, _IN_DIGITS):
            matches = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
            chosen |= matches.to_numpy(zero_copy_only=False)
        return pa.array(chosen)

    def _run_together(self, words: pa.StringArray) -> np.ndarray:
        """Words that run together from others, one of a list among them."""
        found: np.ndarray = np.array(pc.match_substring_regex(words, self._joined), dtype=bool)
        places = np.flatnonzero(found)
        named = words.take(pa.array(places)).to_pylist()
        found[places] = [bool(self._apart(word, "")) for word in named]
        return found

    def plain(self, text: str) -> str:
        """One text, words put right."""
        text = _LEET.sub(self._in_letters, text)
        text = _SPACED.sub(lambda found: self._apart(_SEPARATORS.sub("", found[0]), found[0]), text)
        apart = _LONG.sub(lambda found: self._apart(found[0], found[0]), text)
        if apart != text:
            text = _LONG.sub(lambda found: " ".join(self._words_in(found[0])) or found[0], apart)
        if not self._known.issuperset(_SHORT_WORD.findall(text)):
            text = _TORN.sub(lambda found: " ".join(self._mended(found[0].split(" "))), text)
        if not self._misspelt.keys().isdisjoint(_WORD.findall(text)):
            text = _WORD.sub(lambda found: self._misspelt.get(found[0], found[0]), text)
        return text

    def _in_letters(self, found: re.Match[str]) -> str:
        letters = found[0].translate(_DIGITS)
        return letters if letters in self._known and found[0] not in self._alike else found[0]

    def _apart(self, letters: str, otherwise: str) -> str:
        """The words that run together in `letters`, if one of a list is among them."""
        words = self._words_in(letters)
        enough = len(words) >= _LEAST_JOINED and self._wanted.intersection(words)
        return " ".join(words) if enough else otherwise

    def _taken_apart(self, letters: str) -> tuple[str, ...]:
        """The fewest known words that `letters` are made of, words of a list first."""
        if letters in self._known or letters in self._alike:
            return (letters,)

        @cache
        def best(start: int) -> tuple[float, tuple[str, ...]]:
            if start == len(letters):
                return 0.0, ()
            ways = [
                (self._cost(word) + cost, (word, *rest))
                for end in range(start + 1, min(len(letters), start + 16) + 1)
                if (word := letters[start:end]) in self._known
                and (len(word) >= 3 or word in _SHORT or (word == "i" and not start))
                for cost, rest in [best(end)]
            ]
            return min(ways, default=(np.inf, ()))

        cost, words = best(0)
        return words if cost < np.inf else ()

    def _cost(self, word: str) -> float:
        return 1.0 + (len(word) < 3) / 2 - (word in self._wanted) / 4

    def _mended(self, pieces: list[str]) -> Iterator[str]:
        """Words, torn ones of a list put together."""
        unknown = [piece not in self._known for piece in pieces]
        if sum(unknown) < _LEAST_UNKNOWN:
            yield from pieces
            return
        at = 0
        while at < len(pieces):
            for count in range(_MOST_TORN, 1, -1):
                is_torn = sum(unknown[at : at + count]) >= _LEAST_UNKNOWN
                if is_torn and "".join(pieces[at : at + count]) in self._wanted:
                    break
            else:
                count = 1
            yield "".join(pieces[at : at + count])
            at += count


@lru_cache(maxsize=1)
def _misspelt(words: frozenset[str], known: frozenset[str]) -> dict[str, str]:
    """Spellings that are no words, each with the one word that it may stand for."""
    stands_for: dict[str, str] = {}
    for word in sorted(words):
        for spelling in _spellings(word) - known:
            stands_for[spelling] = word if stands_for.get(spelling, word) == word else ""
    return {spelling: word for spelling, word in stands_for.items() if word}


def _spellings(word: str) -> set[str]:
    """How a word looks with a letter left out, swapped or doubled, or with z for a last s."""
    shorter = {word[:at] + word[at + 1 :] for at in range(1, len(word))}
    swapped = {
        word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(1, len(word) - 1)
    }
    if len(word) >= _LEAST_TO_LOSE_TWO:
        shorter |= {one[:at] + one[at + 1 :] for one in shorter for at in range(1, len(one))}
    doubled = {word[:at] + word[at] + word[at:] for at in range(1, len(word))}
    plural = {word[:-1] + "z"} if word.endswith("s") else set()
    return shorter | swapped | doubled | plural
