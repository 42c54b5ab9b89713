"""The word lists against hate speech, and the letter that stands for each kind of words.

What belongs here: which lists there are. What does not: which sequences are hateful.
"""

from bsky_assets.filters.lexicon import lexicon, words

LETTERS = {
    "coded": "z",
    "group": "g",
    "majority": "m",
    "slur": "s",
    "accusation": "k",
    "hate": "h",
    "without": "x",
    "avoid": "X",
    "good": "q",
    "attacked": "V",
    "attack": "v",
    "weak_slur": "b",
    "smear": "D",
    "dehumanise": "d",
    "epithet": "a",
    "insult": "n",
    "pronoun": "t",
    "report": "r",
    "regard": "p",
    "not": "!",
    "duty": "O",
    "wish": "o",
    "be": "c",
    "speaker": "i",
    "addressee": "y",
    "curse": "F",
    "filler": "f",
}
"""Kinds of words and their letters; where two kinds have the same phrase, the earlier wins."""

OTHER = "w"


def terms_by_kind() -> dict[str, tuple[str, ...]]:
    """The terms of every kind.

    Raises:
        KeyError, EmptyWordList: a list is missing or empty.
    """
    terms = {kind: words("hate_speech", f"kinds.{kind}") for kind in LETTERS if kind not in _GROUPS}
    categories = lexicon("hate_speech")["groups"]
    terms["group"] = tuple(
        term for category in categories for term in words("hate_speech", f"groups.{category}")
    )
    terms["majority"] = words("hate_speech", "majority.groups")
    return {kind: terms[kind] for kind in LETTERS}


_GROUPS = ("group", "majority")
