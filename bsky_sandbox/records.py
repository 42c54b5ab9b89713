"""Post records as clients write them, with what clients get wrong.

What belongs here: the app.bsky.feed.post record around a text. What does not: the text
(`writing`), and who posts it when (`world`).
Source: lexicons app.bsky.feed.post, app.bsky.embed.* and app.bsky.richtext.facet.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Protocol

from bsky_sandbox.accounts import LANGUAGES, self_labels
from bsky_sandbox.posts import POST, Json, at_micros, blob, timestamp
from bsky_sandbox.writing import UNDETERMINED, Written

SITES = (
    "larkspurgazette.example",
    "portamitynews.example",
    "thedailyheron.example",
    "mossandlichen.example",
    "ashfordchronicle.example",
    "recipes.teapot.example",
    "blog.walrus.example",
    "theharborpost.example",
    "journal.fern.example",
    "video.comet.example",
)
"""Where links lead; there is no such place."""

_SHOWN_PATH = 24
_ROOM_FOR_LINK = 200
_LONGEST = 290
_HOUR = 3_600_000_000
_TOKEN = re.compile(
    r"(?P<link>https?://[^\s)]+)"
    r"|(?<![\w#&])#(?P<tag>\d*[^\W\d][\w-]*)"
    r"|(?<![\w@])@(?P<mention>[a-z0-9][a-z0-9.-]*\.test)"
)
_CODES = {
    "en": ("en", "en", "en", "en-US", "en-GB"),
    "ja": ("ja", "ja", "ja-JP"),
    "pt": ("pt-BR", "pt"),
    "zh": ("zh", "zh-Hant", "zh-CN"),
}
_SHAPES = [{"width": width, "height": 1500} for width in (1000, 1200, 2000)]
_VIA = ("Graysky", "Skeets", "deck.blue", "feather-cli")
_MARKS = "#@:"


class Known(Protocol):
    """A post that another answers or quotes."""

    uri: str
    cid: str
    record: Json


@dataclass(slots=True)
class Context:
    """What surrounds a post when it is written."""

    created_at: int
    """Microseconds since 1970."""
    parent: Known | None = None
    quoted: Known | None = None
    mention: str | None = None
    """The handle of someone whom it addresses."""


def make_record(
    rng: Random, written: Written, context: Context, handles: Mapping[str, str]
) -> Json:
    """The record of a post; `handles` leads from handles to DIDs."""
    text = _addressed(rng, written.text, context.mention)
    embed = _embed(rng, written, context)
    room = 0 < len(text) < _ROOM_FOR_LINK and not written.is_verbatim
    if embed is None and room and rng.random() < 0.035:
        text = f"{text} {_link(rng)}"
    targets: dict[str, str] = {}
    if text.count("https://") == 1 and rng.random() < 0.4:
        text, targets = _shortened(text)
    record: Json = {"$type": POST, "text": text}
    if langs := _langs(rng, written.language):
        record["langs"] = langs
    if any(mark in text for mark in _MARKS) or targets:
        _annotate(rng, record, targets, handles)
    if context.parent:
        record["reply"] = _reply(context.parent)
    if embed:
        record["embed"] = embed
    if written.label:
        record["labels"] = self_labels([written.label])
    _add_rarities(rng, record)
    record["createdAt"] = _created_at(rng, context.created_at)
    return record


def updated(rng: Random, record: Json) -> Json:
    """The record after its author has changed it: in its text only, and at its end."""
    text = record["text"] + rng.choice((" (edited)", "\n\nEdit: typo", " …", " 🙏"))
    return {**record, "text": text}


def _addressed(rng: Random, text: str, mention: str | None) -> str:
    if mention is None or len(text) + len(mention) > _LONGEST:
        return text
    return f"@{mention} {text}" if rng.random() < 0.6 else f"{text} @{mention}"


def _annotate(
    rng: Random, record: Json, targets: Mapping[str, str], handles: Mapping[str, str]
) -> None:
    """Say where links, tags and mentions are, in a few as early clients did."""
    facets = _facets(record["text"], targets, handles)
    if facets and rng.random() < 0.01 and (entities := _entities(facets, record["text"])):
        record["entities"] = entities
    elif facets:
        record["facets"] = facets


def _created_at(rng: Random, micros: int) -> str:
    chance = rng.random()
    if chance < 0.002:
        return "0001-01-01T00:00:00.000Z"
    if chance < 0.01:
        return timestamp(at_micros(micros + rng.choice((-9000, -800, -5, 3, 26)) * _HOUR))
    if chance < 0.05:
        return timestamp(at_micros(micros + 2 * _HOUR)).replace("Z", "+02:00")
    if chance < 0.08:
        return timestamp(at_micros(micros)).replace("Z", "123Z")
    return timestamp(at_micros(micros))


def _langs(rng: Random, language: str) -> list[str] | None:
    """What a client says of the language: wrong in one of ten."""
    chance = rng.random()
    if chance < 0.07:
        return None
    if chance < 0.17:
        others = [code for code in LANGUAGES if code != language]
        return _shared("en" if language != "en" and chance < 0.14 else rng.choice(others))
    if language == UNDETERMINED:
        return _shared("en" if chance < 0.5 else rng.choice(list(LANGUAGES)))
    code = rng.choice(_CODES.get(language, (language,)))
    if chance < 0.2:
        return _shared(code, "en" if language != "en" else "es")
    return _shared(code)


@cache
def _shared(*codes: str) -> list[str]:
    """A list of languages, the same one for all posts that have it."""
    return list(codes)


def _link(rng: Random) -> str:
    words = ("walk", "recipe", "story", "notes", "garden", "review", "map", "guide", "interview")
    path = f"{rng.randrange(2022, 2027)}/{rng.choice(words)}-{rng.choice(words)}"
    return f"https://{rng.choice(SITES)}/{path}-{rng.randrange(100_000)}"


def _shortened(text: str) -> tuple[str, dict[str, str]]:
    """`text` with links as clients show them, and where what they show leads."""
    targets = {}
    for link in re.findall(r"https?://\S+", text):
        shown = link.removeprefix("https://")
        if len(shown) > _SHOWN_PATH:
            shown = shown[:_SHOWN_PATH] + "..."
        targets[shown] = link
        text = text.replace(link, shown)
    return text, targets


def _facets(text: str, targets: Mapping[str, str], handles: Mapping[str, str]) -> list[Json]:
    """Links, tags and mentions in `text`, by their bytes in UTF-8."""
    found = []
    for match in _TOKEN.finditer(text):
        kind, value = match.lastgroup, match.group(str(match.lastgroup))
        if kind == "link":
            feature = {"$type": "app.bsky.richtext.facet#link", "uri": value}
        elif kind == "tag":
            feature = _tag(value)
        elif did := handles.get(value):
            feature = {"$type": "app.bsky.richtext.facet#mention", "did": did}
        else:
            continue
        found.append((match.start(), match.end(), feature))
    for shown, link in targets.items():
        start = text.find(shown)
        feature = {"$type": "app.bsky.richtext.facet#link", "uri": link}
        found.append((start, start + len(shown), feature))
    return [_facet(text, *place) for place in sorted(found, key=lambda place: place[0])]


@cache
def _tag(value: str) -> Json:
    """The feature of a hashtag, shared by all posts that have it: they are many."""
    return {"$type": "app.bsky.richtext.facet#tag", "tag": value}


def _facet(text: str, start: int, end: int, feature: Json) -> Json:
    first = len(text[:start].encode())
    index = {"byteStart": first, "byteEnd": first + len(text[start:end].encode())}
    return {"index": index, "features": [feature]}


def _entities(facets: list[Json], text: str) -> list[Json]:
    """The same as early clients wrote it: by UTF-16 units, and no tags."""
    entities = []
    for facet in facets:
        feature = facet["features"][0]
        if value := feature.get("uri") or feature.get("did"):
            kind = "link" if "uri" in feature else "mention"
            span = [facet["index"][end] for end in ("byteStart", "byteEnd")]
            start, end = (_units(text, byte) for byte in span)
            index = {"start": start, "end": end}
            entities.append({"index": index, "type": kind, "value": value})
    return entities


def _units(text: str, byte: int) -> int:
    return len(text.encode()[:byte].decode().encode("utf-16-le")) // 2


def _ref(post: Known) -> Json:
    return {"uri": post.uri, "cid": post.cid}


def _reply(parent: Known) -> Json:
    root = parent.record["reply"]["root"] if "reply" in parent.record else _ref(parent)
    return {"root": root, "parent": _ref(parent)}


def _embed(rng: Random, written: Written, context: Context) -> Json | None:
    if written.link:
        return _external(rng, written.link, written.headline or "") if rng.random() < 0.9 else None
    if context.quoted:
        record = {"$type": "app.bsky.embed.record", "record": _ref(context.quoted)}
        if rng.random() < 0.25:
            media = _media(rng, written)
            return {"$type": "app.bsky.embed.recordWithMedia", "record": record, "media": media}
        return record
    if written.needs_picture:
        return _media(rng, written)
    chance = 1 if written.is_verbatim else rng.random()
    if chance < 0.14:
        return _media(rng, written)
    if chance < 0.20:
        return _external(rng, _link(rng), written.text[:60].split("\n")[0])
    if chance < 0.204:
        return {
            "$type": "community.sandbox.embed.poll",
            "question": "Which?",
            "options": ["a", "b"],
        }
    return None


def _media(rng: Random, written: Written) -> Json:
    chance = rng.random()
    if chance < 0.1:
        video: Json = {"$type": "app.bsky.embed.video", "video": _blob(rng, "video/mp4")}
        if rng.random() < 0.5:
            video["alt"] = _alt(rng, written)
        return video
    count = rng.choice((1, 1, 1, 1, 2, 2, 3, 4))
    images = [_image(rng, written) for _ in range(count)]
    if chance < 0.13:
        kind = "app.bsky.embed.gallery#image"
        items = [{"$type": kind, "aspectRatio": _SHAPES[0], **image} for image in images]
        return {"$type": "app.bsky.embed.gallery", "items": items}
    return {"$type": "app.bsky.embed.images", "images": images}


def _image(rng: Random, written: Written) -> Json:
    image: Json = {"alt": _alt(rng, written), "image": _blob(rng, "image/jpeg")}
    if rng.random() < 0.8:
        image["aspectRatio"] = rng.choice(_SHAPES)
    return image


def _alt(rng: Random, written: Written) -> str:
    if written.alt is not None:
        return written.alt
    if rng.random() < 0.55:
        return ""
    what = rng.choice(("A photo", "A drawing", "A screenshot", "A blurry photo", "A close-up"))
    of = rng.choice(("a cat on a chair", "the sea at dusk", "a plate of noodles", "a page of notes",
                     "a street in the rain", "a hand-knitted scarf", "a game menu"))  # fmt: skip
    return f"{what} of {of}"


def _external(rng: Random, uri: str, title: str) -> Json:
    external: Json = {"uri": uri, "title": title, "description": ""}
    if rng.random() < 0.6:
        external["description"] = f"From {uri.split('/')[2]}"
    if rng.random() < 0.5:
        external["thumb"] = _blob(rng, "image/jpeg")
    return {"$type": "app.bsky.embed.external", "external": external}


def _blob(rng: Random, mime_type: str) -> Json:
    return blob(rng.getrandbits(64), mime_type, rng.randrange(20_000, 900_000))


def _add_rarities(rng: Random, record: Json) -> None:
    chance = rng.random()
    if chance < 0.02:
        record["tags"] = rng.sample(["cats", "art", "photo", "booksky", "猫", "música"], 2)
    elif chance < 0.035:
        record["via"] = rng.choice(_VIA)
    elif chance < 0.038:
        record.setdefault("labels", self_labels([]))
    elif chance < 0.043:
        record["bridgyOriginalUrl"] = f"https://social.example/notes/{rng.randrange(10**9)}"
        record["bridgyOriginalText"] = "<p>" + record["text"][:40].replace("<", "&lt;") + "</p>"
