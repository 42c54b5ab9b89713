"""The NSFW filter: sexual and gory content.

Labels first, then signs in the text, its tags, the link card's title and the alt texts: terms
beyond doubt, terms that need a second sign, weaker signs, and an invitation beside any of them.
Words of health, law, news and politics around them ask for more. nsfw.toml has the lists.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from bsky_assets.filters.posts import Posts
from bsky_assets.filters.registry import Section, Sources
from bsky_assets.filters.verdicts import Verdicts
from bsky_assets.filters.words.disguises import Unmasker
from bsky_assets.filters.words.lexicon import any_of, words

_PART = "\x1f"
"""Stands between a text and what is around it: each is judged by its own context."""
_WEIGHTS = {"certain": 2.0, "sexual": 1.0, "suggestive": 0.5}
_BESIDE = {"invitation": 1.0, "trade": 0.5}
"""What counts beside such terms, once each."""
_MOST_BESIDE = sum(_BESIDE.values())
_LISTS = (*_WEIGHTS, *_BESIDE, "context", "exceptions")


class Config(Section):
    """How many signs stop a post: 2 for a term beyond doubt, 1 for others, 0.5 for weak ones."""

    score: float = Field(gt=1)
    score_in_context: float = Field(gt=1)


class NsfwFilter:
    """Stops sexual and gory content."""

    name = "nsfw"
    passes_if = False

    def __init__(self, config: Config) -> None:
        lists = {key: words("nsfw", key) for key in _LISTS}
        self._config = config
        self._least = min(config.score, config.score_in_context)
        self._any = any_of(term for key in _WEIGHTS for term in lists[key])
        self._plain = any_of(lists["certain"] + lists["sexual"])
        self._suggestive = any_of(lists["suggestive"])
        self._patterns = {key: re.compile(any_of(terms)) for key, terms in lists.items()}
        self._unmask = Unmasker(self._plain)

    def judge(self, posts: Posts) -> Verdicts:
        """Stop posts with a label, or with signs enough for their context."""
        content = pc.binary_join_element_wise(posts.words, posts.surroundings, _PART)
        content = self._unmask(content)
        suspects = self._suspects(content)
        reasons: list[str | None] = [None] * len(posts)
        chosen = content.take(pa.array(suspects)).to_pylist()
        for place, text in zip(suspects.tolist(), chosen, strict=True):
            found = (self._reason(part) for part in text.split(_PART))
            reasons[place] = next(filter(None, found), None)
        return Verdicts(pc.coalesce(posts.facts(self.name), pa.array(reasons, pa.string())))

    def _suspects(self, content: pa.StringArray) -> np.ndarray:
        """Which texts have a plain term, or more than one suggestive one."""
        some: np.ndarray = np.flatnonzero(pc.match_substring_regex(content, self._any))
        texts = content.take(pa.array(some))
        plain = np.array(pc.match_substring_regex(texts, self._plain), dtype=bool)
        suggestive = pc.count_substring_regex(texts, self._suggestive).to_numpy()
        chosen: np.ndarray = some[plain | (suggestive > 1)]
        return chosen

    def _reason(self, text: str) -> str | None:
        """Why a text is not safe for work, if it is not."""
        text = self._patterns["exceptions"].sub(" ", text)
        score, strongest, seen = 0.0, None, set[str]()
        for key, weight in _WEIGHTS.items():
            found = self._take(key, text, seen)
            score += weight * len(found)
            strongest = strongest or (key if found else None)
        if not strongest or score + _MOST_BESIDE < self._least:
            return None
        score += sum(weight for key, weight in _BESIDE.items() if self._take(key, text, seen))
        in_context = self._patterns["context"].search(text) is not None
        enough = self._config.score_in_context if in_context else self._config.score
        return f"rule:{strongest}_terms" if score >= enough else None

    def _take(self, key: str, text: str, seen: set[str]) -> set[str]:
        """Terms of a list that are no part of what was `seen`, to which they are added.

        So no word counts twice, as a term and as the invitation beside it.
        """
        found = {match.group() for match in self._patterns[key].finditer(text)}
        found = {term for term in found if not any(term in other for other in seen)}
        seen |= found
        return found


def make(config: Mapping[str, Any], _: Sources) -> NsfwFilter:
    """The filter by its declaration."""
    return NsfwFilter(Config.model_validate(config))
