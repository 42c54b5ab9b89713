"""Which posts share a request.

The words of one post can change what a model says of the others. A post that speaks to the model,
or looks like a part of the request, is asked about alone. Which of the others meet is left to
chance, repeatably: it has nothing to do with who wrote them or when.
What does not belong here: how far company changes labels all the same; see `consistency`.
"""

import random
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from bsky_assets.labelling.asking.questions import Question

_SPEAKS = re.compile(
    r"""
    <\|?/?\w+\|?> | \[/?(?:inst|think|system)\] | <<\w+>>          # marks of roles and templates
    | ^\W{0,3}(?:system|assistant|user|human|ai|developer)\s*:
    | \{\s*["'] | ["'][\w ]{1,40}["']\s*:                              # JSON
    | \bp\d{1,2}\b | \b(?:not_|is_)?sociopolitical\b | political_ideology # keys of the request
    | \b(?:ignore|disregard|forget|override)\b.{0,40}
        \b(?:instructions?|rules?|prompts?|above|previous|prior|guidelines)\b
    | \b(?:system|your|previous|prior|new)\ (?:prompt|instructions?)\b
    | \b(?:label|classify|mark|rate|tag|categori[sz]e|annotate|output)\b.{0,30}
        \b(?:everything|all|every|each|any|this|these|the|others?|as|left|right|moderate|unclear)\b
    | \b(?:answer|respond|reply)\ (?:only\ )?(?:with|in|as)\b
    | \b(?:everything|all|every\ post|these\ posts|this\ post|posts)\b.{0,30}
        \b(?:is|are|as|must\ be|should\ be)\ (?:labell?ed\ |political(?:ly)?\ )?
        (?:left|right|moderate|unclear)\b
    | \b(?:language\ model|llm|chatbot|ai\ (?:model|assistant)|classifier|annotator)s?\b
    | \bas\ an\ ai\b | \b(?:the\ )?(?:other|following|next|preceding|previous)\ posts?\b
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")


@dataclass(slots=True)
class Batch:
    """Posts to be asked about together, and how that went so far."""

    questions: Sequence[Question]
    server_errors: int = 0
    timeouts: int = 0
    truncated: int = 0


def _speaks_to_the_model(question: Question) -> bool:
    """Whether a post or its context has instructions, role marks, JSON or keys of the request."""
    words = "\n".join(_strings(orjson.loads(question.payload)))
    if not words.isascii():
        words = _INVISIBLE.sub("", unicodedata.normalize("NFKC", words))
    return _SPEAKS.search(words) is not None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    else:
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def by_chance(questions: Iterable[Question], seed: str) -> list[Question]:
    """`questions` in an order that `seed` alone decides."""
    shuffled = sorted(questions, key=lambda question: question.hash)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 -- no secret
    return shuffled


def batches(
    questions: Iterable[Question], size: int, characters: int
) -> Iterator[Sequence[Question]]:
    """Which of `questions` are asked about together: up to `size`, of up to `characters`."""
    gathered: list[Question] = []
    length = 0
    for question in questions:
        if _speaks_to_the_model(question):
            yield [question]
            continue
        if gathered and (len(gathered) == size or length + len(question.payload) > characters):
            yield gathered
            gathered, length = [], 0
        gathered.append(question)
        length += len(question.payload)
    if gathered:
        yield gathered


def halves(questions: Sequence[Question]) -> list[Sequence[Question]]:
    """`questions` in two parts, of which none is empty."""
    middle = len(questions) // 2
    return [part for part in (questions[:middle], questions[middle:]) if part]
