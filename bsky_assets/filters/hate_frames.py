"""Shapes of sentences that attack a group without a word that is hostile by itself.

A text is looked at with its groups masked: `A` for one of a group ("a woman"), `G` for the group,
`T` for a pronoun that may stand for it. The frames of the word lists are patterns over such text.
What does not belong here: what excuses a text.
"""

import re
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.lexicon import any_of, lexicon
from bsky_assets.filters.phrases import written_out

_PART = re.compile(r"\{([a-z]+)\}")
_MARKS = {"G": "[GA]", "A": "A", "P": "[GAT]"}
_ONE = r"(?:an?|any|one|each|every|every single|every last|some|another) "
_MANY = (
    r"(?:(?:all|all of|all the|the|these|those|every|each|every single|every last|so many|some|"
    r"any|such|our|most|most of|single|damn|fucking|bloody|goddamn|other|more|many|any of|"
    r"some of) )*"
)
_PRONOUN = re.compile(r"\b(?:they|them|those people|these people|that kind|people like that)\b")
_PUNCTUATION = re.compile(r"(?:\\b.*|\.\{.*|\[[^\]a-z]*\]\+?|,)\??$")
_WORD = re.compile(r"[a-z0-9']+|[GAT]\b")


class Frames:
    """Sentence shapes, in which `{part}` stands for the words of that part.

    A frame is tried only at words that it can begin with: trying all everywhere costs tenfold.
    """

    def __init__(self, groups: Iterable[str], parts: dict[str, str]) -> None:
        """Read the frames about `groups`; `parts` are patterns besides those of the word lists.

        Raises:
            KeyError: a frame names a part that there is not.
        """
        named = {**lexicon("hate_speech")["parts"], **parts}
        target = any_of(groups)
        self._one = rf"\b{_ONE}(?:{target})"
        self._many = rf"\b{_MANY}(?:{target})"
        self._anywhere: list[_Frame] = []
        self._beginning: dict[str, list[_Frame]] = {}
        for reason, frames in lexicon("hate_speech")["frames"].items():
            for frame in frames:
                self._add(frame, (reason, re.compile(_written(frame, named))))

    def _add(self, frame: str, written: "_Frame") -> None:
        firsts = _first_words(frame)
        if firsts is None:
            self._anywhere.append(written)
        for first in firsts or ():
            self._beginning.setdefault(first, []).append(written)

    def masked(self, texts: pa.StringArray) -> pa.StringArray:
        """Folded texts with their groups masked."""
        one = pc.replace_substring_regex(texts, self._one, "A")
        return pc.replace_substring_regex(one, self._many, "G")

    def found(self, masked: str) -> Iterator[tuple[str, re.Match[str]]]:
        """Each frame that a text has, its groups and pronouns masked: the reason, and where."""
        for reason, frame in self._anywhere:
            if match := frame.search(masked):
                yield reason, match
        for word in _WORD.finditer(masked):
            for reason, frame in self._beginning.get(word.group(), ()):
                if match := frame.match(masked, word.start()):
                    yield reason, match


_Frame = tuple[str, re.Pattern[str]]


def with_pronouns(masked: str) -> str:
    """A masked text with the pronouns after its first group masked too; "" if there is none."""
    first = re.search("[GA]", masked)
    if first is None:
        return ""
    return masked[: first.end()] + _PRONOUN.sub("T", masked[first.end() :])


def _first_words(frame: str) -> set[str] | None:
    """The words that a frame can begin with; none if it cannot be told."""
    try:
        phrases = set(_beginnings(frame))
    except ValueError:
        return None
    marks = {"P": {"G", "A", "T"}, "G": {"G", "A"}}
    return set().union(*(marks.get(phrase, {phrase}) for phrase in phrases))


def _beginnings(pattern: str) -> Iterator[str]:
    """The first word of everything that `pattern` matches.

    Raises:
        ValueError: they cannot be written out.
    """
    for choice in _split(pattern, "|"):
        word, _, rest = choice.partition(" ") if "(" not in choice else _parted(choice)
        word = _PUNCTUATION.sub("", word)
        group = re.fullmatch(r"\(\?:(.*)\)(\?)?", word)
        if group is None or len(_parted(word, ")")[0]) < len(word.rstrip("?")) - 1:
            yield from (phrase.split(" ")[0] for phrase in written_out(word))
            continue
        yield from _beginnings(group.group(1))
        if group.group(2):
            yield from _beginnings(rest)


def _split(pattern: str, sign: str) -> Iterator[str]:
    """The parts of a pattern between the `sign`s that are in no group."""
    depth, start = 0, 0
    for place, letter in enumerate(pattern):
        depth += (letter == "(") - (letter == ")")
        if letter == sign and depth == 0:
            yield pattern[start:place]
            start = place + 1
    yield pattern[start:]


def _parted(choice: str, sign: str = " ") -> tuple[str, str, str]:
    """What is before the first end of a word, or the first closing of a group, and after it."""
    depth = 0
    for place, letter in enumerate(choice):
        depth += (letter == "(") - (letter == ")")
        is_end = letter == sign and depth == 0
        if is_end or (sign == " " and depth == 1 and choice.startswith("(?: ", place)):
            return choice[:place], sign, choice[place:].lstrip(sign)
    return choice, "", ""


def _written(frame: str, parts: dict[str, str]) -> str:
    """A frame as a pattern."""
    marked = re.sub(r"\b[GAP]\b", lambda match: _MARKS[match.group()], frame)
    while _PART.search(marked):
        marked = _PART.sub(lambda match: parts[match.group(1)], marked)
    start = "" if marked.startswith(("(?:^", "\\b")) else r"\b"
    return f"{start}(?:{marked})"
