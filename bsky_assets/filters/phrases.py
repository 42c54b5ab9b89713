"""Phrases of words: looked up in a text word by word, the longest first.

Terms are fragments of regular expressions of a small kind (alternatives, optional parts, classes
of letters), so that they can be written out in full: a lookup in a dictionary costs a small part
of what matching hundreds of alternatives costs.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

_TOKEN = re.compile(r"'re\b|[a-z0-9]+(?:'(?!re\b)[a-z]+)*|[.!?;\n:]+|[,–—()]+|(?<=\s)-(?=\s)")
_SENTENCE_END, _PAUSE = ".", ","


@dataclass(frozen=True)
class Reading:
    """A text's letters, and where in the text each phrase begins."""

    letters: str
    places: tuple[int, ...]
    text: str


class PhraseBook:
    """Phrases, and a letter for each that says what kind it is."""

    def __init__(self, kinds: Mapping[str, Iterable[str]], other: str) -> None:
        """Write out the terms of each letter; earlier letters win, `other` is for unknown words.

        Raises:
            ValueError: a term has syntax that cannot be written out.
        """
        self._other = other
        self._letters: dict[str, str] = {}
        for letter, terms in kinds.items():
            for term in terms:
                for phrase in written_out(term):
                    self._letters.setdefault(" ".join(_TOKEN.findall(phrase)), letter)
        lengths: dict[str, set[int]] = {}
        for phrase in self._letters:
            first, *rest = phrase.split(" ")
            lengths.setdefault(first, set()).add(1 + len(rest))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def read(self, text: str) -> Reading:
        """The reading of a folded text: at each word the longest phrase that is known."""
        found = [(match.group(), match.start()) for match in _TOKEN.finditer(text)]
        tokens = [token for token, _ in found]
        letters, places, at = [], [], 0
        while at < len(tokens):
            letter, taken = self._look_up(tokens, at)
            letters.append(letter)
            places.append(found[at][1])
            at += taken
        return Reading("".join(letters), tuple(places), text)

    def _look_up(self, tokens: list[str], at: int) -> tuple[str, int]:
        first = tokens[at]
        left = len(tokens) - at
        for count in self._lengths.get(first, ()):
            if count <= left and (letter := self._letters.get(" ".join(tokens[at : at + count]))):
                return letter, count
        if first[0] in ".!?;\n:":
            return _SENTENCE_END, 1
        return (self._other if first[0].isalnum() or first[0] == "'" else _PAUSE), 1


def written_out(term: str) -> Iterator[str]:
    """Every phrase that a term stands for.

    Raises:
        ValueError: the term has syntax other than `(?:a|b)`, `?` and `[ab]`.
    """
    phrases, rest = _alternatives(term)
    if rest:
        raise ValueError(f"cannot write out {term!r}: {rest!r} is left")
    return (" ".join(phrase.split()) for phrase in phrases)


def _alternatives(text: str) -> tuple[list[str], str]:
    """The phrases of `a|b|…` up to a closing bracket or the end, and what is left."""
    phrases: list[str] = []
    while True:
        parts, text = _sequence(text)
        phrases += ("".join(choice) for choice in product(*parts))
        if not text.startswith("|"):
            return phrases, text
        text = text[1:]


def _sequence(text: str) -> tuple[list[list[str]], str]:
    parts: list[list[str]] = []
    while text and text[0] not in "|)":
        if text.startswith("(?:"):
            part, text = _alternatives(text[3:])
            if not text.startswith(")"):
                raise ValueError("a group is not closed")
            text = text[1:]
        elif text[0] == "[":
            letters, _, text = text[1:].partition("]")
            part = list(letters)
        elif text[0] in "*+{\\.^$(":
            if not text.startswith("\\") or text[1:2].isalnum():
                raise ValueError(f"{text[0]!r} cannot be written out")
            part, text = [text[1]], text[2:]
        else:
            part, text = [text[0]], text[1:]
        if text.startswith("?"):
            part, text = ["", *part], text[1:]
        parts.append(part)
    return parts, text
