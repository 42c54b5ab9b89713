"""Reading a post's record, from the firehose or an AppView, into the columns of `PostRecord`.

A record is hostile input: its author may put anything anywhere. What makes it a post must be
right; whatever else has another shape than the lexicon's goes to `unknown_fields` as it came,
and costs nothing but itself.
What does not belong here: where a record was found, and whether its bytes are the right ones.

Source: lexicons app.bsky.feed.post, app.bsky.embed.*, app.bsky.richtext.facet and
com.atproto.label.defs#selfLabels.
"""

import base64
from collections.abc import Mapping
from typing import Any

import orjson
from libipld import encode_cid

from bsky_assets.contracts.records import PostRecord

POST = "app.bsky.feed.post"
COLUMNS = tuple(PostRecord.model_fields)
"""The columns that `post_values` gives the values of, in order."""

_LARGEST = 2**63 - 1
_REQUIRED = 3
_KNOWN = frozenset(
    (
        "$type",
        "text",
        "createdAt",
        "embed",
        "entities",
        "facets",
        "labels",
        "langs",
        "reply",
        "tags",
    )
)
_CID_PREFIXES = (b"\x01\x71\x12\x20", b"\x01\x55\x12\x20")
_CID_BYTES = 36

JsonObject = Mapping[str, Any]


class Unreadable(Exception):
    """Something that goes into quarantine: `reason` is a short code, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        """Say what is wrong, without the content."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


PROBLEMS = (Unreadable, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What may be raised by reading something that is not as it should be."""


def problem_of(error: Exception) -> Unreadable:
    """One of `PROBLEMS`, as it goes into quarantine."""
    if isinstance(error, Unreadable):
        return error
    return Unreadable("undecodable", f"it cannot be read ({type(error).__name__})")


def read_post_record(record: JsonObject) -> dict[str, Any]:
    """The `PostRecord` of a record that came as JSON.

    Raises:
        Unreadable: it is not a post.
    """
    check_post(record)
    values = post_values(record)
    try:
        orjson.dumps(values)
    except TypeError:
        raise Unreadable("bad_text", "the record has text that is not Unicode") from None
    return dict(zip(COLUMNS, values, strict=True))


def check_post(record: JsonObject) -> None:
    """See that a decoded record is a post.

    Raises:
        Unreadable: it is not.
    """
    if record.get("$type") != POST:
        raise Unreadable("wrong_type", f"the record's $type is not {POST}")
    for field in ("text", "createdAt"):
        if type(record.get(field)) is not str:
            raise Unreadable("bad_field", f"the record's {field} is missing or not a string")


def post_values(record: JsonObject) -> tuple[Any, ...]:
    """The values of `COLUMNS` for a decoded record that is a post."""
    get = record.get
    odd: dict[str, Any] = {}
    known = _REQUIRED
    entities = labels = parent = root = tags = None
    if (langs := get("langs")) is not None:
        known += 1
        langs = _strings(langs, "langs", odd)
    if (reply := get("reply")) is not None:
        known += 1
        parent, root = _reply(reply, odd)
    if (embed := get("embed")) is not None:
        known += 1
        embed = _embed(embed, odd)
    if (facets := get("facets")) is not None:
        known += 1
        facets = _facets(facets, odd)
    if known != len(record):
        entities = _entities(get("entities"), odd)
        labels = _self_labels(get("labels"), odd)
        tags = _strings(get("tags"), "tags", odd)
        odd.update((key, record[key]) for key in record.keys() - _KNOWN)
    unknown = stable_json(odd) if odd else None
    return (
        record["createdAt"],
        record["text"],
        embed,
        entities,
        facets,
        labels,
        langs,
        parent,
        root,
        tags,
        POST,
        unknown,
    )


def self_labels(record: JsonObject) -> list[str] | None:
    """The values of the labels that an author put on a record, if any can be read."""
    return _self_labels(record.get("labels"), {})


def stable_json(value: object) -> str:
    """`value` as JSON with sorted keys; bytes and links as in DAG-JSON's `$bytes` and `$link`.

    Decoded CBOR does not tell a link from bytes that look like one: 36 bytes that begin as a
    CID's do are taken for a link.
    """
    try:
        return orjson.dumps(value, default=_json_form, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        names = sorted(value) if isinstance(value, dict) else []
        return orjson.dumps({"$unprintable": names}).decode()


def _json_form(value: object) -> object:
    if not isinstance(value, bytes):
        raise TypeError(type(value).__name__)
    if len(value) == _CID_BYTES and value.startswith(_CID_PREFIXES):
        return {"$link": encode_cid(value)}
    return {"$bytes": base64.b64encode(value).decode().rstrip("=")}


def _strings(values: Any, name: str, odd: dict[str, Any]) -> list[str] | None:
    if type(values) is list:
        for value in values:
            if type(value) is not str:
                break
        else:
            return values
    if values is not None:
        odd[name] = values
    return None


def _reply(reply: Any, odd: dict[str, Any]) -> tuple[str | None, str | None]:
    try:
        parent, root = reply["parent"]["uri"], reply["root"]["uri"]
        if type(parent) is str and type(root) is str:
            return parent, root
    except (TypeError, KeyError, IndexError):
        pass
    odd["reply"] = reply
    return _uri(reply, "parent"), _uri(reply, "root")


def _uri(reply: Any, end: str) -> str | None:
    return _text(_object(_object(reply).get(end)).get("uri"))


def _facets(facets: Any, odd: dict[str, Any]) -> list[dict[str, Any]] | None:
    rows: list[dict[str, Any]] = []
    try:
        for facet in facets:
            index = facet["index"]
            start, end = index["byteStart"], index["byteEnd"]
            if not (_is_place(start) and _is_place(end)):
                raise TypeError
            for feature in facet["features"]:
                kind = feature["$type"]
                value = feature.get(_FEATURE_VALUES.get(kind))
                if type(kind) is not str:
                    raise TypeError
                if type(value) is not str:
                    odd["facets"], value = facets, None
                row = {"byte_start": start, "byte_end": end, "kind": kind, "value": value}
                rows.append(row)
    except (TypeError, KeyError, IndexError, AttributeError):
        odd["facets"] = facets
        return rows or None
    return rows


_FEATURE_VALUES = {
    "app.bsky.richtext.facet#mention": "did",
    "app.bsky.richtext.facet#link": "uri",
    "app.bsky.richtext.facet#tag": "tag",
}


def _is_place(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _entities(entities: Any, odd: dict[str, Any]) -> list[dict[str, Any]] | None:
    rows: list[dict[str, Any]] = []
    try:
        for entity in entities:
            row = {
                "start": entity["index"]["start"],
                "end": entity["index"]["end"],
                "kind": entity["type"],
                "value": entity["value"],
            }
            if not (_is_place(row["start"]) and _is_place(row["end"])):
                raise TypeError
            if type(row["kind"]) is not str or type(row["value"]) is not str:
                raise TypeError
            rows.append(row)
    except (TypeError, KeyError, IndexError):
        if entities is not None:
            odd["entities"] = entities
        return rows or None
    return rows


def _self_labels(labels: Any, odd: dict[str, Any]) -> list[str] | None:
    try:
        values = [label["val"] for label in labels["values"]]
        if all(type(value) is str for value in values):
            return values
    except (TypeError, KeyError, IndexError):
        pass
    if labels is not None:
        odd["labels"] = labels
    return None


def _embed(embed: Any, odd: dict[str, Any]) -> dict[str, Any] | None:
    row: dict[str, Any] = {}
    try:
        kind = embed["$type"]
        _EMBED_READERS[kind](embed, row)
    except (TypeError, KeyError, IndexError, AttributeError):
        odd["embed"] = embed
        kind = _text(_object(embed).get("$type"))
        if kind is None:
            return None
    row["kind"] = kind
    row.setdefault("alt_texts", [])
    return row


def _images(embed: JsonObject, row: dict[str, Any]) -> None:
    row["alt_texts"] = [_checked(image.get("alt", "")) for image in embed["images"]]


def _gallery(embed: JsonObject, row: dict[str, Any]) -> None:
    row["alt_texts"] = [_checked(item.get("alt", "")) for item in embed["items"]]


def _video(embed: JsonObject, row: dict[str, Any]) -> None:
    if "alt" in embed:
        row["alt_texts"] = [_checked(embed["alt"])]


def _external(embed: JsonObject, row: dict[str, Any]) -> None:
    external = embed["external"]
    row["link_uri"] = _checked(external["uri"])
    row["link_title"] = _checked(external["title"])
    row["link_description"] = _checked(external["description"])


def _quote(embed: JsonObject, row: dict[str, Any]) -> None:
    quoted = embed["record"]
    row["quoted_uri"], row["quoted_cid"] = _checked(quoted["uri"]), _checked(quoted["cid"])


def _quote_with_media(embed: JsonObject, row: dict[str, Any]) -> None:
    _quote(embed["record"], row)
    media = embed["media"]
    _MEDIA_READERS[media["$type"]](media, row)


def _checked(text: Any) -> str:
    if type(text) is not str:
        raise TypeError
    return text


_MEDIA_READERS = {
    "app.bsky.embed.images": _images,
    "app.bsky.embed.gallery": _gallery,
    "app.bsky.embed.video": _video,
    "app.bsky.embed.external": _external,
}
_EMBED_READERS = _MEDIA_READERS | {
    "app.bsky.embed.record": _quote,
    "app.bsky.embed.recordWithMedia": _quote_with_media,
}


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if type(value) is str else None
