"""The spam filter: labels, scams, stuffing and campaigns; never by one sign alone.

What belongs here: what one post shows. What does not: texts that many accounts post, which
`campaigns` finds and the facts of the day bring.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from bsky_assets.filters.posts import CAMPAIGN, Posts
from bsky_assets.filters.registry import Section, Sources
from bsky_assets.filters.verdicts import Verdicts
from bsky_assets.filters.words.lexicon import EmptyWordList, lexicon, words
from bsky_assets.filters.words.normalise import without

_HEAVY = 2
"""The weight of a sign that is worth looking for others."""
_PART = "\x1f"
"""Stands between a text and what is around it."""
_HASHTAG = r"(?:^|[^\w&/])#[\p{L}\p{N}_]*\p{L}"
_TAGS_AND_LINKS = re.compile(r"[#@]\S+|https?://\S+")
_NAME = r"@[a-z0-9][\w.\-]*"
"""Of an account: nothing that a name is made of is a sign."""
_MENTION = r"(?:^|[\s(])@[a-z0-9][\w.\-]*\.[a-z]+"


class Config(Section):
    """Where writing turns into spam."""

    hashtags: int = Field(ge=2)
    hashtags_alone: int = Field(ge=2)
    mentions: int = Field(ge=2)
    mentions_alone: int = Field(ge=2)
    scam_score: int = Field(ge=1)
    campaign_characters_alone: int = Field(ge=16)


class SpamFilter:
    name = "spam"
    passes_if = False

    def __init__(self, config: Config) -> None:
        self._config = config
        hosts = "|".join(words("spam", "shorteners"))
        self._shortener = rf"(?:^|[^a-z0-9.\-])(?:https?://)?(?:www\.)?(?:{hosts})/\S"
        self._bait_tag = rf"(?:^|\s)(?:{'|'.join(words('spam', 'bait_tags'))})(?:$|\s)"
        signs = lexicon("spam")["signs"]
        if not signs:
            raise EmptyWordList("signs in spam.toml is empty")
        # One pattern of all is too large for RE2's automaton, and takes twenty times as long.
        ordered = sorted(
            (sign["weight"], sign["name"], _signs_pattern(sign["terms"])) for sign in signs
        )
        self._light = [sign for sign in ordered if sign[0] < _HEAVY]
        self._heavy = [sign for sign in ordered if sign[0] >= _HEAVY]

    def judge(self, posts: Posts) -> Verdicts:
        """Stop posts with a label, or with as many signs as no honest post has."""
        content = pc.binary_join_element_wise(posts.folded, posts.surroundings, _PART)
        content = without(content, _NAME, "@", pc.match_substring(content, "@"))
        in_campaign = np.array(pc.is_valid(posts.facts(CAMPAIGN)), dtype=bool)
        heavy = np.array([_matching(content, pattern) for _, _, pattern in self._heavy])
        stuffed, beyond_doubt = self._stuffed(posts)
        suspects = np.flatnonzero(heavy.any(axis=0) | in_campaign | stuffed)
        chosen = pa.array(suspects)
        texts = content.take(chosen)
        score, names = self._shown(texts, heavy[:, suspects])
        linked = pc.binary_join_element_wise(texts, posts.links.take(chosen), "\n")
        score += _matching(linked, self._shortener)
        bait = _matching(texts, self._bait_tag)
        score += bait
        reasons = np.full(len(posts), None, dtype=object)
        campaign = in_campaign[suspects] & ((score > 0) | self._long(texts))
        reasons[suspects[campaign]] = "rule:campaign"
        scams = score >= self._config.scam_score
        reasons[suspects[scams]] = names[scams]
        stuffing = stuffed[suspects] & (bait | (score >= _HEAVY) | beyond_doubt[suspects])
        reasons[suspects[stuffing]] = "rule:stuffing"
        return Verdicts(pc.coalesce(posts.facts(self.name), pa.array(reasons, pa.string())))

    def _stuffed(self, posts: Posts) -> tuple[np.ndarray, np.ndarray]:
        """Which posts have many tags or names, and which more than anybody honest."""
        config, text = self._config, posts.folded
        tags, names = np.zeros(len(posts)), np.zeros(len(posts))
        for sign, least, pattern, counts in (
            ("#", config.hashtags, _HASHTAG, tags),
            ("@", config.mentions, _MENTION, names),
        ):
            some = np.flatnonzero(pc.count_substring(text, sign).to_numpy() >= least)
            counts[some] = pc.count_substring_regex(text.take(pa.array(some)), pattern).to_numpy()
        stuffed = (tags >= config.hashtags) | (names >= config.mentions)
        return stuffed, (tags >= config.hashtags_alone) | (names >= config.mentions_alone)

    def _shown(self, texts: pa.StringArray, heavy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The weight of the signs that each text shows, and a reason for the weightiest.

        `heavy` has a row for each heavy sign: which texts have it. The same words are a sign of
        one family only.
        """
        score, rest, touched = np.zeros(len(texts), dtype=int), texts, np.zeros(len(texts), bool)
        reasons = []
        for (weight, name, pattern), has in zip(self._heavy, heavy, strict=True):
            touched |= has  # what is taken out of a text may let it show another sign
            places = np.flatnonzero(touched)
            times = pc.count_substring_regex(rest.take(pa.array(places)), pattern).to_numpy()
            score[places] += np.where(times > 0, weight, 0) + (times > 1)
            reasons.append((places[times > 0], name))
            rest = without(rest, pattern, " | ", pa.array(touched))
        names = np.full(len(texts), None, dtype=object)
        for weight, name, pattern in self._light:
            shown = _matching(rest if weight > 0 else texts, pattern)
            score[shown] += weight
            if weight > 0:
                names[shown] = f"rule:scam_{name}"
        for shown, name in reasons:
            names[shown] = f"rule:scam_{name}"
        return score, names

    def _long(self, texts: pa.StringArray) -> np.ndarray:
        """Which texts are so long that nobody writes them like somebody else."""
        long = np.array(
            pc.greater_equal(pc.utf8_length(texts), self._config.campaign_characters_alone),
            dtype=bool,
        )
        for place in np.flatnonzero(long):
            written = texts[place].as_py().partition(_PART)[0]
            written = _TAGS_AND_LINKS.sub("", written)
            long[place] = len(written) >= self._config.campaign_characters_alone
        return long


def _matching(texts: pa.StringArray, pattern: str) -> np.ndarray:
    return np.array(pc.match_substring_regex(texts, pattern), dtype=bool)


def _signs_pattern(terms: list[str]) -> str:
    fragments = "|".join(term.replace(" ", "[ _-]?") for term in terms)
    return rf"(?:^|[^a-z0-9])(?:{fragments})(?:$|[^a-z']|'(?:$|[^a-z]))"


def make(config: Mapping[str, Any], _: Sources) -> SpamFilter:
    """The filter by its declaration."""
    return SpamFilter(Config.model_validate(config))
