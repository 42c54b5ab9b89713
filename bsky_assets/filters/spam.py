"""The spam filter: labels, hidden links, stuffing, scams and campaigns.

What belongs here: what one post shows. What does not: texts that many accounts post, which
`campaigns` finds and the facts of the day bring.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.config import SpamConfig
from bsky_assets.filters.lexicon import EmptyWordList, any_of, lexicon, words
from bsky_assets.filters.posts import Posts
from bsky_assets.filters.verdicts import Verdicts, first_reason

CAMPAIGN = "campaign"
"""The fact that many accounts post about the same text."""

_PART = "\x1f"
"""Stands between a text and what is around it."""
_HASHTAG = r"(?:^|[^\w&/])#[\p{L}\p{N}_]*\p{L}"
_TAGS_AND_LINKS = re.compile(r"[#@]\S+|https?://\S+")
_MENTION = r"(?:^|[\s(])@[a-z0-9][\w.\-]*\.[a-z]+"
_WORD = r"\p{L}[\p{L}\p{M}'’]*"


class SpamFilter:
    """Stops spam."""

    name = "spam"
    passes_if = False

    def __init__(self, config: SpamConfig) -> None:
        """Read the word lists."""
        self._config = config
        hosts = "|".join(words("spam", "shorteners"))
        self._shortener = rf"(?:^|[^a-z0-9.\-])(?:https?://)?(?:www\.)?(?:{hosts})/\S"
        signs = lexicon("spam")["signs"]
        if not signs:
            raise EmptyWordList("signs in lexicon/spam.toml is empty")
        self._signs = sorted(
            (sign["weight"], sign["name"], _signs_pattern(sign["terms"])) for sign in signs
        )
        self._heavy = any_of(
            term.split(".{", 1)[0] for sign in signs if sign["weight"] > 1 for term in sign["terms"]
        )

    def judge(self, posts: Posts) -> Verdicts:
        """Stop posts with a label, or with what no honest post has."""
        return Verdicts(
            first_reason(
                posts.facts(self.name),
                self._short_links(posts),
                self._stuffing(posts),
                *self._scams(posts),
            )
        )

    def _short_links(self, posts: Posts) -> pa.StringArray:
        hidden = pc.match_substring_regex(posts.links, self._shortener)
        return pc.if_else(hidden, "rule:link_shortener", pa.scalar(None, pa.string()))

    def _stuffing(self, posts: Posts) -> pa.StringArray:
        """Hashtags or mentions by the dozen, or a post that is little else."""
        config = self._config
        text = posts.folded
        reasons = np.full(len(posts), None, dtype=object)
        tagged = np.flatnonzero(
            pc.count_substring(text, "#").to_numpy() >= config.hashtags_if_mostly
        )
        few = text.take(pa.array(tagged))
        tags = pc.count_substring_regex(few, _HASHTAG).to_numpy()
        counted = pc.count_substring_regex(few, _WORD).to_numpy()
        mostly = tags >= np.maximum(
            config.mostly_hashtags_share * counted, config.hashtags_if_mostly
        )
        reasons[tagged[mostly | (tags >= config.hashtags)]] = "rule:hashtag_stuffing"
        addressing = np.flatnonzero(pc.count_substring(text, "@").to_numpy() >= config.mentions)
        names = pc.count_substring_regex(text.take(pa.array(addressing)), _MENTION).to_numpy()
        reasons[addressing[names >= config.mentions]] = "rule:mention_stuffing"
        return pa.array(reasons, pa.string())

    def _scams(self, posts: Posts) -> tuple[pa.StringArray, pa.StringArray]:
        """Texts that show enough signs of a scam, and those of campaigns that show any."""
        content = pc.binary_join_element_wise(posts.folded, posts.surroundings, _PART)
        in_campaign = np.array(pc.is_valid(posts.facts(CAMPAIGN)), dtype=bool)
        heavy = np.array(pc.match_substring_regex(content, self._heavy), dtype=bool)
        suspects = np.flatnonzero(heavy | in_campaign)
        texts = content.take(pa.array(suspects))
        score, names = self._shown(texts)
        scams = np.full(len(posts), None, dtype=object)
        found = score >= self._config.scam_score
        scams[suspects[found]] = names[found]
        campaigns = np.full(len(posts), None, dtype=object)
        campaigns[suspects[in_campaign[suspects] & ((score > 0) | self._long(texts))]] = (
            "rule:campaign"
        )
        return pa.array(scams, pa.string()), pa.array(campaigns, pa.string())

    def _shown(self, texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
        """The weight of the signs that each text shows, and a reason for the weightiest."""
        score, names = np.zeros(len(texts), dtype=int), np.full(len(texts), None, dtype=object)
        for weight, name, pattern in self._signs:
            shows = np.array(pc.match_substring_regex(texts, pattern), dtype=bool)
            score[shows] += weight
            names[shows] = f"rule:scam_{name}"
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


def _signs_pattern(terms: list[str]) -> str:
    fragments = "|".join(term.replace(" ", "[ _-]?") for term in terms)
    return rf"(?:^|[^a-z0-9])(?:{fragments})(?:$|[^a-z])"
