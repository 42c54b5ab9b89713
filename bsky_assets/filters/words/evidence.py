"""Evidence: what the words of a text, near those whom it names, weigh together.

Every name of a group counts as the same word, so that no group's name is evidence by itself. What
a weight was learnt from is in `models/NOTICE`; `filters/measuring/weights.py` learns them. What
belongs here: reading signs and adding them up. What does not: lists and weights.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from bsky_assets.filters.words.rules import TRANSPARENT, Reader, Reading

_WORD = re.compile(r"([^\s/]+)/(\S*) |([.,:?]) ")
_LISTED = re.compile(r"(?:/(\S*)|[.,:?]) ")
_MARKED = re.compile(r"[^\w' {}]")
"""Signs that say where a word stands, which a reason leaves out."""
_SPELT = re.compile(r"\S+")
_GROUP = "GROUP"
_NEAR = 4
"""How many words from a name a word is near."""
_DENIED = 4
"""How many words after a negation are denied by it."""
_BANDS = ((-9, -3, "<<"), (-2, -1, "<"), (1, 2, ">"), (3, 8, ">>"))
"""Where a word of a list stands, seen from a name."""
_MOST_WORDS = 80
"""More words than a post has room for: in long texts small signs add up."""
_SHOWN = 3
"""Signs in a reason."""

Word = tuple[str, frozenset[str]]
"""A word, and the lists that it is in, each with `~` where a negation comes before."""


class Evidence:
    """Weighs what is said of those who are named."""

    def __init__(
        self,
        declared: Mapping[str, Any],
        lists: Mapping[str, Iterable[str]],
        weights: Mapping[str, float],
    ) -> None:
        """Take what `hate_speech.toml` declares, and the weight of each sign."""
        self._named = frozenset(declared["named"])
        self._grave = frozenset(declared["grave"])
        self._about, self._loose = frozenset(declared["about"]), frozenset(declared["loose"])
        self._never = frozenset(declared["never"])
        self._insults = frozenset(declared["insults"])
        self._excuses = frozenset(declared["excuses"])
        self._excused: float = declared["excused"]
        self._not_grave: float = declared["not_grave"]
        self.enough: float = declared["enough"]
        self._spelt = dict(one.partition("=")[::2] for one in declared["spellings"])
        used = {*self._named, *self._never, *self._excuses, *declared["signs"]} & lists.keys()
        self._reader = Reader({**{name: lists[name] for name in sorted(used)}, **declared["lists"]})
        self._weights = weights

    def spelt(self, text: str) -> str:
        """A folded text with common short forms written out."""
        return _SPELT.sub(lambda found: self._spelt.get(found[0], found[0]), text)

    def read(self, text: str) -> Reading:
        """The reading of a folded text, its short forms written out."""
        return self._reader.read(text)

    def least(self, reading: Reading) -> float:
        """What the signs of a text have to weigh: more where it has an excuse or no grave word.

        No sum is enough where nobody is named by what is a group's name alone or stands before an
        insult, nor where a list says that rules alone judge, nor in a text longer than a post.
        """
        if self._never & reading.lists or not (self._about | self._loose) & reading.lists:
            return math.inf
        listed = [
            frozenset((found[1] or "").split("+")) for found in _LISTED.finditer(reading.words)
        ]
        named = any(self._about & lists and not self._loose & lists for lists in listed) or any(
            self._loose & lists and self._insults & after for lists, after in pairwise(listed)
        )
        if not named or len(listed) > _MOST_WORDS:
            return math.inf
        excused = self._excused if self._excuses & reading.lists else 0.0
        return self.enough + excused + (0.0 if self._grave & reading.lists else self._not_grave)

    def signs(self, reading: Reading) -> set[str]:
        words = list(_denied(self._masked(reading.words)))
        return {*_words(words), *_lists(words)}

    def reason(self, text: str) -> str | None:
        """Why a folded text is stopped, with the signs that weigh most, if they weigh enough."""
        reading = self.read(text)
        if (least := self.least(reading)) == math.inf:
            return None
        weighed = {one: self._weights.get(one, 0.0) for one in self.signs(reading)}
        # Exact, so that it does not depend on the order of a set, which is another in each process.
        total = math.fsum([self._weights["bias"], *weighed.values()])
        if total < least:
            return None
        plain = [one for one in weighed if not _MARKED.search(one)]
        most = sorted(plain, key=lambda one: (-weighed[one], one))[:_SHOWN]
        return f"weights:attack p={1 / (1 + math.exp(-total)):.2f} {', '.join(most)}"

    def _masked(self, words: str) -> Iterator[Word]:
        """Words and punctuation; names of groups are one word, and so are several in a row."""
        last = ""
        for match in _WORD.finditer(words):
            lists = frozenset((match[2] or "").split("+")) - {""}
            word = match[1] or match[3]
            if lists & self._named:
                word = _GROUP
            if not word == last == _GROUP:
                yield word, lists - self._named
            last = word


def _denied(words: Iterable[Word]) -> Iterator[Word]:
    """Words in the reach of a negation are marked."""
    left = 0
    for word, lists in words:
        if word in ".,:?":
            left = 0
        if left and word != _GROUP:
            yield f"~{word}", frozenset(f"~{name}" for name in lists)
        else:
            yield word, lists
        left = _DENIED if TRANSPARENT in lists else max(0, left - 1)


def _places(words: Sequence[Word]) -> list[int]:
    return [place for place, (word, _) in enumerate(words) if word == _GROUP]


def _words(words: Sequence[Word]) -> Iterator[str]:
    """Words, pairs of words, and words before and after a name."""
    plain = [word for word, _ in words]
    yield from plain
    yield from (f"{one} {other}" for one, other in zip(["^", *plain], [*plain, "$"], strict=True))
    for place in _places(words):
        yield from (f"{word} <" for word in plain[max(0, place - _NEAR) : place])
        yield from (f"> {word}" for word in plain[place + 1 : place + 1 + _NEAR])


def _lists(words: Sequence[Word]) -> Iterator[str]:
    """Lists that have a word in the text, and where from a name; how the clause of one begins."""
    yield from (f"{{{name}}}" for _, lists in words for name in lists)
    for place in _places(words):
        start = place
        while start and words[start - 1][0] not in ".,:?":
            start -= 1
        yield f"^{min(3, place - start)} {words[start][0]}"
        yield from (f"^ {{{name}}}" for name in words[start][1])
        for first, last, band in _BANDS:
            near = words[max(0, place + first) : max(0, place + last + 1)]
            yield from (f"{band} {{{name}}}" for _, lists in near for name in lists)


def read_weights(path: Path) -> dict[str, float]:
    """Weights by sign, from lines of a weight, a tabulator and a sign.

    Raises:
        OSError, ValueError: the file is not there or is no such file.
    """
    rows = (line.split("\t") for line in path.read_text().split("\n") if line[:1] not in ("#", ""))
    return {sign: float(weight) for weight, sign in rows}
