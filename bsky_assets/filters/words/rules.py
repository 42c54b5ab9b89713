"""Rules over words that stand in lists, as a person writes and reads them.

A text is read word by word; the longest phrase of any list is taken as one word, which knows the
lists that it is in. A rule is a sequence of such words:

    word            that word                 (one|another one)   any of these words
    {list}          a word of that list       {one|another}       a word of any of these lists
    ^               a clause begins           $                   a clause ends, not in a question
    ...             up to three words         no{list}            the next word is in no such list
    , : ?           that sign                 x? x*               x or nothing; up to three of x

What belongs here: reading texts and rules. What does not: which words and rules there are.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

_TOKEN = re.compile(r"'re\b|[a-z0-9]+(?:'(?!re\b)[a-z]+)*|\?+|[.!;\n]+|:|[,–—()]+|(?<=\s)-(?=\s)")
_ELEMENT = re.compile(r"\([^)]*\)[?*]?|\S+")
_LISTS = re.compile(r"\{([\w|]+)\}")
_PLAIN = re.compile(r"[a-z' ]+")
_CHOICE = re.compile(r"\|(?![^{]*\})")
_REPEATED = {"?": "?", "*": "{0,3}"}
_SIGNS = {"?": "? ", ".": ". ", "!": ". ", ";": ". ", "\n": ". ", ":": ": "}
_ANY = r"[^\s/.,:?]+/\S* "
_SENTENCE_END = re.compile(r"[.?] ")
_OPENER = "opener"
"""The list of words after which a clause begins anew, such as `and` or `I think`."""
_JOINED = (
    r"(?:^|(?<= ))(?:(?:and|but)/\S* (?=(?:they|those_people|i|we)/)"
    r"|(?:because|when|that)/\S* (?=(?:they|those_people)/))"
)
"""A clause that a pronoun begins within a sentence."""
TRANSPARENT = "transparent"
"""The list of words that `...` does not pass over, since they turn what is said round."""


@dataclass(frozen=True)
class Need:
    """What a text must have some of for a rule to be in it: any of these words or lists."""

    tokens: frozenset[str]
    lists: frozenset[str]


@dataclass(frozen=True)
class Reading:
    """A text as rules see it: every word as `word/list+list+ `, signs as `. `, `, `, `: `, `? `."""

    words: str
    lists: frozenset[str]
    """The lists that have a word in the text."""
    tokens: frozenset[str]
    """The words of the text, each by itself."""

    def sentence(self, place: int) -> tuple[int, int]:
        """Where the sentence around a place begins and ends."""
        start = 0
        for end in _SENTENCE_END.finditer(self.words):
            if end.start() >= place:
                return start, end.end()
            start = end.end()
        return start, len(self.words)

    def has(self, need: Need) -> bool:
        """Whether the text has any of the words or lists."""
        return not (need.lists.isdisjoint(self.lists) and need.tokens.isdisjoint(self.tokens))


class Reader:
    """Reads texts by lists of phrases."""

    def __init__(self, lists: Mapping[str, Iterable[str]]) -> None:
        """Write out the terms of each list (see `written_out`).

        Raises:
            ValueError: a term has syntax that cannot be written out.
        """
        found: dict[str, tuple[str, ...]] = {}
        for name in sorted(lists):
            for phrase in {phrase for term in lists[name] for phrase in _tokenised(term)}:
                found[phrase] = (*found.get(phrase, ()), name)
        marks = {names: "".join(f"{name}+" for name in names) for names in {*found.values()}}
        self._lists = {phrase: (names, marks[names]) for phrase, names in found.items()}
        lengths: dict[str, set[int]] = {}
        for phrase in found:
            lengths.setdefault(phrase.split(" ")[0], set()).add(phrase.count(" ") + 1)
        self._lengths = {first: sorted(those, reverse=True) for first, those in lengths.items()}

    def read(self, text: str) -> Reading:
        """The reading of a folded text."""
        tokens = _TOKEN.findall(text)
        words, seen, at = [], set[str](), 0
        while at < len(tokens):
            first, marks, taken = tokens[at], "", 1
            if first in self._lengths:
                names, marks, taken = self._look_up(tokens, at)
                seen.update(names)
            if first[0].isalnum() or first[0] == "'":
                words.append(f"{'_'.join(tokens[at : at + taken])}/{marks} ")
            else:
                words.append(_SIGNS.get(first[0], ", "))
            at += taken
        return Reading("".join(words), frozenset(seen), frozenset(tokens))

    def _look_up(self, tokens: list[str], at: int) -> tuple[tuple[str, ...], str, int]:
        """The lists of the longest phrase from a place on, also as written out, and its length."""
        left = len(tokens) - at
        for count in self._lengths[tokens[at]]:
            if count <= left and (found := self._lists.get(" ".join(tokens[at : at + count]))):
                return *found, count
        return (), "", 1


@dataclass(frozen=True)
class Rule:
    """A rule ready to be looked for."""

    pattern: re.Pattern[str]
    needs: tuple[Need, ...]
    """What spares most texts the pattern."""

    @classmethod
    def of(cls, written: str, lists: Iterable[str]) -> "Rule":
        """A rule as written.

        Raises:
            KeyError: it names a list that there is not.
        """
        if missing := {one for names in _LISTS.findall(written) for one in names.split("|")} - {
            *lists
        }:
            raise KeyError(f"no list {missing.pop()!r} for the rule {written!r}")
        start = "" if written.startswith("^") else r"(?:^|(?<= ))"
        return cls(re.compile(start + _sequence_of(written)), tuple(_needs(written)))

    def is_possible(self, reading: Reading) -> bool:
        """Whether a reading has some of everything that the rule needs."""
        return all(map(reading.has, self.needs))

    def find(self, reading: Reading, start: int = 0) -> Iterator[re.Match[str]]:
        """Every place from `start` on where a reading has it."""
        if not self.is_possible(reading):
            return iter(())
        return self.pattern.finditer(reading.words, start)


def _needs(written: str) -> Iterator[Need]:
    """What every text with a sequence of elements has, the most telling first."""
    found = [need for one in _ELEMENT.findall(written) if (need := _need(one))]
    yield from sorted(found, key=lambda need: len(need.tokens) + 10 * len(need.lists))


def _need(element: str) -> Need | None:
    """What an element needs; nothing if it may be left out, or be a sign or a place."""
    if element in ("^", "$", "...", ",", *_SIGNS) or element[-1] in "?*":
        return None
    if element.startswith("no{"):
        return None
    if element.startswith("{"):
        return Need(frozenset(), frozenset(element[1:-1].split("|")))
    if element.startswith("("):
        choices = [next(_needs(one), None) for one in _CHOICE.split(element[1:-1])]
        those = [one for one in choices if one]
        if len(those) < len(choices):
            return None
        return Need(
            frozenset().union(*(one.tokens for one in those)),
            frozenset().union(*(one.lists for one in those)),
        )
    return Need(frozenset(_TOKEN.findall(element)[:1]), frozenset())


def _sequence_of(written: str) -> str:
    """A sequence of elements as a pattern over a reading."""
    return "".join(map(_repeated, _ELEMENT.findall(written)))


def _repeated(element: str) -> str:
    bare = element.rstrip("?*") or element
    return f"(?:{_element(bare)}){_REPEATED.get(element[len(bare) :], '')}"


def _element(written: str) -> str:
    if written == "^":
        opened = rf"(?:^|(?<=[.,:?] ))(?:{_in_lists(_OPENER)}){{0,3}}"
        return rf"{opened}|{_JOINED}"
    if written == "$":
        return r"(?=[.,:] |$)"
    if written == "...":
        return rf"(?:(?!{_in_lists(TRANSPARENT)}){_ANY}){{0,3}}?"
    if written in _SIGNS or written == ",":
        return re.escape(_SIGNS.get(written, ", "))
    if written.startswith("no{"):
        return f"(?!{_in_lists(*written[3:-1].split('|'))})"
    if written.startswith("{"):
        return _in_lists(*written[1:-1].split("|"))
    if written.startswith("("):
        choices = _CHOICE.split(written[1:-1])
        return "|".join(
            _element(one) if _PLAIN.fullmatch(one) else _sequence_of(one) for one in choices
        )
    return r"(?:/\S* |_)".join(_TOKEN.findall(written)) + r"/\S* "


def _in_lists(*names: str) -> str:
    return rf"[^\s/]+(?=/)\S*[/+](?:{'|'.join(names)})\+\S* "


@cache
@cache
def _tokenised(term: str) -> tuple[str, ...]:
    """Every phrase that a term stands for, as texts are read."""
    return tuple(" ".join(_TOKEN.findall(phrase)) for phrase in written_out(term))


@cache
def written_out(term: str) -> tuple[str, ...]:
    """Every phrase that a term stands for; a term is in several lists, and lists in several uses.

    Raises:
        ValueError: the term has syntax other than `(a|b)`, `?` and `[ab]`.
    """
    phrases, rest = _alternatives(term.replace("(?:", "("))
    if rest:
        raise ValueError(f"cannot write out {term!r}: {rest!r} is left")
    return tuple(" ".join(phrase.split()) for phrase in phrases)


def _alternatives(text: str) -> tuple[list[str], str]:
    """The phrases of `a|b|…` up to a closing bracket or the end, and what is left."""
    phrases: list[str] = []
    while True:
        parts, text = _sequence(text)
        phrases += ("".join(choice) for choice in product(*parts))
        if not text.startswith("|"):
            return phrases, text
        text = text[1:]


def _sequence(text: str) -> tuple[list[list[str]], str]:
    parts: list[list[str]] = []
    while text and text[0] not in "|)":
        if text[0] == "(":
            part, text = _alternatives(text[1:])
            if not text.startswith(")"):
                raise ValueError("a group is not closed")
            text = text[1:]
        elif text[0] == "[":
            letters, _, text = text[1:].partition("]")
            part = list(letters)
        elif text[0] in "*+{\\.^$":
            raise ValueError(f"{text[0]!r} cannot be written out")
        else:
            part, text = [text[0]], text[1:]
        if text.startswith("?"):
            part, text = ["", *part], text[1:]
        parts.append(part)
    return parts, text
