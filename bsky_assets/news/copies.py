"""Which articles are near copies of one another, as agencies' articles are in many outlets.

Sketches find those that may be, and of these the words decide.
Source: A. Broder, On the resemblance and containment of documents, 1997.
"""

import re
from collections import defaultdict
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bsky_assets.filters.facts.campaigns import sketch

_BANDS = 6
_ALIKE = 0.7
"""Jaccard similarity of pairs of words from which on two articles are one."""
_SAME_NAMES = 0.8
"""The same of their names and numbers."""
_FEWEST = 4
"""Words that both must have."""
_NAME = re.compile(r"(?<=[\w,;] )[A-Z]\w+|\d+")
_WORD = re.compile(r"\w+")
_PADDING = " " * 16
"""A sketch needs texts that are longer than a shingle."""


class Copies:
    """Articles by their words; each is known by an identifier."""

    def __init__(self) -> None:
        self._words: dict[str, _Words] = {}
        self._bands: list[dict[bytes, list[str]]] = [defaultdict(list) for _ in range(_BANDS)]

    def add(self, identifier: str, title: str, text: str) -> None:
        """Know an article by its text or, where it has none to speak of, by its title."""
        words = self._words[identifier] = _words(title, text)
        for band, key in zip(self._bands, _keys(words.text), strict=True):
            band[key].append(identifier)

    def find(self, title: str, text: str) -> str | None:
        """The identifier of an article of which this is a near copy, the first that was added."""
        words = _words(title, text)
        if len(words.pairs) < _FEWEST - 1:
            return None
        near = [
            identifier
            for band, key in zip(self._bands, _keys(words.text), strict=True)
            for identifier in band.get(key, ())
        ]
        copied = (one for one in near if _is_copy(words, self._words[one]))
        return next(copied, None)


class _Words(NamedTuple):
    text: str
    pairs: frozenset[tuple[str, str]]
    names: frozenset[str]
    """Words with a capital that begin no sentence, and numbers."""


def _words(title: str, text: str) -> _Words:
    chosen = text if len(_WORD.findall(text)) >= _FEWEST else title
    words = _WORD.findall(chosen.lower())
    return _Words(chosen, frozenset(pairwise(words)), frozenset(_NAME.findall(chosen)))


def _is_copy(one: _Words, other: _Words) -> bool:
    """Whether two say the same of the same: reports of two towns may differ in little else."""
    return _alike(one.pairs, other.pairs, _ALIKE) and _alike(one.names, other.names, _SAME_NAMES)


def _keys(text: str) -> list[bytes]:
    (row,) = sketch(pa.array([f"{' '.join(_WORD.findall(text.lower()))}{_PADDING}"]))
    return [part.tobytes() for part in np.split(row, _BANDS)]


def _alike(some: frozenset[Any], others: frozenset[Any], share: float) -> bool:
    return len(some & others) >= share * len(some | others)
