"""Which language a text is in: scripts where they can tell, fastText's lid.176 where not.

Source of the model: https://fasttext.cc/docs/en/language-identification.html (CC-BY-SA 3.0).
What belongs here: cleaning a text as the model expects it, and asking it. What does not: when a
text counts as English, which `english` decides.
"""

from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.normalise import replaced

_LATIN = r"\p{Latin}"
_OTHER_SCRIPT = r"[^\P{L}\p{Latin}]"
_STYLED_LATIN = r"[\x{1D400}-\x{1D7FF}\x{FF21}-\x{FF5A}\x{24B6}-\x{24E9}\x{2100}-\x{214F}]"
_NOT_LANGUAGE = r"https?://\S+|www\.\S+|[@#][\w.\-]+|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|social|gov|co|io|ly)\b\S*"
_NOISE = r"[^\p{L}\p{M}'’\-.,!?]+"
_SCRIPTS = (
    ("ja", r"[\p{Hiragana}\p{Katakana}]"),
    ("ko", r"\p{Hangul}"),
    ("zh", r"\p{Han}"),
    ("th", r"\p{Thai}"),
    ("he", r"\p{Hebrew}"),
    ("el", r"\p{Greek}"),
    ("hy", r"\p{Armenian}"),
    ("ka", r"\p{Georgian}"),
)
"""Scripts that mean one language, as good as always; earlier ones win."""


def clean(texts: pa.StringArray) -> pa.StringArray:
    """`texts` without what is not language: addresses, mentions, hashtags, emoji, digits.

    What is left stands on one line, with single spaces. It may be empty.
    """
    styled = pc.match_substring_regex(texts, _STYLED_LATIN)
    plain = replaced(texts, styled, lambda chosen: pc.utf8_normalize(chosen, "NFKC"))
    noisy = pc.match_substring_regex(plain, r"[@#/]|\.(?:com|org|net|social|gov|co|io|ly)\b")
    plain = replaced(
        plain,
        noisy,
        lambda chosen: pc.replace_substring_regex(chosen, _NOT_LANGUAGE, " "),
    )
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(plain, _NOISE, " "))


class LanguageModel:
    """fastText language identification."""

    def __init__(self, path: Path) -> None:
        """Load the model file.

        Raises:
            ValueError: the file is not there, or is not a fastText model.
        """
        self._model: Any = fasttext.load_model(str(path))

    def identify(self, texts: list[str]) -> tuple[list[str], np.ndarray]:
        """The most likely language of each text (one line each) and how likely it is."""
        predict = self._model.f.predict
        found = [predict(f"{text}\n", 1, 0.0, "strict") for text in texts]
        languages = [pairs[0][1].removeprefix("__label__") if pairs else "und" for pairs in found]
        return languages, np.array([pairs[0][0] if pairs else 0.0 for pairs in found])

    def share_of(self, language: str, text: str) -> float:
        """How likely a text is to be in `language`, from 0 to 1."""
        label = f"__label__{language}"
        found = self._model.f.predict(f"{text}\n", 5, 0.0, "strict")
        return next((float(share) for share, name in found if name == label), 0.0)


def script_language(texts: pa.StringArray) -> pa.StringArray:
    """The language that the script of each text tells; null where no script here tells one."""
    found = pa.nulls(len(texts), pa.string())
    for language, pattern in _SCRIPTS:
        matching = pc.and_(pc.is_null(found), pc.match_substring_regex(texts, pattern))
        found = pc.if_else(matching, language, found)
    return found


def has_latin(texts: pa.StringArray) -> pa.BooleanArray:
    """Whether each text has a letter of the Latin alphabet."""
    return pc.match_substring_regex(texts, _LATIN)


def mostly_other_script(texts: pa.StringArray) -> pa.BooleanArray:
    """Whether at least half of each text's letters are not Latin."""
    mixed = pc.match_substring_regex(texts, _OTHER_SCRIPT).to_numpy(zero_copy_only=False)
    chosen = np.flatnonzero(mixed)
    few = texts.take(pa.array(chosen))
    latin = pc.count_substring_regex(few, _LATIN).to_numpy()
    other = pc.count_substring_regex(few, _OTHER_SCRIPT).to_numpy()
    mixed[chosen] = other >= latin
    return pa.array(mixed)
