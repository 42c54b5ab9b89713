"""The NSFW filter: sexual and gory content.

Labels first, then terms as whole words in the text, its tags, the link card's title and the alt
texts. What a word means depends on what stands around it, and lexicon/nsfw.toml says how.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.config import NsfwConfig
from bsky_assets.filters.lexicon import any_of, words
from bsky_assets.filters.posts import Posts
from bsky_assets.filters.unmask import Unmasker
from bsky_assets.filters.verdicts import Verdicts, first_reason

_PART = "\x1f"
"""Stands between a text and what is around it: each is judged by its own context."""
_SUGGESTIVE_ALONE = 3
_SUGGESTIVE_WITH_INVITATION = 2


class NsfwFilter:
    """Stops sexual and gory content."""

    name = "nsfw"
    passes_if = False

    def __init__(self, config: NsfwConfig) -> None:
        """Read the word lists."""
        lists = {key: words("nsfw", key) for key in _LISTS}
        self._config = config
        self._explicit, self._suggestive = any_of(lists["explicit"]), any_of(lists["suggestive"])
        self._any = any_of(lists["explicit"] + lists["suggestive"])
        self._patterns = {key: re.compile(any_of(terms)) for key, terms in lists.items()}
        self._unmask = Unmasker(any_of(lists["explicit"]))

    def judge(self, posts: Posts) -> Verdicts:
        """Stop posts with a label, or with terms that their context does not excuse."""
        content = pc.binary_join_element_wise(posts.words, posts.surroundings, _PART)
        content = self._unmask(content)
        suspects = self._suspects(content)
        reasons: list[str | None] = [None] * len(posts)
        chosen = content.take(pa.array(suspects)).to_pylist()
        for place, text in zip(suspects.tolist(), chosen, strict=True):
            found = (self._reason(part) for part in text.split(_PART))
            reasons[place] = next(filter(None, found), None)
        return Verdicts(first_reason(posts.facts(self.name), pa.array(reasons, pa.string())))

    def _suspects(self, content: pa.StringArray) -> np.ndarray:
        """Which texts have an explicit term, or as many suggestive ones as it takes at least."""
        some: np.ndarray = np.flatnonzero(pc.match_substring_regex(content, self._any))
        texts = content.take(pa.array(some))
        explicit = np.array(pc.match_substring_regex(texts, self._explicit), dtype=bool)
        suggestive = pc.count_substring_regex(texts, self._suggestive).to_numpy()
        chosen: np.ndarray = some[explicit | (suggestive >= _SUGGESTIVE_WITH_INVITATION)]
        return chosen

    def _reason(self, text: str) -> str | None:
        """Why a text is not safe for work, if it is not."""
        text = self._patterns["exceptions"].sub(" ", text)
        explicit = {match.group() for match in self._patterns["explicit"].finditer(text)}
        suggestive = {match.group() for match in self._patterns["suggestive"].finditer(text)}
        excused = self._patterns["context"].search(text) is not None
        enough = self._config.explicit_terms_in_context if excused else 1
        if len(explicit) >= enough:
            return "rule:explicit_term"
        if excused:
            return None
        invited = self._patterns["invitation"].search(text) is not None
        if len(suggestive) >= (_SUGGESTIVE_WITH_INVITATION if invited else _SUGGESTIVE_ALONE):
            return "rule:suggestive_offer" if invited else "rule:suggestive_terms"
        return None


_LISTS = ("explicit", "suggestive", "invitation", "context", "exceptions")
