"""The hate speech filter: attacks on people for what they are.

Rules and excuses are data, in hate_speech.toml: who speaks, of which group, which act, what
excuses. Source of the distinctions: P. Röttger et al., HateCheck: Functional Tests for Hate Speech
Detection Models, ACL 2021.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.posts import Posts
from bsky_assets.filters.registry import Sources, weights_path
from bsky_assets.filters.verdicts import Verdicts
from bsky_assets.filters.words.disguises import Unmasker
from bsky_assets.filters.words.evidence import Evidence, read_weights
from bsky_assets.filters.words.lexicon import any_of, lexicon, words
from bsky_assets.filters.words.rules import Reader, Reading, Rule, written_out
from bsky_assets.filters.words.spelling import Speller

NAME = "hate_speech"
_TARGETS = ("group", "status", "person", "slur", "ambiguous_slur", "coded")
"""Lists of which a text must have a word to be looked at."""
_DISGUISED = ("group", "slur", "ambiguous_slur", "hate", "harm", "insult", "vermin")
_MISSPELT = (*_DISGUISED, "person", "suffer", "curse")
"""Lists whose words are put right (`words/spelling.py`)."""
_LEAST_LETTERS_DISGUISED = 4
_QUOTED = re.compile(r"“[^“”]{3,}(?:”|$)|«[^«»]{3,}»|\"[^\"]{3,}\"|(?<![\w'])'.{3,}?'(?![\w])")
_LEAST_WORDS_AROUND = 2
_PRONOUNS = re.compile(r"(?P<word>they|them|those_people|these_people|they're)/(?=\S* )")


@dataclass(frozen=True)
class _Excuse:
    where: str
    rule: Rule
    unless: Rule | None


class HateSpeechFilter:
    """Stops attacks on people for what they are."""

    name = NAME
    passes_if = False

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        """Read the word lists and the rules, and the weights of signs where none are given."""
        lists = {name: words(NAME, f"lists.{name}") for name in lexicon(NAME)["lists"]}
        self._reader = Reader(lists)
        declared = lexicon(NAME)["evidence"]
        self._named = any_of(
            [
                *(term for name in _TARGETS for term in lists[name]),
                *words(NAME, "evidence.lists.also_named"),
            ]
        )
        every = {**lists, **declared["lists"]}
        self._loose, self._insults = (
            any_of(term for name in declared[kind] for term in every.get(name, [name]))
            for kind in ("loose", "insults")
        )
        self._unmask = Unmasker(
            any_of(
                word
                for word in _words_of(lists[name] for name in _DISGUISED)
                if len(word) >= _LEAST_LETTERS_DISGUISED
            )
        )
        self._spell = Speller(
            {
                *_words_of(lists[name] for name in _MISSPELT),
                *_words_of([words(NAME, "evidence.lists.also_named")]),
            },
            {
                *(word for key in ("words", "shared") for word in words("english", key)),
                *_words_of(lists.values()),
            },
            words(NAME, "spelt_alike"),
        )
        self._rules = [
            (rule["reason"], Rule.of(rule["pattern"], lists)) for rule in lexicon(NAME)["rules"]
        ]
        self._excuses = [
            _Excuse(
                one["where"],
                Rule.of(one["pattern"], lists),
                Rule.of(one["unless"], lists) if "unless" in one else None,
            )
            for one in lexicon(NAME)["excuses"]
        ]
        self.evidence = Evidence(
            declared, lists, read_weights(weights_path(NAME)) if weights is None else weights
        )
        self._others = [Rule.of(one, lists) for one in lexicon(NAME)["somebody_else"]]
        self._subjects = [Rule.of(one, lists) for one in lexicon(NAME)["subjects"]]

    def judge(self, posts: Posts) -> Verdicts:
        """Stop posts with a label, or with an attack that nothing excuses."""
        texts = self.plain(posts)
        suspects = self._suspects(texts)
        reasons: list[str | None] = [None] * len(posts)
        chosen = texts.take(pa.array(suspects)).to_pylist()
        for place, text in zip(suspects.tolist(), chosen, strict=True):
            reasons[place] = self._reason(text)
        return Verdicts(pc.coalesce(posts.facts(self.name), pa.array(reasons, pa.string())))

    def _suspects(self, texts: pa.StringArray) -> np.ndarray:
        """The rows of texts that name people: by a group's name, or loosely and with an insult."""
        named = pc.match_substring_regex(texts, self._named).to_numpy(zero_copy_only=False)
        rest = np.flatnonzero(~named)
        for pattern in (self._loose, self._insults):
            found = pc.match_substring_regex(texts.take(pa.array(rest)), pattern)
            rest = rest[found.to_numpy(zero_copy_only=False)]
        named[rest] = True
        return np.flatnonzero(named)

    def plain(self, posts: Posts) -> pa.StringArray:
        """The words of posts, disguised ones written plainly."""
        return self._spell(self._unmask(posts.words))

    def _reason(self, text: str) -> str | None:
        """The reason of the first rule that a text breaks without an excuse, or of evidence."""
        text = self.evidence.spelt(said(text))
        reading, excused = self._with_pronouns(self._reader.read(text)), False
        for reason, rule in self._rules:
            for match in rule.find(reading):
                if not any(_applies(one, reason, reading, match) for one in self._excuses):
                    return f"rule:{reason}"
                excused = True
        return None if excused else self.evidence.reason(text)

    def _with_pronouns(self, reading: Reading) -> Reading:
        """Pronouns count as the group that an earlier clause is about, until others are named."""
        subjects = (next(one.find(reading), None) for one in self._subjects)
        ends = [found.end() for found in subjects if found]
        if not ends:
            return reading
        first = min(ends)
        others = (next(one.find(reading, first), None) for one in self._others)
        last = min((found.start() for found in others if found), default=len(reading.words))
        meant = _PRONOUNS.sub(r"\g<word>/group+", reading.words[first:last])
        return replace(reading, words=reading.words[:first] + meant + reading.words[last:])


def _words_of(lists: Iterable[Iterable[str]]) -> Iterator[str]:
    """Every word of the terms of some lists."""
    for terms in lists:
        for term in terms:
            for phrase in written_out(term):
                yield from phrase.split(" ")


def said(text: str) -> str:
    """A text without what it quotes, unless it is nothing but a quotation."""
    outside, found = text, 1
    while found:  # from the inmost on, as people quote who quote
        outside, found = _QUOTED.subn(" _ ", outside)
    enough = len(re.findall(r"[a-z']{2,}", outside)) >= _LEAST_WORDS_AROUND
    return outside if enough else text


def _applies(excuse: _Excuse, reason: str, reading: Reading, match: re.Match[str]) -> bool:
    """Whether an excuse holds for what a rule found."""
    start, end = reading.sentence(match.start())
    scope = {
        "text": reading.words,
        "sentence": reading.words[start:end],
        "before": reading.words[start : match.start()],
        "after": reading.words[match.end() : end],
        "slur": reading.words[start : match.end()] if reason == "slur" else "",
    }[excuse.where]
    if excuse.unless:
        scope = excuse.unless.pattern.sub("", scope)
    return excuse.rule.pattern.search(scope) is not None


def make(_: Mapping[str, Any], __: Sources) -> HateSpeechFilter:
    """The filter by its declaration."""
    return HateSpeechFilter()
