"""The English filter: only posts whose text is in English go on.

What belongs here: the decision. What does not: how a text is cleaned or its language told.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from bsky_assets.filters.posts import Posts
from bsky_assets.filters.registry import Section, Sources
from bsky_assets.filters.verdicts import Verdicts
from bsky_assets.filters.words.identification import Identified, LanguageModel
from bsky_assets.filters.words.language import (
    readable,
    script_language,
    without_marks,
    without_noise,
)
from bsky_assets.filters.words.lexicon import words

ENGLISH = "en"
_UNDECIDED = "und"
_LEAST_SHARE = 0.02
"""What the model finds less likely than that is as good as impossible."""

Detected = tuple[pa.StringArray, pa.StringArray, pa.DoubleArray]
"""For each text a reason to stop it, or null, its language, or null, and how likely that is."""


class Config(Section):
    """How the language of a post is told."""

    sure: float = Field(gt=0.5, le=1)
    sure_not: float = Field(gt=0.5, le=1)
    sure_characters: int = Field(ge=1)
    unlikely: float = Field(ge=0, lt=0.5)
    words_if_unlikely: int = Field(ge=0)
    weight_model: float = Field(gt=0)
    weight_words: float = Field(gt=0)
    weight_shared: float = Field(ge=0)
    weight_langs: float = Field(ge=0)
    langs_characters: int = Field(ge=0)
    constant: float


class EnglishFilter:
    """Lets English through. Script first, then the model, then words and the author's `langs`."""

    name = "english"
    passes_if = True

    def __init__(self, config: Config, model: Path) -> None:
        """Load the language model and the word lists."""
        self._config = config
        lists = [frozenset(words("english", name)) for name in ("words", "shared")]
        self._model = LanguageModel(model, ENGLISH, lists)

    def judge(self, posts: Posts) -> Verdicts:
        """Stop what is not English; `columns` has the language and how likely it is."""
        content = without_marks(posts.text)
        asked = readable(content)
        by_script = _told_by_script(content.filter(pa.array(~asked)))
        langs = posts.batch.column("langs").filter(pa.array(asked))
        by_model = self._told_by_model(without_noise(content.filter(pa.array(asked))), langs)
        places = pa.array(np.argsort(np.argsort(asked, kind="stable"), kind="stable"))
        reasons, language, share = (
            pa.concat_arrays(parts).take(places) for parts in zip(by_script, by_model, strict=True)
        )
        return Verdicts(reasons, {"language": language, "language_probability": share})

    def _told_by_model(self, texts: pa.StringArray, langs: pa.ListArray) -> Detected:
        found = self._model.identify(texts)
        says_english = np.array(pc.equal(found.likely, ENGLISH), dtype=bool)
        is_english = self._decide(texts, found, says_english, langs)
        neither = pa.array(~is_english & says_english)
        language = pc.if_else(pa.array(is_english), ENGLISH, found.likely)
        language = pc.if_else(neither, pa.scalar(None, pa.string()), language)
        share = np.where(is_english, found.wanted, found.share).astype(np.float64)
        stopped = pa.array(~is_english)
        evidence = pc.round(pa.array(share).filter(stopped), 2).cast(pa.string())
        named = pc.fill_null(language.filter(stopped), _UNDECIDED)
        given = pc.binary_join_element_wise("language:", named, " p=", evidence, "")
        reasons = pc.replace_with_mask(pa.nulls(len(texts), pa.string()), stopped, given)
        return reasons, language, pa.array(share)

    def _decide(
        self,
        texts: pa.StringArray,
        found: Identified,
        says_english: np.ndarray,
        langs: pa.ListArray,
    ) -> np.ndarray:
        """Whether each text is English; where the model is not sure, other evidence counts too."""
        config = self._config
        lengths = pc.utf8_length(texts).to_numpy()
        sure = np.where(says_english, config.sure, config.sure_not)
        unsure = np.flatnonzero((found.share < sure) | (lengths < config.sure_characters))
        decided: np.ndarray = says_english.copy()
        named = langs.take(pa.array(unsure))
        decided[unsure] = self._log_odds(found.of(unsure), lengths[unsure], named) > 0
        return decided

    def _log_odds(self, found: Identified, lengths: np.ndarray, langs: pa.ListArray) -> np.ndarray:
        """How much speaks for English, text by text; positive is English."""
        config, share = self._config, np.where(found.wanted < _LEAST_SHARE, 0, found.wanted)
        known, shared = found.listed.T
        counts = np.maximum(found.words, 1)
        odds: np.ndarray = (
            config.constant
            + config.weight_model * np.log((share + 1e-3) / (1 - share + 1e-3))
            + config.weight_words * known / counts
            + config.weight_shared * shared / counts
        )
        odds += np.where(lengths <= config.langs_characters, self._weights(langs), 0)
        unlikely = (share < config.unlikely) & (known < config.words_if_unlikely)
        odds[unlikely & (lengths >= config.sure_characters)] = -np.inf
        return odds

    def _weights(self, langs: pa.ListArray) -> np.ndarray:
        """What the author's `langs` weigh: for English, against it, or nothing where none is."""
        tags = pc.replace_substring_regex(pc.utf8_lower(langs.flatten()), "-.*", "")
        owners = pc.list_parent_indices(langs)
        count = len(langs)
        named = np.bincount(owners, minlength=count) > 0
        english = np.bincount(owners.filter(pc.equal(tags, ENGLISH)), minlength=count) > 0
        weights = np.where(english, self._config.weight_langs, -self._config.weight_langs)
        return np.where(named, weights, 0)


def _told_by_script(texts: pa.StringArray) -> Detected:
    """What to say of texts that the model cannot read."""
    language = script_language(texts)
    evidence = pc.if_else(pc.match_substring_regex(texts, r"\p{L}"), " script", " no text")
    named = pc.fill_null(language, _UNDECIDED)
    reasons = pc.binary_join_element_wise("language:", named, evidence, "")
    return reasons, language, pa.nulls(len(texts), pa.float64())


def make(config: Mapping[str, Any], sources: Sources) -> EnglishFilter:
    """The filter by its declaration."""
    return EnglishFilter(Config.model_validate(config), sources.language_model)
