"""Text as word rules read it, in columns.

Folding undoes what hides a word from a plain comparison: letter case, compatibility characters
and fancy letters (NFKC), invisible characters, look-alike letters of other alphabets, accents.
Only texts that need a step take it. What does not belong here: which words matter.
"""

import re
import unicodedata
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_INVISIBLE = r"[\p{Cf}\x{034F}\x{115F}\x{1160}\x{3164}\x{FFA0}\x{FE00}-\x{FE0F}\x{20D0}-\x{20FF}]+"
_STRUCK_OUT = r"(\p{Latin})[\x{0300}-\x{036F}]+"
"""Marks that no letter of any language is composed with, such as strokes through a word."""
_FOREIGN = r"[\p{Cyrillic}\p{Greek}\p{Armenian}]"
_MIXED_ALPHABETS = rf"\p{{Latin}}{_FOREIGN}|{_FOREIGN}\p{{Latin}}"
_ACCENTED = r"[\x{00C0}-\x{024F}\x{1E00}-\x{1EFF}\x{0300}-\x{036F}]"
_STYLED = r"[\x{0250}-\x{02AF}\x{1D00}-\x{1D7F}\x{A730}-\x{A7FF}\x{1F150}-\x{1F189}]"
_APOSTROPHES = r"[\x{2018}\x{2019}\x{02BC}\x{00B4}\x{0060}]"

_LOOK_ALIKES = str.maketrans(
    {
        foreign: latin
        for latin, alphabet in {
            "a": "аα", "b": "вβЬь", "c": "сϲ", "d": "ԁ", "e": "еεё", "h": "һнη", "i": "іιїı",
            "j": "ј", "k": "кκ", "l": "ӏ", "m": "м", "n": "ոи", "o": "оοօσ", "p": "рρ", "q": "ԛ",
            "r": "г", "s": "ѕ", "t": "тτ", "u": "սυμ", "v": "ѵν", "w": "ѡԝω", "x": "хχ",
            "y": "уγ", "z": "ζз", "A": "АΑ", "B": "ВΒ", "C": "СϹ", "E": "ЕΕ", "H": "НΗ",
            "I": "ІΙӀ", "J": "Ј", "K": "КΚ", "M": "МΜ", "N": "Ν", "O": "ОΟՕ", "P": "РΡ",
            "S": "Ѕ", "T": "ТΤ", "X": "ХΧ", "Y": "УΥ", "Z": "Ζ",
        }.items()
        for foreign in alphabet
    }
)  # fmt: skip
_MIXED_WORD = re.compile(r"\w+")
_STYLES = str.maketrans(
    dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True))
    | {chr(start + i): chr(97 + i) for start in (0x1F150, 0x1F170) for i in range(26)}
)


def fold(texts: pa.StringArray) -> pa.StringArray:
    """`texts` in lower case, with letters written plainly; words keep their places.

    Null stays null. ASCII text, the most of it, is only put into lower case.
    """
    foreign = pc.invert(pc.string_is_ascii(texts))
    if not pc.any(foreign).as_py():
        return pc.utf8_lower(texts)
    return replaced(pc.utf8_lower(texts), foreign, _unmasked)


def plain_letters(texts: pa.StringArray) -> pa.StringArray:
    """`texts` in their own case, without what hides letters: see the module."""
    foreign = pc.invert(pc.string_is_ascii(texts))
    return replaced(texts, foreign, _plain_letters)


def _plain_letters(texts: pa.StringArray) -> pa.StringArray:
    plain = pc.replace_substring_regex(pc.utf8_normalize(texts, "NFKC"), _INVISIBLE, "")
    plain = pc.replace_substring_regex(plain, _STRUCK_OUT, r"\1")
    plain = pc.replace_substring_regex(plain, _APOSTROPHES, "'")
    plain = where(plain, _STYLED, lambda text: text.translate(_STYLES))
    return where(plain, _MIXED_ALPHABETS, lambda text: _MIXED_WORD.sub(_latin, text))


def _latin(match: re.Match[str]) -> str:
    """A word in Latin letters alone, if those of other alphabets in it all look like some."""
    word = match.group().translate(_LOOK_ALIKES)
    return match.group() if any("\u0370" <= letter <= "\u058f" for letter in word) else word


def _unmasked(texts: pa.StringArray) -> pa.StringArray:
    return where(pc.utf8_lower(_plain_letters(texts)), _ACCENTED, _without_accents)


def _without_accents(text: str) -> str:
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", "".join(letters))


def where(texts: pa.StringArray, pattern: str, change: Callable[[str], str]) -> pa.StringArray:
    """`texts`, those that match `pattern` changed one by one: for what few texts need."""
    matching = pc.match_substring_regex(texts, pattern)
    return replaced(
        texts,
        matching,
        lambda chosen: pa.array([change(text) for text in chosen.to_pylist()], pa.string()),
    )


def without(
    texts: pa.StringArray, pattern: str, instead: str, mask: pa.BooleanArray
) -> pa.StringArray:
    """`texts`, those under `mask` with `instead` for every match of `pattern`."""
    return replaced(texts, mask, lambda some: pc.replace_substring_regex(some, pattern, instead))


def matching_foreign(texts: pa.StringArray, pattern: str) -> np.ndarray:
    """Which of `texts` match `pattern`, which no ASCII text can match."""
    foreign = np.flatnonzero(pc.invert(pc.string_is_ascii(texts)))
    found = np.zeros(len(texts), dtype=bool)
    found[foreign] = pc.match_substring_regex(texts.take(pa.array(foreign)), pattern)
    return found


def replaced(
    texts: pa.StringArray,
    mask: pa.BooleanArray,
    change: Callable[[pa.StringArray], pa.StringArray],
) -> pa.StringArray:
    """`texts`, those under `mask` (null is false) replaced by what `change` makes of them."""
    mask = pc.fill_null(mask, False)
    if not pc.any(mask).as_py():
        return texts
    return pc.replace_with_mask(texts, mask, change(texts.filter(mask)))
