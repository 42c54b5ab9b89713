"""The answer: the schema that is asked for, and what of a reply can be relied on.

Servers are not trusted to keep a schema: replies come cut off, wrapped in talk or with posts
missing. Each post's answer is judged on its own, so that one that is wrong costs no other.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from bsky_assets.contracts.labels import Ideology

NONE = "none"
"""What the model says of the ideology of a post that is not sociopolitical; null in our rows."""

IDEOLOGIES: tuple[str, ...] = get_args(Ideology)

_LABELS: Mapping[str, Any] = {
    "is_sociopolitical": {"type": "boolean"},
    "political_ideology": {"type": "string", "enum": [*IDEOLOGIES, NONE]},
}
_REASON_CHARACTERS = 1_000
"""What is kept of a reason; a sentence is asked for."""

_DECODER = json.JSONDecoder()
_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_BLANK = re.compile(r"[\s,]*")
_COLON = re.compile(r"\s*:\s*")


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What is asked for each post: the two labels, and a reason for them if one is wanted."""

    has_reason: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """Of one post. Only what every server that was tried honours: no ranges or alternatives."""
        fields = {**_LABELS, "reason": {"type": "string"}} if self.has_reason else {**_LABELS}
        return {
            "type": "object",
            "properties": fields,
            "required": [*fields],
            "additionalProperties": False,
        }

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
    """Why there is no valid answer for one post: a short code, and perhaps a detail."""

    code: str


def slots(count: int) -> list[str]:
    """The keys of `count` posts: p0, p1, …"""
    return [f"p{number}" for number in range(count)]


@cache
def response_format(form: AnswerForm, count: int) -> dict[str, Any]:
    """The `response_format` of a request about `count` posts."""
    keys = slots(count)
    schema = {
        "type": "object",
        "properties": dict.fromkeys(keys, form.schema),
        "required": keys,
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "labels", "strict": True, "schema": schema},
    }


def read_answers(
    content: str, keys: Sequence[str], *, cut_off: bool
) -> dict[str, Answer | Invalid]:
    """What `content` says of each of `keys`; what follows the point where it breaks is missing.

    `cut_off` says that the server stopped before the model did.
    """
    found = _top_level(_THOUGHTS.sub("", content))
    lacking = Invalid("truncated" if cut_off else "missing" if found else "no_json")
    return {key: _judge(found[key]) if key in found else lacking for key in keys}


def _top_level(content: str) -> dict[str, list[Any]]:
    """The whole members of the first JSON object in `content`; a key may stand there twice.

    Strings are decoded as strings, so that JSON quoted in a text is never taken for an answer.
    """
    found: dict[str, list[Any]] = {}
    position = content.find("{") + 1
    while position > 0:
        start = _skip(_BLANK, content, position)
        if not content.startswith('"', start):
            break
        try:
            key, end = _DECODER.raw_decode(content, start)
            value, position = _DECODER.raw_decode(content, _skip(_COLON, content, end))
        except (ValueError, RecursionError):
            break
        found.setdefault(key, []).append(value)
    return found


def _skip(pattern: re.Pattern[str], content: str, position: int) -> int:
    match = pattern.match(content, position)
    return match.end() if match else position


def _judge(values: list[Any]) -> Answer | Invalid:
    if len(values) > 1:
        return Invalid("answered_twice")
    value = values[0]
    if not isinstance(value, dict):
        return Invalid("not_an_object")
    political, ideology = value.get("is_sociopolitical"), value.get("political_ideology")
    if isinstance(ideology, str):
        ideology = ideology.strip().lower()
    if not isinstance(political, bool):
        return Invalid("is_sociopolitical_not_boolean")
    if ideology is not None and ideology not in (*IDEOLOGIES, NONE):
        return Invalid("unknown_ideology")
    leaning = None if ideology == NONE else ideology
    if political != (leaning is not None):
        return Invalid("inconsistent")
    reason = value.get("reason")
    said = reason.strip()[:_REASON_CHARACTERS] if isinstance(reason, str) else ""
    return Answer(political, leaning, said or None)


def dump_message(questions: Sequence[bytes]) -> str:
    """The user's message: one JSON object with each of `questions` (JSON) under its key."""
    members = (
        b'"%s":%s' % (key.encode(), question)
        for key, question in zip(slots(len(questions)), questions, strict=True)
    )
    return (b"{" + b",".join(members) + b"}").decode()
