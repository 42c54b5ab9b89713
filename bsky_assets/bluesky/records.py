"""Reading a post's record, from the firehose or an AppView, into the columns of `PostRecord`.

A record is hostile input: its author may put anything anywhere. What makes it a post must be
right; whatever else has another shape than the lexicon's goes to `unknown_fields` as it came,
and costs nothing but itself.
What does not belong here: where a record was found, and whether its bytes are the right ones.

Source: lexicons app.bsky.feed.post, app.bsky.embed.*, app.bsky.richtext.facet and
com.atproto.label.defs#selfLabels.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bsky_assets.bluesky.json_text import is_unicode, link_of, stable_json
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
JsonObject = Mapping[str, Any]


class Unreadable(Exception):
    """Something that goes into quarantine: `reason` is a short code, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
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
    if not is_unicode(values):
        values = _unicode_values(record)
    return dict(zip(COLUMNS, values, strict=True))


def _unicode_values(record: JsonObject) -> tuple[Any, ...]:
    """The values of a record some of whose fields have text that no column can hold."""
    if not is_unicode((record["text"], record["createdAt"])):
        raise Unreadable("bad_text", "the record has text that is not Unicode")
    bad = {key for key, value in record.items() if not is_unicode({key: value})}
    good = {key: value for key, value in record.items() if key not in bad}
    return post_values(good, {key: record[key] for key in bad})


def check_post(record: JsonObject) -> None:
    """See that a decoded record is a post.

    Raises:
        Unreadable: it is not.
    """
    kind = record.get("$type")
    if kind != POST and without_main(kind) != POST:
        raise Unreadable("wrong_type", f"the record's $type is not {POST}")
    for field in ("text", "createdAt"):
        if type(record.get(field)) is not str:
            raise Unreadable("bad_field", f"the record's {field} is missing or not a string")


def without_main(kind: Any) -> str | None:
    """A `$type` as it is stored: what `X#main` names is what `X` names. None if it is no text."""
    return kind.removesuffix("#main") if type(kind) is str else None


def post_values(record: JsonObject, odd: JsonObject | None = None) -> tuple[Any, ...]:
    """The values of `COLUMNS` for a decoded record that is a post; `odd` are more of its fields."""
    get = record.get
    odd = dict(odd) if odd else {}
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
    return _each(facets, _facet_rows, "facets", odd)


def _facet_rows(facet: Any, rows: list[dict[str, Any]]) -> bool:
    index = facet["index"]
    start, end = index["byteStart"], index["byteEnd"]
    if not (_is_place(start) and _is_place(end)):
        return False
    is_whole = True
    for feature in facet["features"]:
        kind = without_main(feature["$type"])
        value = _text(feature.get(_FEATURE_VALUES.get(kind, "")))
        is_whole = is_whole and kind is not None and value is not None
        if kind is not None:
            rows.append({"byte_start": start, "byte_end": end, "kind": kind, "value": value})
    return is_whole


_FEATURE_VALUES: dict[str | None, str] = {
    "app.bsky.richtext.facet#mention": "did",
    "app.bsky.richtext.facet#link": "uri",
    "app.bsky.richtext.facet#tag": "tag",
}


def _is_place(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _entities(entities: Any, odd: dict[str, Any]) -> list[dict[str, Any]] | None:
    return None if entities is None else _each(entities, _entity_rows, "entities", odd)


def _entity_rows(entity: Any, rows: list[dict[str, Any]]) -> bool:
    row = {
        "start": entity["index"]["start"],
        "end": entity["index"]["end"],
        "kind": entity["type"],
        "value": entity["value"],
    }
    is_whole = _is_place(row["start"]) and _is_place(row["end"])
    is_whole = is_whole and type(row["kind"]) is str and type(row["value"]) is str
    rows.extend([row] if is_whole else [])
    return is_whole


def _self_labels(labels: Any, odd: dict[str, Any]) -> list[str] | None:
    if labels is None:
        return None
    values = _object(labels).get("values")
    if type(values) is list:
        read = [_text(_object(value).get("val")) for value in values]
        found = [value for value in read if value is not None]
        if len(found) == len(read):
            return found
    else:
        found = []
    odd["labels"] = labels
    return found or None


def _each(
    values: Any,
    read: Callable[[Any, list[dict[str, Any]]], bool],
    name: str,
    odd: dict[str, Any],
) -> list[dict[str, Any]] | None:
    """The rows of each value that can be read; `read` tells whether it took all that there was."""
    rows: list[dict[str, Any]] = []
    is_whole = type(values) is list
    for value in values if is_whole else ():
        try:
            is_whole = read(value, rows) and is_whole
        except (TypeError, KeyError, IndexError, AttributeError):
            is_whole = False
    if not is_whole:
        odd[name] = values
        return rows or None
    return rows


def _embed(embed: Any, odd: dict[str, Any]) -> dict[str, Any] | None:
    kind = without_main(_object(embed).get("$type"))
    if kind is None:
        odd["embed"] = embed
        return None
    row: dict[str, Any] = {"kind": kind, "alt_texts": []}
    read = _EMBED_READERS.get(kind)
    if kind in _MEDIA_READERS:
        row["media_kind"] = kind
    if read is None or not read(embed, row):
        odd["embed"] = embed
    return row


def _images(embed: JsonObject, row: dict[str, Any]) -> bool:
    return _pictures(embed.get("images"), row)


def _gallery(embed: JsonObject, row: dict[str, Any]) -> bool:
    return _pictures(embed.get("items"), row)


def _pictures(items: Any, row: dict[str, Any]) -> bool:
    if type(items) is not list:
        return False
    row["media"], is_whole = [], True
    for item in items:
        image = _object(item)
        is_whole = _medium("image", image, "image", row) and is_whole
        row["alt_texts"].append(_text(image.get("alt")) or "")
    return is_whole


def _video(embed: JsonObject, row: dict[str, Any]) -> bool:
    row["media"] = []
    if alt := _text(embed.get("alt")):
        row["alt_texts"] = [alt]
    return _medium("video", embed, "video", row)


def _medium(kind: str, item: JsonObject, file: str, row: dict[str, Any]) -> bool:
    """Take an image or a video; whether there was all that the lexicon asks for."""
    blob, alt, shape = _object(item.get(file)), item.get("alt"), item.get("aspectRatio")
    medium = {
        "kind": kind,
        "cid": link_of(blob.get("ref")) or _text(blob.get("cid")),
        "mime_type": _text(blob.get("mimeType")),
        "alt": _text(alt) or None,
        "aspect_ratio": _aspect_ratio(shape),
    }
    row["media"].append(medium)
    is_whole = medium["cid"] is not None and medium["mime_type"] is not None
    return (
        is_whole
        and (alt is None or type(alt) is str)
        and (shape is None or medium["aspect_ratio"] is not None)
    )


def _aspect_ratio(shape: Any) -> dict[str, Any] | None:
    width, height = _object(shape).get("width"), _object(shape).get("height")
    if _is_place(width) and _is_place(height):
        return {"width": width, "height": height}
    return None


def _external(embed: JsonObject, row: dict[str, Any]) -> bool:
    return _take_texts(embed.get("external"), row, _LINK)


def _quote(embed: JsonObject, row: dict[str, Any]) -> bool:
    return _take_texts(embed.get("record"), row, _QUOTED)


def _quote_with_media(embed: JsonObject, row: dict[str, Any]) -> bool:
    is_whole = _quote(_object(embed.get("record")), row)
    media = _object(embed.get("media"))
    row["media_kind"] = without_main(media.get("$type"))
    read = _MEDIA_READERS.get(row["media_kind"])
    return read is not None and read(media, row) and is_whole


_LINK = {"uri": "link_uri", "title": "link_title", "description": "link_description"}
_QUOTED = {"uri": "quoted_uri", "cid": "quoted_cid"}


def _take_texts(source: Any, row: dict[str, Any], names: Mapping[str, str]) -> bool:
    """Take the texts that are there; whether all were."""
    get, is_whole = _object(source).get, True
    for name, column in names.items():
        row[column] = text = _text(get(name))
        is_whole = is_whole and text is not None
    return is_whole


_MEDIA_READERS: dict[str | None, Callable[[JsonObject, dict[str, Any]], bool]] = {
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
