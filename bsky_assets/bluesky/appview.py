"""What an AppView shows in a feed: an item becomes a row, or it is told why it cannot.

What makes an item a post must be right: its address, its version, its record. What else cannot be
read is null, and is kept in `unknown_fields` as it came, as is what the contract does not know.
The post's record is read by `records`, as it is for the firehose; views of embeds, which repeat
it, are not looked at, nor are those of other posts, and what only concerns who asks.

Source: lexicons app.bsky.feed.defs (#feedViewPost, #postView, #notFoundPost, #blockedPost),
app.bsky.actor.defs#profileViewBasic and com.atproto.label.defs#label.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bsky_assets.bluesky.json_text import is_unicode, stable_json
from bsky_assets.bluesky.labels import read_label
from bsky_assets.bluesky.records import POST, Unreadable, read_post_record, without_main
from bsky_assets.bluesky.rows import instant
from bsky_assets.bluesky.syntax import at_uri_parts, is_did, is_handle
from bsky_assets.contracts.records import AppliedLabel
from bsky_assets.sync_day import synctimestamp

_NO_HANDLE = "handle.invalid"
"""What an AppView shows for an account whose handle does not lead back to it."""

_LARGEST = 2**63 - 1

Json = dict[str, Any]


class _Odd(Exception):
    """A field that cannot be read."""


def _text(value: Any) -> str:
    if type(value) is not str or not is_unicode(value):
        raise _Odd
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise _Odd
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _Odd
    return value


def _instant(value: Any) -> datetime:
    if (read := instant(value)) is None:
        raise _Odd
    return read


def _did(value: Any) -> str:
    if not is_did(value):
        raise _Odd
    return _text(value)


def _handle(value: Any) -> str:
    if not is_handle(value):
        raise _Odd
    return _text(value)


def _kind(value: Any) -> str | None:
    return without_main(_text(value))


Readers = Mapping[str, tuple[str, Callable[[Any], Any]]]
"""By the name of a field: its column, and what reads it."""

_POST: Readers = {
    "indexedAt": ("indexed_at", _instant),
    "likeCount": ("like_count", _count),
    "replyCount": ("reply_count", _count),
    "repostCount": ("repost_count", _count),
    "quoteCount": ("quote_count", _count),
    "bookmarkCount": ("bookmark_count", _count),
}
_AUTHOR: Readers = {
    "did": ("did", _did),
    "handle": ("handle", _handle),
    "displayName": ("display_name", _text),
    "avatar": ("avatar", _text),
    "createdAt": ("created_at", _instant),
}
_VERIFICATION_STATE: Readers = {
    "verifiedStatus": ("verified_status", _text),
    "trustedVerifierStatus": ("trusted_verifier_status", _text),
}
_VERIFICATION: Readers = {
    "issuer": ("issuer", _text),
    "uri": ("uri", _text),
    "isValid": ("is_valid", _boolean),
    "createdAt": ("created_at", _instant),
}
_REASON: Readers = {
    "$type": ("kind", _kind),
    "indexedAt": ("indexed_at", _instant),
    "uri": ("uri", _text),
}
_REASON_BY: Readers = {"did": ("by", _did)}

_READ_APART = {
    "item": frozenset(("$type", "post", "reason", "reply")),
    "post": frozenset(
        (
            *("$type", "uri", "cid", "author", "record", "labels"),
            *("embed", "viewer", "threadgate", "debug"),
        )
    ),
    "author": frozenset(("$type", "labels", "verification", "viewer", "debug")),
    "state": frozenset(("$type", "verifications")),
    "verification": frozenset(("$type",)),
    "reason": frozenset(("by", "cid")),
}
"""Fields that are read by themselves, or left out: see the top of this file."""


def read_item(
    item: Any, *, source_feed: str, position: int, received_at: datetime
) -> dict[str, Any]:
    """The row of `RawFeedPost` for an item of a feed's page.

    Raises:
        Unreadable: with the reason that it goes into quarantine for.
    """
    post = _post_of(item)
    did, _ = _address(post)
    odd: Json = {}
    author, author_labels = _author(post, did, odd)
    seen = _fields(post, _POST, _READ_APART["post"], odd)
    post_labels = _labels(post, odd)
    told: Json = {}
    reason = None
    if "post" in item:
        _fields(item, {}, _READ_APART["item"], told)
        reason = _reason(item, told)
    if odd:
        told["post"] = odd
    return {
        "uri": post["uri"],
        "cid": post["cid"],
        "author": author,
        "record": read_post_record(post["record"]),
        "metadata": {
            "synctimestamp": synctimestamp(received_at),
            "source_feed": source_feed,
            "url": page_of(post["uri"], author["handle"]),
        },
        **seen,
        "reason": reason,
        "post_labels": post_labels,
        "author_labels": author_labels,
        "position": position,
        "received_at": received_at,
        "unknown_fields": stable_json(told) if told else None,
    }


def page_of(uri: str, handle: str | None) -> str:
    """The page of the post `uri` on bsky.app, under its author's handle where that is good."""
    did, record_key = _parts(uri)
    author = handle if handle != _NO_HANDLE and is_handle(handle) else did
    return f"https://bsky.app/profile/{author}/post/{record_key}"


def _parts(uri: Any) -> tuple[str, str]:
    """The author's DID and the record key in the AT URI of a post.

    Raises:
        Unreadable: it is none.
    """
    authority, collection, record_key = at_uri_parts(uri) or ("", None, None)
    if collection != POST or record_key is None or not is_did(authority):
        raise Unreadable("bad_field", "post.uri: not the AT URI of a post")
    return authority, record_key


def _address(post: Json) -> tuple[str, str]:
    """Author and record key of a post view that has all that it must have."""
    for name in ("uri", "cid", "record"):
        if name not in post:
            raise Unreadable("missing_field", f"post.{name}: not there")
    cid = post["cid"]
    if type(cid) is not str or not cid or not is_unicode(cid):
        raise Unreadable("bad_field", "post.cid: not a CID")
    if type(post["record"]) is not dict:
        raise Unreadable("bad_field", "post.record: not an object")
    return _parts(post["uri"])


def _post_of(item: Any) -> Json:
    if not isinstance(item, dict):
        raise Unreadable("not_an_object", "the item is not an object")
    post = item.get("post", item)
    if not isinstance(post, dict):
        raise Unreadable("not_an_object", "the item's post is not an object")
    kind = str(post.get("$type", ""))
    if post.get("notFound") is True or kind.endswith("#notFoundPost"):
        raise Unreadable("not_found_post", "the AppView does not have the post any more")
    if post.get("blocked") is True or kind.endswith("#blockedPost"):
        raise Unreadable("blocked_post", "the post is hidden by a block")
    return post


def _author(post: Json, did: str, odd: Json) -> tuple[Json, list[Json]]:
    """The author of a post at whose address `did` is, and the labels on the account."""
    view = _object(post, "author", odd)
    if is_did(view.get("did")) and view["did"] != did:
        raise Unreadable("author_mismatch", "the post's author is not the one in its address")
    told: Json = {}
    author = _fields(view, _AUTHOR, _READ_APART["author"], told)
    author["did"] = did
    author["verification"] = _verification(view, told)
    labels = _labels(view, told)
    if told:
        odd["author"] = told
    return author, labels


def _verification(author: Json, odd: Json) -> Json | None:
    view = _object(author, "verification", odd)
    if not view:
        return None
    told: Json = {}
    state = _fields(view, _VERIFICATION_STATE, _READ_APART["state"], told)
    each = [_one(one, _VERIFICATION, "verification") for one in _list(view, "verifications", told)]
    state["verifications"] = [one for one, _ in each]
    if unread := [more for _, more in each if more]:
        told["verifications"] = unread
    if told:
        odd["verification"] = told
    return state


def _one(value: Any, readers: Readers, name: str) -> tuple[Json, Any]:
    """One object of a list, and what of it could not be read."""
    if not isinstance(value, dict):
        return _fields({}, readers, frozenset(), {}), value
    told: Json = {}
    return _fields(value, readers, _READ_APART[name], told), told


def _reason(item: Json, odd: Json) -> Json | None:
    view = _object(item, "reason", odd)
    if not view:
        return None
    told: Json = {}
    reason = _fields(view, _REASON, _READ_APART["reason"], told)
    by = _object(view, "by", told)
    reason |= _fields(by, _REASON_BY, frozenset(by.keys() - {"did"}), told)
    if told:
        odd["reason"] = told
    return reason


def _labels(view: Json, odd: Json) -> list[Json]:
    """The labels on what is viewed, as `AppliedLabel` has them."""
    read: list[Json] = []
    unread: list[Any] = []
    for label in _list(view, "labels", odd):
        try:
            row, more = read_label(label)
        except Unreadable:
            unread.append(label)
            continue
        read.append({name: row[name] for name in AppliedLabel.model_fields})
        unread += [more] if more else []
    if unread:
        odd["labels"] = unread
    return read


def _fields(view: Json, readers: Readers, apart: frozenset[str], odd: Json) -> Json:
    """The columns of a view; what cannot be read, and what has no column, goes to `odd`."""
    row: Json = dict.fromkeys(column for column, _ in readers.values())
    for name, value in view.items():
        if value is None or name in apart:
            continue
        column, read = readers.get(name, ("", _unknown))
        try:
            row[column] = read(value)
        except _Odd:
            odd[name] = value
    return row


def _unknown(_: Any) -> None:
    raise _Odd


def _object(view: Json, name: str, odd: Json) -> Json:
    value = view.get(name)
    if isinstance(value, dict):
        return value
    if value is not None:
        odd[name] = value
    return {}


def _list(view: Json, name: str, odd: Json) -> list[Any]:
    value = view.get(name)
    if isinstance(value, list):
        return value
    if value is not None:
        odd[name] = value
    return []
