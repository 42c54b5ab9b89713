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
_BOUNDARY = r"(?<![a-z0-9])(?:{})(?![a-z])"


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
        self._signs = [
            (sign["weight"], sign["name"], re.compile(_signs_pattern(sign["terms"])))
            for sign in signs
        ]
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
        tags = pc.count_substring_regex(text, _HASHTAG).to_numpy()
        reasons = np.full(len(posts), None, dtype=object)
        several = np.flatnonzero(tags >= config.hashtags_if_mostly)
        counted = pc.count_substring_regex(text.take(pa.array(several)), _WORD).to_numpy()
        mostly = tags[several] >= config.mostly_hashtags_share * np.maximum(counted, 1)
        reasons[several[mostly | (tags[several] >= config.hashtags)]] = "rule:hashtag_stuffing"
        addressed = pc.count_substring_regex(text, _MENTION).to_numpy()
        reasons[addressed >= config.mentions] = "rule:mention_stuffing"
        return pa.array(reasons, pa.string())

    def _scams(self, posts: Posts) -> tuple[pa.StringArray, pa.StringArray]:
        """Texts that show enough signs of a scam, and those of campaigns that show any."""
        content = pc.binary_join_element_wise(posts.folded, posts.surroundings, _PART)
        in_campaign = pc.is_valid(posts.facts(CAMPAIGN)).to_numpy(zero_copy_only=False)
        heavy = pc.match_substring_regex(content, self._heavy).to_numpy(zero_copy_only=False)
        scams: list[str | None] = [None] * len(posts)
        campaigns: list[str | None] = [None] * len(posts)
        suspects = np.flatnonzero(heavy | in_campaign)
        texts = content.take(pa.array(suspects)).to_pylist()
        for place, text in zip(suspects.tolist(), texts, strict=True):
            shown = [(weight, name) for weight, name, sign in self._signs if sign.search(text)]
            if sum(weight for weight, _ in shown) >= self._config.scam_score:
                scams[place] = f"rule:scam_{max(shown)[1]}"
            elif in_campaign[place] and (shown or self._is_long(text)):
                campaigns[place] = "rule:campaign"
        return pa.array(scams, pa.string()), pa.array(campaigns, pa.string())

    def _is_long(self, text: str) -> bool:
        """Whether a text is so long that nobody writes it like somebody else."""
        written = _TAGS_AND_LINKS.sub("", text.partition(_PART)[0])
        return len(written) >= self._config.campaign_characters_alone


def _signs_pattern(terms: list[str]) -> str:
    return _BOUNDARY.format("|".join(term.replace(" ", r"[\s_-]*") for term in terms))
