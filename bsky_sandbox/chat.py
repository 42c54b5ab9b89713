"""OpenAI's chat completions as the sandbox reads and writes them: requests, posts in them, errors.

What does not belong here: HTTP, and what is answered.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from bsky_sandbox.posts import SandboxPost
from bsky_sandbox.schema_answers import STATEMENT, Verdict, lean

MODEL = "sandbox"
_BYTES_A_TOKEN = 4
"""There is no tokenizer: a token is taken to be so many bytes of UTF-8."""

_LABELS = ("not_sociopolitical", "left", "right", "moderate", "unclear")
_CODE = re.compile(r"\bcode (\d+)")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|[\ud800-\udfff]")
_decode_first = json.JSONDecoder().raw_decode


class ApiError(Exception):
    """An error in OpenAI's form."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        """Take the HTTP status and the fields of the body's error object."""
        super().__init__(message)
        self.status = status
        kind = "invalid_request_error"
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request for a chat completion, as far as the sandbox honours it."""

    model: str
    messages: tuple[tuple[str, str], ...]
    """Role and text of each."""
    response_format: dict[str, Any]
    max_tokens: int | None
    stream: bool
    include_usage: bool
    logprobs: bool

    @property
    def question(self) -> str:
        """The text of the last message of the user."""
        return next((text for role, text in reversed(self.messages) if role == "user"), "")


def parse_request(body: object) -> ChatRequest:
    """The request in a decoded body.

    Raises:
        ApiError: 400, naming the parameter that cannot be used.
    """
    if not isinstance(body, dict):
        raise ApiError(400, "We could not parse the JSON body of your request.")
    model, form = body.get("model"), body.get("response_format") or {"type": "text"}
    if not isinstance(model, str) or not model:
        raise ApiError(400, "you must provide a model parameter", param="model")
    if not isinstance(form, dict) or form.get("type") not in ("text", "json_object", "json_schema"):
        message = "Invalid value: supported are 'text', 'json_object' and 'json_schema'."
        raise ApiError(400, message, param="response_format.type", code="invalid_value")
    if body.get("n", 1) not in (1, None):
        raise ApiError(400, "Only one completion choice is allowed", param="n")
    options = body.get("stream_options")
    return ChatRequest(
        model=model,
        messages=_messages(body.get("messages")),
        response_format=form,
        max_tokens=_max_tokens(body),
        stream=body.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        logprobs=body.get("logprobs") is True,
    )


def _messages(messages: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "Missing required parameter: 'messages'.", param="messages")
    return tuple(_message(number, message) for number, message in enumerate(messages))


def _message(number: int, message: object) -> tuple[str, str]:
    where = f"messages[{number}]"
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        message = f"Missing required parameter: '{where}.role'."
        raise ApiError(400, message, param=f"{where}.role", code="missing_required_parameter")
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str | None):
        message = f"Invalid type for '{where}.content': expected a string or an array of parts."
        raise ApiError(400, message, param=f"{where}.content", code="invalid_type")
    return message["role"], content or ""


def _max_tokens(body: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        count = body.get(name)
        if count is not None:
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                message = f"Invalid '{name}': integer below minimum value. Expected >= 1."
                raise ApiError(400, message, param=name, code="integer_below_min_value")
            return count
    return None


def find_posts(message: str) -> dict[str, str]:
    """The texts of the posts in the first JSON object in `message` that has any, by key p0 to pN.

    The object is keyed p0 to pN and its values are objects with a `text`; it may stand inside
    another object.
    """
    position = message.find("{")
    while position >= 0:
        try:
            value, end = _decode_first(message, position)
            if posts := _posts_in(value):
                return posts
        except (ValueError, RecursionError):
            end = position + 1
        position = message.find("{", end)
    return {}


def _posts_in(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    posts = {
        key: post["text"]
        for key, post in value.items()
        if key[:1] == "p"
        and key[1:].isdecimal()
        and isinstance(post, dict)
        and isinstance(post.get("text"), str)
    }
    return posts or next((found for part in value.values() if (found := _posts_in(part))), {})


def normalise(text: str) -> str:
    """What a text has in common with itself after a pipeline tidied it up.

    NFC, without control characters and lone surrogates, each run of whitespace a space.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(_UNPRINTABLE.sub("", text.replace("\r", " ")).split())


def verdict_lookup(posts: Iterable[SandboxPost]) -> Callable[[str], Verdict]:
    """A function from a post's text to what is known of it: not political if it is unknown.

    Of posts with the same text, one that is political decides.
    """
    political = {
        normalise(str(post.record.get("text", ""))): post.ideology
        for post in posts
        if post.is_political
    }

    def verdict(text: str) -> Verdict:
        known = normalise(text)
        echo = known.partition(" ")[0]
        return Verdict(known in political, political.get(known), echo)

    return verdict


def find_code(messages: Iterable[tuple[str, str]]) -> str:
    """The code that the system's message asks to be repeated, if it does."""
    found = (_CODE.search(text) for role, text in messages if role == "system")
    return next((match[1] for match in found if match), "")


def free_answer(code: str, verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    """The answer where no schema gives its form: by key, or the statement if there is no post."""
    if not verdicts:
        return {"answer": STATEMENT}
    labels = {
        key: {"text": verdict.echo, "label": lean(verdict, _LABELS)}
        for key, verdict in verdicts.items()
    }
    return {"code": code, **labels}


def count_tokens(text: str) -> int:
    """How many tokens `text` is taken to have."""
    return -(-len(text.encode(errors="replace")) // _BYTES_A_TOKEN)


def logprobs(text: str) -> dict[str, Any]:
    """How likely each token of `text` is said to be: made up, and the same for the same bytes."""
    content = text.encode(errors="replace")
    tokens = (content[at : at + _BYTES_A_TOKEN] for at in range(0, len(content), _BYTES_A_TOKEN))
    told = [
        {
            "token": token.decode(errors="replace"),
            "bytes": [*token],
            "logprob": -(crc32(token) % 1_000) / 2_000,
            "top_logprobs": [],
        }
        for token in tokens
    ]
    return {"content": told, "refusal": None}


def cut(text: str, tokens: int) -> str:
    """The first so many tokens of `text`."""
    return text.encode(errors="replace")[: tokens * _BYTES_A_TOKEN].decode(errors="ignore")
