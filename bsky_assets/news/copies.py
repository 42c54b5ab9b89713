"""Which articles are near copies of one another, as agencies' articles are in many outlets.

Sketches find those that may be, and of these the words decide.
Source: A. Broder, On the resemblance and containment of documents, 1997.
"""

import re
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pyarrow as pa

from bsky_assets.filters.facts.campaigns import sketch

_BANDS = 6
_ALIKE = 0.7
"""Jaccard similarity of pairs of words from which on two articles are one."""
_FEWEST = 4
"""Words that both must have."""
_WORD = re.compile(r"\w+")
_PADDING = " " * 16
"""A sketch needs texts that are longer than a shingle."""


class Copies:
    """Articles by their words; each is known by an identifier."""

    def __init__(self) -> None:
        self._pairs: dict[str, frozenset[tuple[str, str]]] = {}
        self._bands: list[dict[bytes, list[str]]] = [defaultdict(list) for _ in range(_BANDS)]

    def add(self, identifier: str, text: str) -> None:
        """Know an article by its title and text."""
        self._pairs[identifier] = _pairs(text)
        for band, key in zip(self._bands, _keys(text), strict=True):
            band[key].append(identifier)

    def find(self, text: str) -> str | None:
        """The identifier of an article of which `text` is a near copy, the first that was added."""
        pairs = _pairs(text)
        if len(pairs) < _FEWEST - 1:
            return None
        near = [
            identifier
            for band, key in zip(self._bands, _keys(text), strict=True)
            for identifier in band.get(key, ())
        ]
        alike = (one for one in near if _alike(pairs, self._pairs[one]))
        return next(alike, None)


def _keys(text: str) -> list[bytes]:
    (row,) = sketch(pa.array([f"{' '.join(_WORD.findall(text.lower()))}{_PADDING}"]))
    return [part.tobytes() for part in np.split(row, _BANDS)]


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    words = _WORD.findall(text.lower())
    return frozenset(pairwise(words))


def _alike(some: frozenset[tuple[str, str]], others: frozenset[tuple[str, str]]) -> bool:
    return len(some & others) >= _ALIKE * len(some | others)
