"""Fills the JSON schema of a request with what the sandbox knows of its own posts.

A schema is turned into a function once and called for each request, so that an answer costs
microseconds. Whatever it gives is valid by construction: a keyword that it does not know how
to honour is refused, as OpenAI's endpoint does, and never passed over.
What does not belong here: HTTP, prompts, and how the sandbox came to know its posts.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

STATEMENT = "Answered by the bsky-assets sandbox, which knows its own posts and is no model."
"""What every free string says, as far as the schema leaves room for it."""

_POLITICS = "is_sociopolitical"
_ECHOES = ("text", "code")
"""Strings of these names repeat what the request has: a post's first word, the request's code."""
_ARGUMENT, _SAYING = "argument", "articles"
"""Of a side in a topic: what it says, and the articles that say so."""
_NO_VIEW: tuple[str, Sequence[str]] = ("", ())
_NO_LEAN = (
    None,
    "none",
    "not_sociopolitical",
    "null",
    "n/a",
    "not_applicable",
    "not applicable",
    "apolitical",
)
_ANNOTATIONS = frozenset(
    [
        "$comment",
        "$defs",
        "$id",
        "$schema",
        "default",
        "definitions",
        "deprecated",
        "description",
        "examples",
        "title",
    ]
)
_CONSTRAINTS = frozenset(
    [
        "$ref",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "enum",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "properties",
        "required",
        "type",
    ]
)
_LONGEST = 10_000


class InvalidSchema(ValueError):
    """The schema is malformed, cannot be satisfied, or says what the sandbox cannot honour."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sandbox knows of a post."""

    is_political: bool
    ideology: str | None
    """left, right, moderate, unclear, or None where the post is not political."""
    echo: str = ""
    """What shows that the post, or the request, was read."""
    views: Mapping[str, tuple[str, Sequence[str]]] = field(default_factory=dict)
    """Of a topic in the news: each side's argument, and the keys of the articles that say so."""


NOT_POLITICAL = Verdict(is_political=False, ideology=None)
"""Also what is said of a text that the sandbox did not write."""

Verdicts = Mapping[str, Verdict]
"""Verdicts by the key, p0 to pN, that the posts have in the message."""

Fill = Callable[[Verdict, Verdicts], Any]
"""Gives the value of one place in the schema, from the verdict that holds there and all others."""


def compile_schema(schema: object) -> Fill:
    """A function that fills `schema`, an object schema, from verdicts.

    Raises:
        InvalidSchema: with the place in the schema and what is wrong there.
    """
    if not isinstance(schema, dict) or schema.get("type") != "object":
        found = schema.get("type") if isinstance(schema, dict) else schema
        raise InvalidSchema(
            f"schema must be a JSON Schema of 'type: \"object\"', got {found!r:.80}"
        )
    try:
        return _Compiler(schema).compile(schema, ())
    except RecursionError:
        raise InvalidSchema("schema is nested too deeply") from None


def lean(verdict: Verdict, choices: Sequence[Any]) -> Any:
    """The one of `choices` that says which way a post leans."""
    if verdict.is_political and verdict.ideology in choices:
        return verdict.ideology
    if not verdict.is_political:
        for choice in choices:
            if choice in _NO_LEAN:
                return choice
    return "unclear" if "unclear" in choices else choices[0]


class _Compiler:
    """Compiles the parts of one schema; knows its definitions and which of them it is in."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._within: list[str] = []
        self._types: dict[str, Callable[[dict[str, Any], tuple[str, ...]], Fill]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": self._boolean,
            "null": lambda _node, _path: lambda _verdict, _verdicts: None,
        }

    def compile(self, node: object, path: tuple[str, ...]) -> Fill:
        if node is True:
            return lambda _verdict, _verdicts: None
        if not isinstance(node, dict):
            raise _invalid(path, f"{node!r:.80} is not of type 'object', 'boolean'")
        for keyword in node:
            if keyword not in _CONSTRAINTS and keyword not in _ANNOTATIONS:
                raise _invalid(path, f"{keyword!r:.80} is not permitted")
        if "$ref" in node:
            return self._reference(node["$ref"], path)
        if (choices := self._choices(node, path)) is not None:
            return _choose(choices, path)
        if (alternatives := _alternatives(node, path)) is not None:
            return self.compile(alternatives[0], path)
        return self._typed(node, path)

    def _reference(self, reference: object, path: tuple[str, ...]) -> Fill:
        if reference in self._within:
            raise _invalid(path, "a schema that contains itself is not permitted")
        target = self._resolve(reference, path)
        self._within.append(str(reference))
        try:
            return self.compile(target, path)
        finally:
            self._within.pop()

    def _resolve(self, reference: object, path: tuple[str, ...]) -> object:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise _invalid(path, f"reference {reference!r:.80} can only point into this schema")
        node: object = self._root
        for part in reference[2:].split("/"):
            if not isinstance(node, dict) or part not in node:
                raise _invalid(path, f"reference {reference!r:.80} has no definition")
            node = node[part]
        return node

    def _choices(self, node: dict[str, Any], path: tuple[str, ...]) -> list[Any] | None:
        """All values that fit, in order, where the schema lists them; else None."""
        if "$ref" in node:
            node = _as_object(self._resolve(node["$ref"], path), path)
        if (alternatives := _alternatives(node, path)) is not None:
            listed = [self._choices(_as_object(part, path), path) for part in alternatives]
            if any(part is None for part in listed):
                return None
            return [choice for part in listed if part for choice in part]
        if "const" in node:
            node = {**node, "enum": [node["const"]]}
        if "enum" in node:
            return _fitting(node, path)
        return [None] if node.get("type") == "null" else None

    def _typed(self, node: dict[str, Any], path: tuple[str, ...]) -> Fill:
        kind = node.get("type")
        if isinstance(kind, list):
            kind = next((part for part in kind if part != "null"), "null" if kind else None)
        if kind is None and "properties" in node:
            kind = "object"
        if kind is None and not _CONSTRAINTS & node.keys():
            return lambda _verdict, _verdicts: None
        if not isinstance(kind, str) or kind not in self._types:
            raise _invalid(path, f"schema must have a 'type' that JSON has, got {kind!r:.80}")
        return self._types[kind](node, path)

    def _object(self, node: dict[str, Any], path: tuple[str, ...]) -> Fill:
        properties, required = node.get("properties", {}), node.get("required", [])
        others = node.get("additionalProperties", True)
        if not isinstance(properties, dict) or not isinstance(others, bool | dict):
            raise _invalid(path, "'properties' and 'additionalProperties' must be schemas")
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            raise _invalid(path, "'required' must be an array of strings")
        missing = [name for name in required if name not in properties]
        if missing and others is False:
            raise _invalid(path, f"required {missing[0]!r:.80} is not in properties")
        wanted = {**properties, **dict.fromkeys(missing, others)}
        fills = [(name, self.compile(part, (*path, name))) for name, part in wanted.items()]
        return lambda verdict, verdicts: {
            name: fill(verdicts.get(name, verdict), verdicts) for name, fill in fills
        }

    def _array(self, node: dict[str, Any], path: tuple[str, ...]) -> Fill:
        count, most = _lengths(node, "Items", path)
        fill = self.compile(node.get("items", True), (*path, "items"))
        if path[-1:] == (_SAYING,) and count == 0:
            given = self._choices(_as_object(node.get("items"), path), path) or ()
            return lambda verdict, _verdicts: [
                one for one in verdict.views.get(path[-2], _NO_VIEW)[1] if one in given
            ][:most]
        return lambda verdict, verdicts: [fill(verdict, verdicts) for _ in range(count)]

    def _string(self, node: dict[str, Any], path: tuple[str, ...]) -> Fill:
        least, most = _lengths(node, "Length", path)
        text = STATEMENT[:most].ljust(least)
        if path and path[-1] in _ECHOES:
            return lambda verdict, _verdicts: (verdict.echo or text)[:most].ljust(least)
        if path[-1:] == (_ARGUMENT,):
            return lambda verdict, _verdicts: verdict.views.get(path[-2], _NO_VIEW)[0][:most].ljust(
                least
            )
        return lambda _verdict, _verdicts: text

    def _integer(self, node: dict[str, Any], path: tuple[str, ...]) -> Fill:
        least, most = _range(node, path)
        value = math.ceil(least) if least > 0 else math.floor(min(0, most))
        if not least <= value <= most:
            raise _invalid(path, "no integer lies between 'minimum' and 'maximum'")
        return lambda _verdict, _verdicts: value

    def _number(self, node: dict[str, Any], path: tuple[str, ...]) -> Fill:
        least, most = _range(node, path)
        value = least if least > 0 else min(0, most)
        return lambda _verdict, _verdicts: value

    def _boolean(self, _node: dict[str, Any], path: tuple[str, ...]) -> Fill:
        if path and path[-1] == _POLITICS:
            return lambda verdict, _verdicts: verdict.is_political
        return lambda _verdict, _verdicts: False


def _choose(choices: list[Any], path: tuple[str, ...]) -> Fill:
    if not choices:
        raise _invalid(path, "no value of the enum fits the rest of the schema")
    if "left" in choices:
        return lambda verdict, _verdicts: lean(verdict, choices)
    # What the sandbox does not know it answers as the post's first word has it, the same each time.
    return lambda verdict, _verdicts: choices[crc32(verdict.echo.encode()) % len(choices)]


def _alternatives(node: dict[str, Any], path: tuple[str, ...]) -> list[object] | None:
    for keyword in ("anyOf", "allOf"):
        if keyword in node:
            parts = node[keyword]
            if not isinstance(parts, list) or not parts:
                raise _invalid(path, f"{keyword!r} must be an array with at least one schema")
            if _CONSTRAINTS & node.keys() != {keyword} or (keyword == "allOf" and len(parts) > 1):
                raise _invalid(path, f"{keyword!r} together with other constraints")
            return parts
    return None


def _as_object(node: object, path: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise _invalid(path, f"{node!r:.80} is not of type 'object'")
    return node


def _lengths(node: dict[str, Any], of: str, path: tuple[str, ...]) -> tuple[int, int]:
    least, most = node.get(f"min{of}", 0), node.get(f"max{of}", _LONGEST)
    if not (_is_a(least, "integer") and _is_a(most, "integer") and 0 <= least <= _LONGEST):
        raise _invalid(path, f"'min{of}' and 'max{of}' must be integers from 0 to {_LONGEST}")
    if most < least:
        raise _invalid(path, f"'max{of}' is below 'min{of}'")
    return least, most


def _range(node: dict[str, Any], path: tuple[str, ...]) -> tuple[float, float]:
    least, most = node.get("minimum", -math.inf), node.get("maximum", math.inf)
    if not _is_a(least, "number") or not _is_a(most, "number"):
        raise _invalid(path, "'minimum' and 'maximum' must be numbers")
    if most < least:
        raise _invalid(path, "'maximum' is below 'minimum'")
    return least, most


def _fitting(node: dict[str, Any], path: tuple[str, ...]) -> list[Any]:
    """The values of a node's enum that fit the rest of it."""
    choices, kinds = node["enum"], node.get("type", ["string", "number", "boolean", "null"])
    if not isinstance(choices, list) or any(isinstance(part, dict | list) for part in choices):
        raise _invalid(path, "'enum' must be an array of strings, numbers, booleans or null")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    shortest, longest = _lengths(node, "Length", path)
    least, most = _range(node, path)

    def fits(choice: Any) -> bool:
        if isinstance(choice, str) and not shortest <= len(choice) <= longest:
            return False
        if _is_a(choice, "number") and not least <= choice <= most:
            return False
        return any(_is_a(choice, kind) for kind in kinds)

    return [choice for choice in choices if fits(choice)]


def _is_a(value: object, kind: object) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case _:
            return kind == "null" and value is None


def _invalid(path: tuple[str, ...], what: str) -> InvalidSchema:
    return InvalidSchema(f"In context={path!r:.200}, {what}")
