"""The answer: the schema that is asked for, and what of a reply can be relied on.

A reply is taken if its last JSON object is whole, has exactly the keys that were asked for, and
repeats the prompt's code, which only who has read the prompt from its beginning can know. What a
model thought aloud is never an answer. Then each post's answer is judged on its own: it must
repeat the post's first word, which it cannot for a post that was cut off, or confused with another.
Neither is asked for where nothing can be cut or confused: about one post alone, of a server that
shows how much it has read.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, get_args

from bsky_assets.contracts.codebooks import Codebook, Kind
from bsky_assets.contracts.labels import Ideology
from bsky_assets.labelling.asking.confidence import Token, confidence_of

NONE = "none"
"""How figures call the ideology of a post that is not sociopolitical; null in our rows."""

IDEOLOGIES: tuple[str, ...] = get_args(Ideology)
NOT_SOCIOPOLITICAL = "not_sociopolitical"
LABELS = (NOT_SOCIOPOLITICAL, *IDEOLOGIES)
"""One of these is the answer for a post, so that no answer contradicts itself."""

CODE = "code"
"""The key under which the answer repeats the prompt's code."""

_LONGEST_WORD = 24
"""Characters of a first word that are asked for."""
_WORD_ENOUGH = 3
"""So many of them that agree are enough: models cut off and add endings."""
_REASON_CHARACTERS = 1_000
"""What is kept of a reason; a sentence is asked for."""
_TOKENS_A_LABEL = 24
_FOR_YES = ("yes", "true")
_FOR_NO = ("no", "false")

_COMPARED = 80
"""Characters of a text that are compared with its first word; a mention may be long."""
_NO_LETTERS = re.compile(r"[\W_]+")
_DECODER = json.JSONDecoder(object_pairs_hook=list)
_THOUGHTS_END = re.compile(
    r"</(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection)>"
    r"|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>",
    re.IGNORECASE,
)
_THOUGHTS_BEGIN = re.compile(
    r"<(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection)>"
    r"|\[THINK\]|◁think▷|<\|channel\|>analysis<\|message\|>",
    re.IGNORECASE,
)

Members = list[tuple[str, Any]]
"""Of a JSON object, in order; a key may stand there twice."""


@dataclass(frozen=True, slots=True)
class AnswerField:
    """What is answered to one codebook about a post."""

    name: str
    kind: Kind
    values: tuple[str, ...] = ()
    """What may be answered; empty for a text."""
    characters: int = 0
    """Of a text, at most."""

    @classmethod
    def of(cls, codebook: Codebook) -> "AnswerField":
        """The answer to `codebook`."""
        answer = codebook.answer
        characters = answer.characters if answer.type == "text" else 0
        return cls(codebook.field, answer.type, answer.values, characters)

    @property
    def schema(self) -> dict[str, Any]:
        """Only what every server that was tried honours: no ranges or alternatives."""
        if self.kind == "text":
            return {"type": "string", "maxLength": self.characters}
        one = {"type": "string", "enum": [*self.values]}
        if self.kind == "several_of":
            return {"type": "array", "items": one, "maxItems": len(self.values)}
        return one

    @property
    def most_tokens(self) -> int:
        """About twice what an answer takes."""
        if self.kind == "text":
            return self.characters // 2
        return _TOKENS_A_LABEL * (len(self.values) if self.kind == "several_of" else 1)

    def read(self, said: Any) -> Any:
        """The answer as it is kept: of a boolean True or False, of a scale a number, of several
        a list in the codebook's order; None where it is none of those that were asked for."""
        if self.kind == "several_of":
            return self._several(said)
        word = _word(said)
        if self.kind == "text":
            return word[: self.characters] if isinstance(said, str) and word else None
        if self.kind == "boolean":
            return self._truth(word.lower())
        label = next((value for value in self.values if value.lower() == word.lower()), None)
        return int(label) if label and self.kind == "scale" else label

    @staticmethod
    def _truth(word: str) -> bool | None:
        return True if word in _FOR_YES else False if word in _FOR_NO else None

    def _several(self, said: Any) -> list[str] | None:
        if not isinstance(said, list):
            return None
        chosen = {_word(one).lower() for one in said}
        kept = [value for value in self.values if value.lower() in chosen]
        return kept if len(kept) == len(chosen) else None


def _word(said: Any) -> str:
    """What was said, as text: numbers and truth values too, of which some servers make JSON's."""
    return str(said).strip() if isinstance(said, str | int | bool) else ""


POLITICAL = AnswerField("label", "one_of", LABELS)


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What is asked for each post: its first word, its labels, and a reason if one is wanted."""

    has_reason: bool = False
    has_echoes: bool = True
    """Whether the answer repeats the code and first words."""
    asked: tuple[AnswerField, ...] = (POLITICAL,)

    @property
    def fields(self) -> tuple[str, ...]:
        """Of the answer for one post."""
        first = ("text",) if self.has_echoes else ()
        last = ("reason",) if self.has_reason else ()
        return (*first, *(field.name for field in self.asked), *last)

    @property
    def schema(self) -> dict[str, Any]:
        """Of one post."""
        kinds = {
            "text": {"type": "string", "maxLength": _LONGEST_WORD},
            "reason": {"type": "string"},
            **{field.name: field.schema for field in self.asked},
        }
        return object_schema({name: kinds[name] for name in self.fields})

    @property
    def version(self) -> str:
        """Sixteen hex digits of the schema's SHA-256."""
        return hashlib.sha256(json.dumps(self.schema).encode()).hexdigest()[:16]


LABELS_ONLY = AnswerForm()


@dataclass(frozen=True, slots=True)
class Answer:
    """A valid answer for one post."""

    values: tuple[Any, ...]
    """To each codebook that was asked, in order."""
    reason: str | None = None
    """Why, in the model's words; null where it gives none."""
    confidence: tuple[float | None, ...] = ()
    """How likely each of the values was to be written, null where that is not known; empty where
    it is known of none."""


def politics_of(field: AnswerField, value: Any) -> tuple[bool | None, str | None]:
    """Whether a post is sociopolitical, and its ideology, by an answer; nulls where it is none to
    that question."""
    if field != POLITICAL or value is None:
        return None, None
    return (False, None) if value == NOT_SOCIOPOLITICAL else (True, value)


@dataclass(frozen=True, slots=True)
class Invalid:
    """Why there is no valid answer: a short code, and perhaps a detail."""

    code: str


_ANOTHER_TEXT = Invalid("another_text")
_CONFUSED = 2
"""So many answers that begin with another post's word, and none of the reply is believed."""


def slots(count: int) -> list[str]:
    """The keys of `count` posts: p0, p1, …"""
    return [f"p{number}" for number in range(count)]


@cache
def response_format(form: AnswerForm, count: int) -> dict[str, Any]:
    """The `response_format` of a request about `count` posts."""
    code = {CODE: {"type": "string", "maxLength": _LONGEST_WORD}} if form.has_echoes else {}
    schema = object_schema({**code, **dict.fromkeys(slots(count), form.schema)})
    return {
        "type": "json_schema",
        "json_schema": {"name": "labels", "strict": True, "schema": schema},
    }


def object_schema(fields: dict[str, Any]) -> dict[str, Any]:
    """Of an object with exactly these fields."""
    return {
        "type": "object",
        "properties": fields,
        "required": [*fields],
        "additionalProperties": False,
    }


def read_answers(
    content: str,
    code: str,
    texts: Sequence[str],
    form: AnswerForm,
    *,
    cut_off: bool,
    tokens: Sequence[Token] = (),
) -> list[Answer | Invalid] | Invalid:
    """What `content` says of each of `texts`, or why nothing in it can be relied on.

    An echo that is given is judged, whether or not it was asked for. `cut_off` says that the server
    stopped before the model did; `tokens` are what it says of how likely `content` was.
    """
    last = _last_object(content)
    if last is None:
        return Invalid("truncated" if cut_off else "no_json")
    found, source = last
    answers = dict(found)
    if len(answers) < len(found):
        return Invalid("answered_twice")
    keys = slots(len(texts))
    if CODE in answers:
        form = replace(form, has_echoes=True)
    if answers.keys() != ({CODE, *keys} if form.has_echoes else {*keys}):
        return Invalid("other_keys")
    if form.has_echoes and str(answers[CODE]).strip() != code:
        return Invalid("not_read")
    judged = [_judge(answers[key], text, form) for key, text in zip(keys, texts, strict=True)]
    if judged.count(_ANOTHER_TEXT) >= _CONFUSED:
        return _ANOTHER_TEXT
    if not tokens:
        return judged
    return [
        replace(one, confidence=_confidence(source, key, form, tokens))
        if isinstance(one, Answer)
        else one
        for key, one in zip(keys, judged, strict=True)
    ]


def _confidence(
    source: str, key: str, form: AnswerForm, tokens: Sequence[Token]
) -> tuple[float | None, ...]:
    """Of each answer under `key` in `source`; a text of the model's own has none."""
    return tuple(
        None if field.kind == "text" else confidence_of(source, (key, field.name), tokens)
        for field in form.asked
    )


def _last_object(content: str) -> tuple[Members, str] | None:
    """The last JSON object in `content`, and as it stands there; None where there is none, or a
    brace belongs to none."""
    content = content.strip()
    position = content.find("{")
    found: tuple[Members, str] | None = None
    if position > 0:  # what is nothing but JSON has no thoughts, whatever the posts say
        content = after_thoughts(content)
        position = content.find("{")
    while position >= 0:
        try:
            members, end = _DECODER.raw_decode(content, position)
        except (ValueError, RecursionError):
            return None
        found = members, content[position:end]
        position = content.find("{", end)
    return found


def after_thoughts(content: str) -> str:
    """What follows the thoughts.

    Templates may open them in the prompt, so that a reply has only their end; and thoughts that
    do not end are followed by nothing.
    """
    for end in [*_THOUGHTS_END.finditer(content)][-1:]:
        content = content[end.end() :]
    begin = _THOUGHTS_BEGIN.search(content)
    return content[: begin.start()] if begin else content


def has_thoughts(content: str) -> bool:
    """Whether there are thoughts in `content`."""
    return bool(_THOUGHTS_BEGIN.search(content) or _THOUGHTS_END.search(content))


def _judge(members: Any, text: str, form: AnswerForm) -> Answer | Invalid:
    if not _is_object(members):
        return Invalid("not_an_object")
    value = dict(members)
    if value.keys() != {*form.fields} or len(value) < len(members):
        return Invalid("other_fields")
    labels = tuple(field.read(value[field.name]) for field in form.asked)
    if None in labels:
        return Invalid("unknown_label")
    if form.has_echoes and not begins_with(text, value["text"]):
        return _ANOTHER_TEXT
    reason = value.get("reason")
    said = reason.strip()[:_REASON_CHARACTERS] if isinstance(reason, str) else ""
    return Answer(labels, said or None)


def _is_object(value: Any) -> bool:
    """Whether `value` was decoded from an object; the items of a list are never tuples."""
    return isinstance(value, list) and all(isinstance(member, tuple) for member in value)


def begins_with(text: str, said: Any) -> bool:
    """Whether `said` is the beginning of `text`, as far as letters and digits tell.

    A text that has none says nothing either way, and signs that begin it are a word of it too.
    """
    if not isinstance(said, str):
        return False
    wanted = _letters(text[:_COMPARED])
    found = _letters(said)
    if not wanted or (said.split() and said.split()[0] == text.split()[0]):
        return True
    first = next(word for part in text.split() if (word := _letters(part)))
    return wanted.startswith(found[:_COMPARED]) and len(found) >= min(len(first), _WORD_ENOUGH)


def _letters(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _NO_LETTERS.sub("", text.casefold())


def dump_message(questions: Sequence[bytes]) -> str:
    """The user's message: one JSON object with each of `questions` (JSON) under its key."""
    members = (
        b'"%s":%s' % (key.encode(), question)
        for key, question in zip(slots(len(questions)), questions, strict=True)
    )
    return (b"{" + b",".join(members) + b"}").decode()
