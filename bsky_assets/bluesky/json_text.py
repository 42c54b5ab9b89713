"""Any value that was decoded from JSON or CBOR as JSON text, whatever its depth and its texts.

Bytes and links are written as DAG-JSON does, as `$bytes` and `$link`.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import orjson
from libipld import encode_cid

_CID_PREFIXES = (b"\x01\x71\x12\x20", b"\x01\x55\x12\x20")
_CID_BYTES = 36


def stable_json(value: object) -> str:
    """`value` as JSON with sorted keys.

    Decoded CBOR does not tell a link from bytes that look like one: 36 bytes that begin as a
    CID's do are taken for a link. In an object a field that readers of JSON would choke on, by
    its depth, its numbers or its surrogates, is `{"$json": its text}`.
    """
    try:
        return orjson.dumps(value, default=_json_form, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        if not isinstance(value, Mapping):
            return orjson.dumps({"$json": deep_json(value)}).decode()
        fields = ",".join(f"{_key(name)}:{_field(value[name])}" for name in sorted(value, key=str))
        return f"{{{fields}}}"


def deep_json(value: object) -> str:
    """`value` as JSON in ASCII; nothing is too deep for it."""
    pieces: list[str] = []
    waiting: list[Any] = [_Value(value)]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            pieces.append(part)
        else:
            waiting.extend(reversed(list(_opened(part.value))))
    return "".join(pieces)


class _Value:
    """A value that is to be written yet."""

    def __init__(self, value: object) -> None:
        self.value = value


def _opened(value: Any) -> list[Any]:
    """A value as text and, where it holds others, these."""
    if isinstance(value, Mapping):
        parts: list[Any] = ["{"]
        for number, name in enumerate(sorted(value, key=str)):
            parts += ["," if number else "", f"{json.dumps(str(name))}:", _Value(value[name])]
        return [*parts, "}"]
    if isinstance(value, list):
        parts = ["["]
        for number, item in enumerate(value):
            parts += ["," if number else "", _Value(item)]
        return [*parts, "]"]
    return [json.dumps(value, default=_json_form)]


def _key(name: object) -> str:
    return orjson.dumps(str(name).encode("utf-8", "backslashreplace").decode()).decode()


def _field(value: object) -> str:
    try:
        return orjson.dumps(value, default=_json_form, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        return orjson.dumps({"$json": deep_json(value)}).decode()


def is_unicode(value: object) -> bool:
    """Whether all texts in `value`, which is not deep, can be stored."""
    try:
        orjson.dumps(value, default=_json_form)
    except TypeError:
        return False
    return True


def link_of(value: object) -> str | None:
    """The CID that a link is to, as it came in JSON or in CBOR; None if it is no link."""
    if isinstance(value, bytes):
        return encode_cid(value) if _is_cid(value) else None
    link = value.get("$link") if isinstance(value, Mapping) else None
    return link if type(link) is str else None


def _is_cid(value: bytes) -> bool:
    return len(value) == _CID_BYTES and value.startswith(_CID_PREFIXES)


def _json_form(value: object) -> object:
    if not isinstance(value, bytes):
        raise TypeError(type(value).__name__)
    if _is_cid(value):
        return {"$link": encode_cid(value)}
    return {"$bytes": base64.b64encode(value).decode().rstrip("=")}
