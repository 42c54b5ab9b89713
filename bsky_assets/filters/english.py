"""The English filter: only posts whose text is in English go on.

What belongs here: the decision. What does not: how a text is cleaned or its language told.
"""

import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.config import EnglishConfig
from bsky_assets.filters.language import (
    LanguageModel,
    clean,
    has_latin,
    mostly_other_script,
    script_language,
)
from bsky_assets.filters.lexicon import words
from bsky_assets.filters.posts import Posts
from bsky_assets.filters.verdicts import Verdicts

UNDECIDED = "und"
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


class EnglishFilter:
    """Lets English through. Script first, then the model, then words and the author's `langs`."""

    name = "english"
    passes_if = True

    def __init__(self, config: EnglishConfig, model: Path) -> None:
        """Load the language model and the word lists."""
        self._config = config
        self._model = LanguageModel(model)
        self._words = frozenset(words("english", "words"))
        self._shared = frozenset(words("english", "shared"))

    def judge(self, posts: Posts) -> Verdicts:
        """Stop what is not English; `columns` has the language and how likely it is."""
        cleaned = clean(posts.text)
        readable = pc.and_(has_latin(cleaned), pc.invert(mostly_other_script(cleaned)))
        asked = np.flatnonzero(readable.to_numpy(zero_copy_only=False))
        is_english = np.zeros(len(posts), dtype=bool)
        probability = np.full(len(posts), np.nan)
        languages = script_language(cleaned).to_numpy(zero_copy_only=False)
        chosen = pa.array(asked)
        texts = pc.utf8_slice_codeunits(
            cleaned.take(chosen), 0, self._config.model_characters
        ).to_pylist()
        found, shares = self._model.identify(texts)
        decided = self._decide(texts, found, shares, posts.batch.column("langs").take(chosen))
        languages[asked], probability[asked], is_english[asked] = found, shares, decided
        return _verdicts(is_english, languages, probability, cleaned)

    def _decide(
        self,
        texts: list[str],
        found: list[str],
        shares: np.ndarray,
        langs: pa.ListArray,
    ) -> np.ndarray:
        """Whether each text is English; where more than the model decides, `found` is corrected."""
        config = self._config
        says_english = np.array([language == "en" for language in found], dtype=bool)
        long_enough = np.array([len(text) for text in texts]) >= config.sure_characters
        decided = says_english & (shares >= config.sure) & long_enough
        open_ = ~decided & ~(~says_english & (shares >= config.sure_not) & long_enough)
        for place in np.flatnonzero(open_):
            text = texts[place]
            share = shares[place] if says_english[place] else self._model.share_of("en", text)
            is_english = self._log_odds(text, share, langs[place].as_py()) > 0
            decided[place] = is_english
            if is_english and not says_english[place]:
                found[place], shares[place] = "en", share
            elif says_english[place] and not is_english:
                found[place] = UNDECIDED
        return decided

    def _log_odds(self, text: str, share: float, langs: list[str] | None) -> float:
        config = self._config
        tokens = [token.replace("’", "'") for token in _WORD.findall(text.lower())]
        count = len(tokens) or 1
        odds = (
            config.constant
            + config.weight_model * math.log((share + 1e-3) / (1 - share + 1e-3))
            + config.weight_words * sum(token in self._words for token in tokens) / count
            + config.weight_shared * sum(token in self._shared for token in tokens) / count
        )
        if langs and len(text) <= config.langs_characters:
            names_english = any(tag.lower().split("-")[0] == "en" for tag in langs)
            odds += config.weight_langs if names_english else -config.weight_langs
        return odds


def _verdicts(
    is_english: np.ndarray,
    languages: np.ndarray,
    probability: np.ndarray,
    cleaned: pa.StringArray,
) -> Verdicts:
    shares = pa.array(probability, from_pandas=True)
    language = pc.replace_with_mask(
        pa.array(languages, pa.string()),
        pa.array(languages == UNDECIDED),
        pa.scalar(None, pa.string()),
    )
    code = pc.binary_join_element_wise("language:", pc.fill_null(language, UNDECIDED), "")
    evidence = pc.if_else(
        pc.is_valid(shares),
        pc.binary_join_element_wise(
            " p=", pc.round(pc.fill_null(shares, 0.0), 2).cast(pa.string()), ""
        ),
        pc.if_else(pc.equal(cleaned, ""), " no text", " script"),
    )
    reasons = pc.binary_join_element_wise(code, evidence, "")
    stopped = pc.if_else(pa.array(is_english), pa.scalar(None, pa.string()), reasons)
    return Verdicts(stopped, {"language": language, "language_probability": shares})
