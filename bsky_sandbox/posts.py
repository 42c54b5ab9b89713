"""A post of the sandbox, and the identifiers of the AT Protocol: TIDs and CIDs.

What does not belong here: which posts there are, and what they say.
Source: the specifications of TIDs, of the data model and of its JSON form (atproto.com/specs).
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from libipld import decode_multibase, encode_cid, encode_dag_cbor

Json = dict[str, Any]
Ideology = Literal["left", "right", "moderate", "unclear"]
AccountStatus = Literal["active", "deleted", "takendown", "suspended", "deactivated"]

POST = "app.bsky.feed.post"

_SORTABLE = "234567abcdefghijklmnopqrstuvwxyz"
_SORTABLE_PAIRS = [first + second for first in _SORTABLE for second in _SORTABLE]
_TID_LENGTH = 13
_DAG_CBOR_SHA256 = b"\x01\x71\x12\x20"
_RAW_SHA256 = b"\x01\x55\x12\x20"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxPost:
    """A post as it is at the end of the stream, and what a careful person would say of it."""

    uri: str
    cid: str
    """CIDv1 (dag-cbor, sha-256) of `record`."""
    rkey: str
    did: str
    handle: str
    display_name: str | None
    record: Json
    """The app.bsky.feed.post record as JSON, after any update."""
    language: str
    """ISO 639-1 code of the language it is written in; `und` where there are no words."""
    is_bot: bool
    """Whether a program runs its account."""
    is_nsfw: bool
    is_spam: bool
    is_hate_speech: bool
    is_political: bool
    """Whether it is about politics or a major social issue; told of English posts only."""
    ideology: Ideology | None
    """The lean of the argument, in the US frame; None if it is not political."""
    is_deleted: bool
    """Whether its author has deleted it by the end of the stream."""
    account_status: AccountStatus
    """Of its account at the end of the stream."""
    was_updated: bool
    in_firehose: bool
    """Whether the stream of the day has its creation; else it is from a day before."""
    in_feed: bool
    like_count: int
    reply_count: int
    repost_count: int
    quote_count: int
    created_at: datetime
    """UTC. The record's createdAt is this or, in a few, what a wrong clock said."""
    indexed_at: datetime
    """UTC: when the network had it."""


def tid(number: int) -> str:
    """The TID of a number below 2^63: microseconds since 1970, then ten bits of a clock's id."""
    pairs = _SORTABLE_PAIRS
    return (
        _SORTABLE[number >> 60]
        + pairs[number >> 50 & 1023]
        + pairs[number >> 40 & 1023]
        + pairs[number >> 30 & 1023]
        + pairs[number >> 20 & 1023]
        + pairs[number >> 10 & 1023]
        + pairs[number & 1023]
    )


def tid_number(text: str) -> int:
    """The number that a TID stands for.

    Raises:
        ValueError: `text` is no TID.
    """
    if len(text) != _TID_LENGTH or text[0] not in _SORTABLE[:16]:
        raise ValueError(f"{text!r} is not a TID")
    number = 0
    for character in text:
        number = number << 5 | _SORTABLE.index(character)
    return number


def cid_of(record: Mapping[str, Any]) -> str:
    """The CID of a record given as JSON."""
    return _cid_of_block(encoded(record))


def encoded(record: Mapping[str, Any]) -> bytes:
    """The DAG-CBOR of a record given as JSON."""
    return bytes(encode_dag_cbor(to_dag(record)))


def _cid_of_block(block: bytes) -> str:
    """The CID of a DAG-CBOR block."""
    text: str = encode_cid(_DAG_CBOR_SHA256 + hashlib.sha256(block).digest())
    return text


def blob(seed: int, mime_type: str, size: int) -> Json:
    """A blob reference. There is no such blob; its CID is made from `seed`."""
    digest = hashlib.sha256(seed.to_bytes(16, "big")).digest()
    link = encode_cid(_RAW_SHA256 + digest)
    return {"$type": "blob", "ref": {"$link": link}, "mimeType": mime_type, "size": size}


def to_dag(value: Any) -> Any:
    """`value`, given as JSON, as libipld encodes it: links are CIDs in bytes, bytes are bytes."""
    if isinstance(value, Mapping):
        if len(value) == 1:
            if "$link" in value:
                return decode_multibase(value["$link"])[1]
            if "$bytes" in value:
                text = value["$bytes"]
                return base64.b64decode(text + "=" * (-len(text) % 4))
        return {key: to_dag(part) for key, part in value.items()}
    if isinstance(value, list):
        return [to_dag(part) for part in value]
    return value


def at_micros(micros: int) -> datetime:
    """The instant so many microseconds after 1970, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def micros_of(instant: datetime) -> int:
    """How many microseconds after 1970 `instant` is."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def timestamp(instant: datetime) -> str:
    """An instant in UTC as the AT Protocol prefers it: in milliseconds, with a Z."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
