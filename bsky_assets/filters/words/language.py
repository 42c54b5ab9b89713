"""What of a text is language, and what its script tells of it.

What belongs here: cleaning a text as the language model expects it, and the scripts that leave
nothing to ask it. What does not: the model (`identification`), and when a text counts as English.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.words.normalise import matching_foreign, plain_letters, replaced

_LATIN = r"\p{Latin}"
_OTHER_SCRIPT = r"[^\P{L}\p{Latin}]"
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


def clean(texts: pa.StringArray) -> pa.StringArray:
    """`texts` without what is not language; what is left stands on one line and may be empty."""
    return without_noise(without_marks(texts))


def without_marks(texts: pa.StringArray) -> pa.StringArray:
    """`texts` without addresses, mentions and hashtags, disguised letters written plainly."""
    plain = plain_letters(texts)
    linked = pc.match_substring_regex(plain, _MARKS)
    return replaced(
        plain, linked, lambda chosen: pc.replace_substring_regex(chosen, _NOT_LANGUAGE, " ")
    )


def without_noise(texts: pa.StringArray) -> pa.StringArray:
    """`texts` without what is no letter: emoji, digits, signs. It stands on one line.

    What is all in capitals is written small, as the model knows it.
    """
    noisy = pc.match_substring_regex(texts, _NOISE)
    plain = replaced(texts, noisy, lambda chosen: pc.replace_substring_regex(chosen, _NOISE, " "))
    loud = pc.invert(pc.match_substring_regex(plain, r"\p{Ll}"))
    return pc.utf8_trim_whitespace(replaced(plain, loud, pc.utf8_lower))


def script_language(texts: pa.StringArray) -> pa.StringArray:
    """The language that the script of each text tells; null where no script here tells one."""
    found = np.full(len(texts), -1)
    left = np.arange(len(texts))
    for number, (_, pattern) in enumerate(_SCRIPTS):
        matching = _matching(texts, pattern)
        found[left[matching]] = number
        left, texts = left[~matching], texts.filter(pa.array(~matching))
    return pa.array([name for name, _ in _SCRIPTS]).take(pa.array(found, mask=found < 0))


def readable(texts: pa.StringArray) -> np.ndarray:
    """Which texts the model can read: more than half of their letters are Latin."""
    latin: np.ndarray = _matching(texts, _LATIN)
    mixed = np.flatnonzero(latin & matching_foreign(texts, _OTHER_SCRIPT))
    if len(mixed):
        few = texts.take(pa.array(mixed))
        letters = pc.count_substring_regex(few, _LATIN).to_numpy()
        latin[mixed] = letters > pc.count_substring_regex(few, _OTHER_SCRIPT).to_numpy()
    return latin


def _matching(texts: pa.StringArray, pattern: str) -> np.ndarray:
    return np.array(pc.match_substring_regex(texts, pattern), dtype=bool)
