"""A text as a string of kinds of words, one letter a word or phrase.

What belongs here: reading the word lists and a text. What does not: which sequences are hateful.
"""

import re
from dataclasses import dataclass

from bsky_assets.filters.lexicon import any_of, lexicon, words

LETTERS = {
    "coded": "z",
    "group": "g",
    "majority": "m",
    "slur": "s",
    "accusation": "k",
    "hate": "h",
    "attacked": "V",
    "attack": "v",
    "smear": "D",
    "dehumanise": "d",
    "epithet": "a",
    "insult": "n",
    "weak_slur": "b",
    "pronoun": "t",
    "report": "r",
    "regard": "p",
    "not": "!",
    "modal": "o",
    "be": "c",
    "speaker": "i",
    "addressee": "y",
    "curse": "F",
    "filler": "f",
}
"""Kinds of words and their letters; where two kinds fit the same words, the earlier wins."""

OTHER, SENTENCE_END, PAUSE = "w", ".", ","
_ORDER = "".join(LETTERS.values()) + OTHER + SENTENCE_END + PAUSE
_PLAIN = {r"[\w']+": OTHER, r"[.!?;\n:]+": SENTENCE_END, r"[,–—()]|\s-\s": PAUSE}
_POSSESSIVE = r"(?!'s?\b|\w)"


@dataclass(frozen=True)
class Reading:
    """A text's letters, and where in the text each stands."""

    letters: str
    places: tuple[int, ...]
    text: str


class WordKinds:
    """Reads texts with the word lists of `lexicon/hate_speech.toml`."""

    def __init__(self) -> None:
        """Read the word lists.

        Raises:
            KeyError, EmptyWordList: a list is missing or empty.
        """
        terms = {
            kind: words("hate_speech", f"kinds.{kind}") for kind in LETTERS if kind not in _GROUPS
        }
        terms["group"] = tuple(
            term
            for key in lexicon("hate_speech")["groups"]
            for term in words("hate_speech", f"groups.{key}")
        )
        terms["majority"] = words("hate_speech", "majority.groups")
        self.terms = terms
        self._kinds = [
            (LETTERS[kind], re.compile(any_of(found) + (_POSSESSIVE if kind in _GROUPS else "")))
            for kind, found in terms.items()
        ] + [(letter, re.compile(pattern)) for pattern, letter in _PLAIN.items()]

    def read(self, text: str) -> Reading:
        """The reading of a folded text: at each place the longest phrase that some list knows."""
        spans = [
            (match.start(), -match.end(), _ORDER.index(letter), letter)
            for letter, pattern in self._kinds
            for match in pattern.finditer(text)
        ]
        letters, places, reached = [], [], 0
        for start, end, _, letter in sorted(spans):
            if start >= reached:
                letters.append(letter)
                places.append(start)
                reached = -end
        return Reading("".join(letters), tuple(places), text)


_GROUPS = ("group", "majority")
