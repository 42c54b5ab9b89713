"""The hate speech filter: attacks on people for what they are.

A text is read as a string of kinds of words (`hate_words`), and patterns over that string tell an
attack on a protected group from hostility that has another target. Negation, quotation, report,
condemnation and a group's own use of a word excuse. Source of these distinctions: P. Röttger et
al., HateCheck: Functional Tests for Hate Speech Detection Models, ACL 2021.
"""

import re
from collections.abc import Iterable
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.hate_frames import Frames, with_pronouns
from bsky_assets.filters.hate_words import LETTERS, OTHER, terms_by_kind
from bsky_assets.filters.lexicon import any_of, words
from bsky_assets.filters.phrases import PhraseBook, Reading, written_out
from bsky_assets.filters.posts import Posts
from bsky_assets.filters.respell import Respeller
from bsky_assets.filters.unmask import Unmasker
from bsky_assets.filters.verdicts import Verdicts, first_reason

_PATTERNS = tuple(
    (reason, re.compile(pattern))
    for reason, pattern in (
        (
            "threat",
            r"(?:^|[.,]|i[foOFwc]{0,3}|O[fF]{0,2}|(?:^|[.,])f?o)(?P<act>v)[fFoa]{0,4}[gsmT]",
        ),
        ("threat", r"O[^.,!r]{0,8}(?P<act>v)[fFa]{0,3}[gs]"),
        ("threat", r"[gsmT][fFwrci,]{0,5}[oO][fFwoOc]{0,3}(?P<act>V)"),
        ("threat", r"[oO][fFw]{0,3}[gsmT][fFwc]{0,2}[oO]?[fF]?(?P<act>V)"),
        ("threat", r"io[fFw]{0,2}[gsmT][fF]{0,2}(?P<act>v)"),
        ("dehumanisation", r"[gsmT][fFw,]{0,2}c[fFwoO]{0,4}(?P<act>[dD])"),
        ("derogation", r"[gsT][fFwr,]{0,2}c[fFwoO]{0,4}(?P<act>[ndDsab])"),
        ("derogation", r"c[fFw]{0,2}[gsT][fFw]{0,2}(?P<act>[naDdb])"),
        ("derogation", r"[gsT][fFwoOc]{0,2}(?P<act>k)"),
        ("threat", r"i[fF]?(?P<act>k)[fF]{0,2}[gsT]"),
        ("exclusion", r"(?P<act>X)[fFwocit]{0,7}[gs](?=$|[.,k])"),
        ("exclusion", r"(?P<not>!)[fF]{0,2}[gs][fFw]{0,2}(?P<act>q)"),
        ("exclusion", r"(?P<act>x)[fFna]{0,4}[gsT]"),
        ("hatred", r"(?P<act>h)[fFna]{0,5}[gsT]"),
        ("hatred", r"(?P<not>!)[fFw]{0,2}(?P<act>p)[fFna]{0,3}[gsT]"),
        ("derogation", r"(?P<act>[nDd])Tc(?=$|[.,])"),
        ("derogation", r"(?P<act>a)[fF]?[gs]"),
        ("derogation", r"[gs][fF]?(?P<act>[Db])"),
        ("derogation", r"(?P<act>F)[gs](?=$|[.,])"),
        ("abuse", r"y[fFcwoO]{0,4}[naF]{0,3}(?P<act>b)"),
        ("abuse", r"[naF](?P<act>b)"),
        ("abuse", r"[hvx][fF]{0,3}(?P<act>b)"),
        ("abuse", r"(?P<act>b)[fFwc]{0,3}[kVdD]"),
    )
)
"""What an attack looks like; `act` marks the hostile word itself."""

_SUSPICIOUS = ("group", "majority", "slur", "weak_slur", "coded")
"""Kinds of which a text must have one to be looked at."""
_MISSPELT = ("hate", "insult", "dehumanise", "smear", "attack", "attacked")
_INSULTING = ("insult", "dehumanise", "smear", "epithet")

_QUOTED = re.compile(
    r"\"[^\"\n]{3,}\"|“[^”\n]{3,}”|(?<![\w'])'[^\n]{3,}?'(?![\w])|‘[^’\n]{3,}’|«[^»\n]{3,}»"
)
_DISCLAIMER = re.compile(r"\bi(?:'?m| am) (?:not|no|far from)(?: an?| being)? \w+(?=,| but)")
_THROWN = re.compile(r"\b(?:what|such) an? $")
_LEAST_WORDS_AROUND = 2
_DENIAL_REACH = 3
"""Words before a sentence shape in which a negation denies it."""
_OWN_REACH = 30
"""Characters before a slur in which its owner speaks."""


class HateSpeechFilter:
    """Stops attacks on people for what they are."""

    name = "hate_speech"
    passes_if = False

    def __init__(self) -> None:
        """Read the word lists."""
        terms = terms_by_kind()
        self._kinds = PhraseBook({letter: terms[kind] for kind, letter in LETTERS.items()}, OTHER)
        self._suspicious = any_of(term for kind in _SUSPICIOUS for term in terms[kind])
        self._frames = Frames(
            terms["group"],
            {
                "insults": _choice(term for kind in _INSULTING for term in terms[kind]),
                "attacks": _choice(terms["attack"]),
                "attacked": _choice(terms["attacked"]),
            },
        )
        hostile_words = _plain([term for kind in _MISSPELT for term in terms[kind]])
        spelt = {*words("hate_speech", "spelling.words"), *hostile_words}
        self._unmask = Unmasker(any_of([*terms["slur"], *terms["weak_slur"], *spelt]))
        self._homonym = any_of(words("hate_speech", "kinds.homonym"))
        self._condemn = re.compile(any_of(words("hate_speech", "kinds.condemn")))
        self._ambiguous = re.compile(any_of(words("hate_speech", "kinds.ambiguous_slur")))
        self._own = re.compile(any_of(words("hate_speech", "kinds.own")))
        self._respell = Respeller(
            {*spelt, *_plain(terms["slur"])},
            words("hate_speech", "spelling.signs"),
            words("hate_speech", "spelling.run_together"),
            chain.from_iterable(map(written_out, words("hate_speech", "spelling.phrases"))),
            words("english", "words") + words("english", "shared"),
        )

    def judge(self, posts: Posts) -> Verdicts:
        """Stop posts with a label, or with an attack that nothing excuses."""
        texts = self._respell(self._unmask(posts.words))
        suspects = np.flatnonzero(pc.match_substring_regex(texts, self._suspicious))
        reasons: list[str | None] = [None] * len(posts)
        chosen = pc.replace_substring_regex(texts.take(pa.array(suspects)), self._homonym, " ")
        texts_and_masked = zip(
            suspects.tolist(),
            chosen.to_pylist(),
            self._frames.masked(chosen).to_pylist(),
            strict=True,
        )
        for place, text, masked in texts_and_masked:
            reasons[place] = self._reason(text, masked)
        return Verdicts(first_reason(posts.facts(self.name), pa.array(reasons, pa.string())))

    def _reason(self, text: str, masked: str) -> str | None:
        outside = _QUOTED.sub(" _ ", text)
        if len(re.findall(r"[a-z']{2,}", outside)) >= _LEAST_WORDS_AROUND:
            text, masked = outside, _QUOTED.sub(" _ ", masked)
        reading = self._kinds.read(text)
        if "z" in reading.letters and not self._condemn.search(text):
            return "rule:coded"
        letters = _with_references(reading.letters)
        for reason, pattern in _PATTERNS:
            for match in pattern.finditer(letters):
                if not self._excused(reading, letters, match):
                    return f"rule:{reason}"
        if self._insulting_slur(reading, letters):
            return "rule:slur"
        return self._framed(with_pronouns(masked))

    def _framed(self, masked: str) -> str | None:
        """The reason of a sentence shape that is neither denied, reported nor condemned."""
        for reason, match in self._frames.found(masked):
            before = masked[: match.start()]
            around = _DISCLAIMER.sub(" ", f"{before} _ {masked[match.end() :]}")
            letters = self._kinds.read(before.rpartition(" but ")[2]).letters
            denied = "!" in letters[-_DENIAL_REACH:].rpartition(".")[2].rpartition(",")[2]
            if not (denied or self._condemn.search(around) or _reported(letters)):
                return f"rule:{reason}"
        return None

    def _excused(self, reading: Reading, letters: str, match: re.Match[str]) -> bool:
        """Whether what looks like an attack is denied, reported or condemned."""
        act = match.start("act")
        denied = letters[max(match.start() - 2, 0) : act]
        if match.groupdict().get("not"):
            denied = denied[: -(act - match.start())] if act > match.start() else denied
        if "!" in denied.rpartition(".")[2]:
            return True
        return _reported_before(letters, match.start()) or self._condemned(reading)

    def _condemned(self, reading: Reading) -> bool:
        return self._condemn.search(_DISCLAIMER.sub(" ", reading.text)) is not None

    def _insulting_slur(self, reading: Reading, letters: str) -> bool:
        """Whether a slur is used as one: not reported, not condemned, not by its owners."""
        for place in (match.start() for match in re.finditer("s", letters)):
            if self._condemned(reading) or _reported_before(letters, place):
                continue
            start = reading.places[place]
            hostile = re.search(r"[hvVkdDax]", letters)
            thrown = re.search(r"[yFO]", letters[max(place - 4, 0) : place])
            if hostile or thrown or _THROWN.search(reading.text[:start]):
                return True
            owned = self._own.search(reading.text[max(start - _OWN_REACH, 0) : start])
            if not owned and not self._ambiguous.match(reading.text, start):
                return True
        return False


def _reported_before(letters: str, start: int) -> bool:
    """Whether the sentence says before `start` that someone else says or does it.

    A pronoun after a comma begins a statement of its own.
    """
    return _reported(letters[:start], ".," if letters[start] == "T" else ".")


def _reported(letters: str, ends: str = ".") -> bool:
    """Whether the sentence that is at the end of `letters` says that someone else says it."""
    sentence = re.split(f"[{ends}]", letters)[-1]
    place = sentence.rfind("r")
    if place < 0:
        return False
    speaker = sentence[max(place - 3, 0) : place]
    return "!" in speaker or not ("i" in speaker or "y" in speaker)


def _choice(terms: Iterable[str]) -> str:
    """The terms as alternatives, the longest first; a space also stands for what it may be."""
    return "|".join(sorted({term.replace(" ", "[ _-]") for term in terms}, key=len, reverse=True))


def _with_references(letters: str) -> str:
    """`T` for `t` where a pronoun can stand for a group named before it."""
    first = re.search("[gs]", letters)
    if first is None:
        return letters
    return letters[: first.end()] + letters[first.end() :].replace("t", "T")


def _plain(terms: Iterable[str]) -> set[str]:
    """The terms that are one word each, in the singular and the plural that they allow."""
    plain = {term for term in terms if re.fullmatch(r"[a-z]+(?:s\?)?", term)}
    return {form for term in plain for form in (term.removesuffix("s?"), term.replace("?", ""))}
