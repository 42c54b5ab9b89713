"""Passages: what a sentence and those beside it say of whom it names, where no rule fits.

Signs add up: each list of words near one that is named counts its weight, a heavy one one more for
a second word of it. What belongs here: adding up. What does not: lists and weights, which are data.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any

from bsky_assets.filters.words.lexicon import any_of
from bsky_assets.filters.words.rules import TRANSPARENT, Reader, Reading

_WORD = re.compile(r"([^\s/]+)/(\S*)|([:,])(?= )")
_MANY = re.compile(r"s$|(?:people|ppl|folk|men|women|kids|children)$")
"""Names that no other noun follows."""
_SENTENCE = re.compile(r"(?<=[.?]) ")
_BEFORE, _AFTER = 14, 18
"""How many words before and after one that is named are said of it."""
_NEAR = 3
"""How many words from a name a word of weight is said of it."""
_DENIED = 2
"""A word so near after a negation is not meant."""
_HEAVY = 2
"""The weight of a sign that can stop a post, together with others."""

Word = tuple[str, frozenset[str]]
"""A word, and the lists that it is in."""


@dataclass(frozen=True)
class Sign:
    """A list of words and what it weighs; with `beside`, only beside a word of that list."""

    list: str
    weight: int
    reason: str | None = None
    beside: str | None = None


class Passages:
    """Weighs what is said of those who are named."""

    def __init__(
        self,
        declared: Mapping[str, Any],
        signs: Sequence[Mapping[str, Any]],
        lists: Mapping[str, Iterable[str]],
    ) -> None:
        """Take the lists and weights as `hate_speech.toml` declares them, beside those of rules."""
        self._named: Mapping[str, int] = declared["named"]
        self._goes_on = frozenset(declared["goes_on"])
        self._excuses = {where: frozenset(names) for where, names in declared["excuses"].items()}
        self._speaker = frozenset(declared["speaker"])
        self._enough = declared["enough"]
        self._spelt = {one.split("=")[0]: one.split("=")[-1] for one in declared["spellings"]}
        self._misspelt = re.compile(any_of(self._spelt))
        self._adjectives = frozenset(declared["adjectives"])
        used = {TRANSPARENT, *self._named, *(one["list"] for one in signs)}.union(
            *self._excuses.values()
        )
        theirs = {name: terms for name, terms in lists.items() if name in used}
        self._reader = Reader({**theirs, **declared["lists"]})
        self._weighty = frozenset(one["list"] for one in signs if one["weight"] >= _HEAVY)
        self._signs = [
            Sign(one["list"], one["weight"], one.get("reason"), one.get("beside")) for one in signs
        ]

    def reason(self, text: str) -> str | None:
        """The reason of the weightiest sign of a passage that says enough without an excuse."""
        reading = self._reader.read(self._misspelt.sub(lambda found: self._spelt[found[0]], text))
        if not self._named.keys() & reading.lists or self._excuses["text"] & reading.lists:
            return None
        return next(filter(None, starmap(self._of, self._passages(reading))), None)

    def _passages(self, reading: Reading) -> Iterator[tuple[list[Word], int]]:
        sentences = [_words(one) for one in _SENTENCE.split(reading.words)]
        for place, sentence in enumerate(sentences):
            named = [at for at, (_, lists) in enumerate(sentence) if lists & self._named.keys()]
            if not named:
                continue
            said = sentence[max(0, named[0] - _BEFORE) : named[-1] + _AFTER]
            around = sentences[max(0, place - 1) : place], sentences[place + 1 : place + 2]
            before, after = (
                [word for one in some if self._goes_on & {name for name, _ in one} for word in one]
                for some in around
            )
            first = len(before) + min(named[0], _BEFORE)
            yield before + said + after, first

    def _excused(self, passage: Sequence[Word], first: int) -> bool:
        """Whether a passage is about what somebody else does or says."""
        before = ""
        for place, (word, lists) in enumerate(passage):
            if lists & self._excuses["others"] and before not in self._speaker:
                return True
            if place < first and (word == ":" or lists & self._excuses["before"]):
                return True
            before = word
        return False

    def _stands_alone(self, passage: Sequence[Word], place: int) -> bool:
        """Whether a name or an insult is said of people, and of no noun that comes after it."""
        word, lists = passage[place]
        named = lists & self._named.keys()
        after = passage[place + 1 : place + 2]
        if named and (
            (place and passage[place - 1][0].endswith("than"))
            or any(word.endswith("ing") and not lists for word, lists in after)
        ):
            return False
        if not lists & self._adjectives and (not named or _MANY.search(word)):
            return True
        return all(lists or word in ",:" for word, lists in after)

    def _near(self, passage: Sequence[Word], place: int) -> bool:
        """Whether a name is so near that a word of weight is said of it."""
        if not passage[place][1] & self._weighty:
            return True
        around = passage[max(0, place - _NEAR) : place + _NEAR + 1]
        return any(lists & self._named.keys() for _, lists in around)

    def _of(self, passage: Sequence[Word], first: int) -> str | None:
        if self._excused(passage, first):
            return None
        counts = Counter(
            name
            for place, (_, lists) in enumerate(passage)
            if self._stands_alone(passage, place) and self._near(passage, place)
            if lists & self._named.keys()
            or not any(TRANSPARENT in one for _, one in passage[max(0, place - _DENIED) : place])
            for name in lists
        )
        shown = [one for one in self._signs if counts[one.list] and counts[one.beside or one.list]]
        heavy = [sign for sign in shown if sign.weight >= _HEAVY]
        whom = [weight for name, weight in self._named.items() if counts[name]]
        if not heavy or not whom:
            return None
        score = max(whom)
        score += sum(sign.weight for sign in shown) + sum(counts[sign.list] > 1 for sign in heavy)
        if score < self._enough:
            return None
        return f"rule:{max(heavy, key=lambda sign: sign.weight).reason}"


def _words(sentence: str) -> list[Word]:
    return [
        ((match[1] or match[3]).replace("_", " "), frozenset((match[2] or "").split("+")) - {""})
        for match in _WORD.finditer(sentence)
    ]
