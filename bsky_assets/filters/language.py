"""Which language a text is in: scripts where they can tell, fastText's lid.176 where not.

Source of the model: https://fasttext.cc/docs/en/language-identification.html (CC-BY-SA 3.0).
What belongs here: cleaning a text as the model expects it, and asking it. What does not: when a
text counts as English, which `english` decides.
"""

from functools import lru_cache
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
_MARKS = r"[@#/]|\.[a-z]{2,6}\b"
_NOT_LANGUAGE = (
    r"https?://\S+|www\.\S+|[@#][\w.\-]+|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
    r"\.(?:[a-z]{2,}/|(?:com|org|net|social|gov|edu|co|io|ly|xyz|app|dev|tv|uk|eu)\b)\S*"
)
_NOISE = r"[^\p{L}\p{M}'’\-.,!? ]+"
_SCRIPTS = (
    ("ja", r"[\p{Hiragana}\p{Katakana}]"),
    ("ko", r"\p{Hangul}"),
    ("zh", r"\p{Han}"),
    ("th", r"\p{Thai}{2}"),
    ("he", r"\p{Hebrew}{2}"),
    ("el", r"\p{Greek}{2}"),
    ("hy", r"\p{Armenian}{2}"),
    ("ka", r"\p{Georgian}{2}"),
)
"""Scripts that mean one language, as good as always; earlier ones win."""

_REMEMBERED = 50_000
_LOOKED_AT = 5
_LEAST_SHARE = 0.005


def clean(texts: pa.StringArray) -> pa.StringArray:
    """`texts` without what is not language: addresses, mentions, hashtags, emoji, digits.

    What is left stands on one line. It may be empty.
    """
    styled = pc.match_substring_regex(texts, _STYLED_LATIN)
    plain = replaced(texts, styled, lambda chosen: pc.utf8_normalize(chosen, "NFKC"))
    linked = pc.match_substring_regex(plain, _MARKS)
    plain = replaced(
        plain, linked, lambda chosen: pc.replace_substring_regex(chosen, _NOT_LANGUAGE, " ")
    )
    noisy = pc.match_substring_regex(plain, _NOISE)
    plain = replaced(plain, noisy, lambda chosen: pc.replace_substring_regex(chosen, _NOISE, " "))
    return pc.utf8_trim_whitespace(plain)


class LanguageModel:
    """fastText language identification. It remembers what it saw last: posts repeat each other."""

    def __init__(self, path: Path) -> None:
        """Load the model file.

        Raises:
            ValueError: the file is not there, or is not a fastText model.
        """
        self._predict: Any = fasttext.load_model(str(path)).f.predict
        self._likeliest = lru_cache(_REMEMBERED)(self._find_likeliest)

    def identify(self, texts: list[str]) -> tuple[list[str], np.ndarray]:
        """The most likely language of each text (one line each) and how likely it is."""
        found = [self._likeliest(text) for text in texts]
        return [language for language, _ in found], np.array([share for _, share in found])

    def look_closely(self, text: str, wanted: str) -> tuple[str, float, float]:
        """The most likely language of a text, how likely it is, and how likely `wanted` is."""
        found = self._predict(f"{text}\n", _LOOKED_AT, _LEAST_SHARE, "strict")
        shares = {label.removeprefix("__label__"): min(share, 1.0) for share, label in found}
        likely = next(iter(shares), "und")
        return likely, shares.get(likely, 0.0), shares.get(wanted, 0.0)

    def _find_likeliest(self, text: str) -> tuple[str, float]:
        found = self._predict(f"{text}\n", 1, 0.0, "strict")
        if not found:
            return "und", 0.0
        share, label = found[0]
        return label.removeprefix("__label__"), min(share, 1.0)


def script_language(texts: pa.StringArray) -> pa.StringArray:
    """The language that the script of each text tells; null where no script here tells one."""
    found = pa.nulls(len(texts), pa.string())
    for language, pattern in _SCRIPTS:
        matching = pc.and_(pc.is_null(found), pc.match_substring_regex(texts, pattern))
        found = pc.if_else(matching, language, found)
    return found


def readable(texts: pa.StringArray) -> np.ndarray:
    """Which texts the model can read: more than half of their letters are Latin."""
    latin: np.ndarray = _matching(texts, _LATIN)
    mixed = np.flatnonzero(latin & _matching(texts, _OTHER_SCRIPT))
    if len(mixed):
        few = texts.take(pa.array(mixed))
        letters = pc.count_substring_regex(few, _LATIN).to_numpy()
        latin[mixed] = letters > pc.count_substring_regex(few, _OTHER_SCRIPT).to_numpy()
    return latin


def _matching(texts: pa.StringArray, pattern: str) -> np.ndarray:
    return np.array(pc.match_substring_regex(texts, pattern), dtype=bool)
