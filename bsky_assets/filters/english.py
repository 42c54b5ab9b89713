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
    readable,
    script_language,
)
from bsky_assets.filters.lexicon import words
from bsky_assets.filters.posts import Posts
from bsky_assets.filters.verdicts import Verdicts

UNDECIDED = "und"
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


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
        asked = readable(cleaned)
        whole = cleaned.filter(pa.array(asked))
        texts = pc.utf8_slice_codeunits(whole, 0, self._config.model_characters).to_pylist()
        found, shares = self._model.identify(texts)
        langs = posts.batch.column("langs").filter(pa.array(asked))
        is_english = np.zeros(len(posts), dtype=bool)
        probability = np.full(len(posts), np.nan)
        languages = np.full(len(posts), None, dtype=object)
        is_english[asked] = self._decide(whole, found, shares, langs)
        languages[asked], probability[asked] = found, shares
        others = cleaned.filter(pa.array(~asked))
        languages[~asked] = script_language(others).to_numpy(zero_copy_only=False)
        return _verdicts(is_english, languages, probability, cleaned)

    def _decide(
        self, texts: pa.StringArray, found: list[str], shares: np.ndarray, langs: pa.ListArray
    ) -> np.ndarray:
        """Whether each text is English, given what the model makes of its beginning.

        Where that is not sure, the model sees all of the text and other evidence counts too;
        `found` and `shares` are then corrected.
        """
        config = self._config
        says_english = np.array([language == "en" for language in found], dtype=bool)
        long_enough = pc.utf8_length(texts).to_numpy() >= config.sure_characters
        sure = np.where(says_english, config.sure, config.sure_not)
        decided: np.ndarray = says_english & (shares >= sure) & long_enough
        unsure = np.flatnonzero((shares < sure) | ~long_enough)
        left, named = texts.take(pa.array(unsure)).to_pylist(), langs.take(pa.array(unsure))
        for place, text, languages in zip(unsure, left, named.to_pylist(), strict=True):
            likely, share = found[place], shares[place]
            english = share
            if not says_english[place] or len(text) > config.model_characters:
                likely, share, english = self._model.look_closely(text, "en")
            is_english = self._log_odds(text, english, languages) > 0
            decided[place] = is_english
            if is_english:
                found[place], shares[place] = "en", english
            else:
                found[place], shares[place] = likely if likely != "en" else UNDECIDED, share
        return decided

    def _log_odds(self, text: str, share: float, langs: list[str] | None) -> float:
        config = self._config
        tokens = _WORD.findall(text.lower().replace("’", "'"))
        count = len(tokens) or 1
        known = len([1 for token in tokens if token in self._words])
        if (
            share < config.unlikely
            and known < config.words_if_unlikely
            and len(text) >= config.sure_characters
        ):
            return -math.inf
        odds = (
            config.constant
            + config.weight_model * math.log((share + 1e-3) / (1 - share + 1e-3))
            + config.weight_words * known / count
            + config.weight_shared * len([1 for token in tokens if token in self._shared]) / count
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
        pc.if_else(pc.match_substring_regex(cleaned, r"\p{L}"), " script", " no text"),
    )
    reasons = pc.binary_join_element_wise(code, evidence, "")
    stopped = pc.if_else(pa.array(is_english), pa.scalar(None, pa.string()), reasons)
    return Verdicts(stopped, {"language": language, "language_probability": shares})
