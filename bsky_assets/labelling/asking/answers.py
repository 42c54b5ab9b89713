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

from bsky_assets.contracts.labels import Ideology

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
class AnswerForm:
    """What is asked for each post: its first word, its label, and a reason if one is wanted."""

    has_reason: bool = False
    has_echoes: bool = True
    """Whether the answer repeats the code and first words."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Of the answer for one post."""
        wanted = {"text": self.has_echoes, "label": True, "reason": self.has_reason}
        return tuple(field for field, is_wanted in wanted.items() if is_wanted)

    @property
    def schema(self) -> dict[str, Any]:
        """Of one post. Only what every server that was tried honours: no ranges or alternatives."""
        kinds = {
            "text": {"type": "string", "maxLength": _LONGEST_WORD},
            "label": {"type": "string", "enum": [*LABELS]},
            "reason": {"type": "string"},
        }
        return _object_schema({name: kinds[name] for name in self.fields})

    @property
    def version(self) -> str:
        """Sixteen hex digits of the schema's SHA-256."""
        return hashlib.sha256(json.dumps(self.schema).encode()).hexdigest()[:16]


LABELS_ONLY = AnswerForm()


@dataclass(frozen=True, slots=True)
class Answer:
    """A valid answer for one post."""

    is_sociopolitical: bool
    political_ideology: str | None
    """Null where it is not sociopolitical."""
    reason: str | None = None
    """Why, in the model's words; null where it gives none."""


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
    schema = _object_schema({**code, **dict.fromkeys(slots(count), form.schema)})
    return {
        "type": "json_schema",
        "json_schema": {"name": "labels", "strict": True, "schema": schema},
    }


def _object_schema(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": [*fields],
        "additionalProperties": False,
    }


def read_answers(
    content: str, code: str, texts: Sequence[str], form: AnswerForm, *, cut_off: bool
) -> list[Answer | Invalid] | Invalid:
    """What `content` says of each of `texts`, or why nothing in it can be relied on.

    An echo that is given is judged, whether or not it was asked for. `cut_off` says that the server
    stopped before the model did.
    """
    found = _last_object(content)
    if found is None:
        return Invalid("truncated" if cut_off else "no_json")
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
    return judged


def _last_object(content: str) -> Members | None:
    """The last JSON object in `content`; None where there is none, or a brace belongs to none."""
    content = content.strip()
    position = content.find("{")
    found: Members | None = None
    if position > 0:  # what is nothing but JSON has no thoughts, whatever the posts say
        content = _after_thoughts(content)
        position = content.find("{")
    while position >= 0:
        try:
            found, position = _DECODER.raw_decode(content, position)
        except (ValueError, RecursionError):
            return None
        position = content.find("{", position)
    return found


def _after_thoughts(content: str) -> str:
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
    label, reason = value["label"], value.get("reason")
    label = label.strip().lower() if isinstance(label, str) else None
    if label not in LABELS:
        return Invalid("unknown_label")
    if form.has_echoes and not begins_with(text, value["text"]):
        return _ANOTHER_TEXT
    said = reason.strip()[:_REASON_CHARACTERS] if isinstance(reason, str) else ""
    leaning = None if label == NOT_SOCIOPOLITICAL else label
    return Answer(leaning is not None, leaning, said or None)


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
