"""What the identifiers of the AT Protocol look like, and whether a text is one.

All are ASCII and of bounded length, so that what passes is safe in a path, a URL or a log.
What does not belong here: whether anything of that name exists.

Source: https://atproto.com/specs/did, handle, record-key, nsid, tid and at-uri-scheme.
"""

import re
from typing import Any

DID_PATTERN = r"did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]"
RECORD_KEY_PATTERN = r"[a-zA-Z0-9._:~-]{1,512}"
"""Without look-around, for DuckDB and pydantic; `.` and `..` match and are none."""

DID_CHARACTERS = 2_048
_HANDLE_CHARACTERS = 253
_NSID_CHARACTERS = 317
_URI_CHARACTERS = 8_192

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_FIRST_LABEL = r"[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HANDLE = rf"(?:{_LABEL}\.)+{_FIRST_LABEL}"
_NSID = rf"{_FIRST_LABEL}(?:\.{_LABEL})+\.[a-zA-Z][a-zA-Z0-9]{{0,62}}"
_RECORD_KEY = rf"(?!\.\.?(?:\Z|/)){RECORD_KEY_PATTERN}"

_did = re.compile(DID_PATTERN).fullmatch
_handle = re.compile(_HANDLE).fullmatch
_nsid = re.compile(_NSID).fullmatch
_record_key = re.compile(_RECORD_KEY).fullmatch
_tid = re.compile(r"[2-7a-j][2-7a-z]{12}").fullmatch
_at_uri = re.compile(
    rf"at://(?P<authority>{DID_PATTERN}|{_HANDLE})"
    rf"(?:/(?P<collection>{_NSID})(?:/(?P<record_key>{_RECORD_KEY}))?)?"
).fullmatch


def is_did(text: Any) -> bool:
    return type(text) is str and len(text) <= DID_CHARACTERS and _did(text) is not None


def is_handle(text: Any) -> bool:
    return type(text) is str and len(text) <= _HANDLE_CHARACTERS and _handle(text) is not None


def is_nsid(text: Any) -> bool:
    """Whether `text` is the name of a lexicon, e.g. of a collection."""
    return type(text) is str and len(text) <= _NSID_CHARACTERS and _nsid(text) is not None


def is_record_key(text: Any) -> bool:
    """Whether `text` is what a record can be called in its collection."""
    return type(text) is str and _record_key(text) is not None


def is_tid(text: Any) -> bool:
    """Whether `text` is a revision, or a record key made of a time."""
    return type(text) is str and _tid(text) is not None


def is_at_uri(text: Any) -> bool:
    """Whether `text` is the address of an account, a collection or a record."""
    return at_uri_parts(text) is not None


def at_uri_parts(text: Any) -> tuple[str, str | None, str | None] | None:
    """Authority, collection and record key of an AT URI; None if `text` is none."""
    if type(text) is not str or len(text) > _URI_CHARACTERS or not (found := _at_uri(text)):
        return None
    authority, collection, record_key = found.groups()
    is_good = is_did(authority) or is_handle(authority)
    if not is_good or (collection and not is_nsid(collection)):
        return None
    return authority, collection, record_key
