"""Frames become the right rows, and whatever is odd about one costs nothing else."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import libipld
import pyarrow as pa
import pytest
from atproto import CAR, models
from atproto_firehose import parse_subscribe_repos_message
from atproto_subscription.frames import MessageFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.bluesky.firehose import FirehoseReader
from bsky_assets.bluesky.labels_stream import LabelReader
from bsky_assets.bluesky.records import Unreadable, post_values, read_post_record
from bsky_assets.bluesky.websocket import StreamError
from bsky_assets.contracts import (
    Quarantined,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
)
from bsky_assets_tests.support.places import REAL_DATA, needs_real_data
from testbed import wire
from testbed.wire import Commit, Link, Op

RECEIVED = datetime(2026, 3, 8, 18, 0, 1, tzinfo=UTC)
MICROSECONDS = int(RECEIVED.timestamp()) * 1_000_000


class Read:
    """What a reader made of some frames."""

    def __init__(self, *frames: bytes, reader: Any = None) -> None:
        reader = reader or FirehoseReader("relay.test")
        for frame in frames:
            reader.read(frame, MICROSECONDS)
        self.events = reader.take_events()
        tables: dict[type[Row], pa.Table] = reader.rows.tables()
        self.posts = tables[RawFirehosePost].to_pylist()
        self.deletions = tables[RawPostDeletion].to_pylist()
        self.labels = tables[RawModerationLabel].to_pylist()
        self.quarantined = tables[Quarantined].to_pylist()

    @property
    def texts(self) -> list[str]:
        return [post["record"]["text"] for post in self.posts]

    @property
    def reasons(self) -> list[str]:
        return [row["reason"] for row in self.quarantined]


def cid_of_blob(content: bytes) -> str:
    return libipld.encode_cid(wire.blob(content)["ref"].cid)


def test_a_post_is_read_field_by_field() -> None:
    target = {"uri": f"at://{wire.DID}/{wire.POST}/3parent", "cid": "bafyparent"}
    root = {"uri": f"at://{wire.DID}/{wire.POST}/3root", "cid": "bafyroot"}
    record = wire.post(
        "see #cats and example.org",
        langs=["en", "pt-BR"],
        reply={"parent": target, "root": root},
        tags=["cats"],
        labels={"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "nudity"}]},
        facets=[
            {
                "index": {"byteStart": 4, "byteEnd": 9},
                "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "cats"}],
            },
            {
                "index": {"byteStart": 14, "byteEnd": 25},
                "features": [
                    {"$type": "app.bsky.richtext.facet#link", "uri": "https://example.org"},
                    {"$type": "app.bsky.richtext.facet#mention", "did": wire.DID},
                ],
            },
        ],
        entities=[{"index": {"start": 0, "end": 3}, "type": "link", "value": "https://e.org"}],
        embed={
            "$type": "app.bsky.embed.recordWithMedia",
            "record": {"$type": "app.bsky.embed.record", "record": target},
            "media": {
                "$type": "app.bsky.embed.images",
                "images": [
                    {
                        "alt": "a cat",
                        "image": wire.blob(),
                        "aspectRatio": {"width": 4, "height": 3},
                    },
                    {"alt": "", "image": wire.blob(b"second", "image/png")},
                ],
            },
        },
    )
    op = Op(f"{wire.POST}/3abc", record)
    read = Read(Commit(7, [op]).frame())
    assert read.quarantined == []
    assert read.posts == [
        {
            "uri": f"at://{wire.DID}/{wire.POST}/3abc",
            "cid": libipld.encode_cid(op.cid),
            "author": wire.DID,
            "record": {
                "created_at": wire.TIME,
                "text": "see #cats and example.org",
                "embed": {
                    "kind": "app.bsky.embed.recordWithMedia",
                    "media_kind": "app.bsky.embed.images",
                    "media": [
                        {
                            "kind": "image",
                            "cid": cid_of_blob(b"picture"),
                            "mime_type": "image/jpeg",
                            "alt": "a cat",
                            "aspect_ratio": {"width": 4, "height": 3},
                        },
                        {
                            "kind": "image",
                            "cid": cid_of_blob(b"second"),
                            "mime_type": "image/png",
                            "alt": None,
                            "aspect_ratio": None,
                        },
                    ],
                    "link_uri": None,
                    "link_title": None,
                    "link_description": None,
                    "alt_texts": ["a cat", ""],
                    "quoted_uri": target["uri"],
                    "quoted_cid": "bafyparent",
                },
                "entities": [{"start": 0, "end": 3, "kind": "link", "value": "https://e.org"}],
                "facets": [
                    {
                        "byte_start": 4,
                        "byte_end": 9,
                        "kind": "app.bsky.richtext.facet#tag",
                        "value": "cats",
                    },
                    {
                        "byte_start": 14,
                        "byte_end": 25,
                        "kind": "app.bsky.richtext.facet#link",
                        "value": "https://example.org",
                    },
                    {
                        "byte_start": 14,
                        "byte_end": 25,
                        "kind": "app.bsky.richtext.facet#mention",
                        "value": wire.DID,
                    },
                ],
                "labels": ["nudity"],
                "langs": ["en", "pt-BR"],
                "reply_parent": target["uri"],
                "reply_root": root["uri"],
                "tags": ["cats"],
                "py_type": wire.POST,
                "unknown_fields": None,
            },
            "metadata": {
                "synctimestamp": "2026-03-08-18:00:01",
                "source_feed": "firehose",
                "url": None,
            },
            "relay": "relay.test",
            "seq": 7,
            "action": "create",
            "dated_by": None,
            "rev": "3mnbxxxxxxx2a",
            "commit_time": datetime(2026, 3, 8, 18, tzinfo=UTC),
            "received_at": RECEIVED,
            "earlier_versions": None,
        }
    ]


def test_an_empty_list_is_not_a_missing_one() -> None:
    (post,) = Read(
        Commit(1, [Op(f"{wire.POST}/3a", wire.post("", langs=[], facets=[]))]).frame()
    ).posts
    assert (post["record"]["langs"], post["record"]["facets"]) == ([], [])
    assert (post["record"]["tags"], post["record"]["embed"]) == (None, None)


IMAGE = {"alt": "one", "image": wire.blob()}
MEDIUM = {"kind": "image", "cid": cid_of_blob(b"picture"), "mime_type": "image/jpeg"}
QUOTED = {"uri": "at://x/y/z", "cid": "bafy"}
EMBEDS = [
    (
        {
            "$type": "app.bsky.embed.video",
            "alt": "waves",
            "video": wire.blob(mime_type="video/mp4"),
        },
        {
            "alt_texts": ["waves"],
            "media": [{**MEDIUM, "kind": "video", "mime_type": "video/mp4", "alt": "waves"}],
        },
    ),
    (
        {"$type": "app.bsky.embed.video", "video": wire.blob()},
        {"alt_texts": [], "media": [{**MEDIUM, "kind": "video", "alt": None}]},
    ),
    (
        {"$type": "app.bsky.embed.gallery", "items": [IMAGE, {**IMAGE, "alt": "two"}]},
        {
            "alt_texts": ["one", "two"],
            "media": [{**MEDIUM, "alt": "one"}, {**MEDIUM, "alt": "two"}],
        },
    ),
    (
        {
            "$type": "app.bsky.embed.images",
            "images": [{"alt": "", "image": {"cid": "bafyold", "mimeType": "image/jpeg"}}],
        },
        {"alt_texts": [""], "media": [{**MEDIUM, "cid": "bafyold", "alt": None}]},
    ),
    (
        {
            "$type": "app.bsky.embed.external",
            "external": {"uri": "https://e.org", "title": "E", "description": ""},
        },
        {"link_uri": "https://e.org", "link_title": "E", "link_description": ""},
    ),
    (
        {"$type": "app.bsky.embed.record", "record": QUOTED},
        {"quoted_uri": "at://x/y/z", "quoted_cid": "bafy"},
    ),
]


def stored_embed(record: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """A record's embed after the wire and the columns, and what of the record was not known."""
    (post,) = Read(Commit(1, [Op(f"{wire.POST}/3a", record)]).frame()).posts
    return post["record"]["embed"], post["record"]["unknown_fields"]


@pytest.mark.parametrize("main", ["", "#main"])
@pytest.mark.parametrize(("embed", "expected"), EMBEDS)
def test_every_kind_of_embed_is_read(
    embed: dict[str, Any], expected: dict[str, Any], main: str
) -> None:
    kind = embed["$type"]
    found, unknown = stored_embed(wire.post(embed={**embed, "$type": kind + main}))
    for medium in found["media"] or ():
        del medium["aspect_ratio"]
    nothing = dict.fromkeys(found) | {"alt_texts": []}
    media_kind = None if kind == "app.bsky.embed.record" else kind
    assert found == {**nothing, "kind": kind, "media_kind": media_kind, **expected}
    assert unknown is None


@pytest.mark.parametrize("main", ["", "#main"])
@pytest.mark.parametrize(("media", "expected"), EMBEDS[:-1])
def test_a_record_with_media_keeps_both(
    media: dict[str, Any], expected: dict[str, Any], main: str
) -> None:
    embed = {
        "$type": f"app.bsky.embed.recordWithMedia{main}",
        "record": {"$type": f"app.bsky.embed.record{main}", "record": QUOTED},
        "media": {**media, "$type": media["$type"] + main},
    }
    found, unknown = stored_embed(wire.post(embed=embed))
    assert (found["kind"], found["media_kind"]) == (
        "app.bsky.embed.recordWithMedia",
        media["$type"],
    )
    assert (found["quoted_uri"], found["quoted_cid"]) == ("at://x/y/z", "bafy")
    for medium in found["media"] or ():
        del medium["aspect_ratio"]
    assert {name: found[name] for name in expected} == expected
    assert unknown is None


def test_what_is_odd_in_an_embed_costs_only_itself() -> None:
    images = [{**IMAGE, "alt": 5}, {"alt": "no file"}, 7, {**IMAGE, "aspectRatio": {"width": -1}}]
    found, unknown = stored_embed(
        wire.post(embed={"$type": "app.bsky.embed.images", "images": images})
    )
    assert [(medium["cid"] is None, medium["alt"]) for medium in found["media"]] == [
        (False, None),
        (True, "no file"),
        (True, None),
        (False, "one"),
    ]
    assert len(json.loads(unknown)["embed"]["images"]) == 4
    card = {"uri": "https://e.org", "title": 5}
    found, _ = stored_embed(wire.post(embed={"$type": "app.bsky.embed.external", "external": card}))
    assert (found["link_uri"], found["link_title"]) == ("https://e.org", None)


def test_main_names_what_the_name_alone_does() -> None:
    record = {
        **wire.post(
            labels={"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "nudity"}]},
            facets=[
                {
                    "$type": "app.bsky.richtext.facet#main",
                    "index": {"byteStart": 0, "byteEnd": 1},
                    "features": [{"$type": "com.example.shout#main"}],
                }
            ],
        ),
        "$type": f"{wire.POST}#main",
    }
    (post,) = Read(Commit(1, [Op(f"{wire.POST}/3a", record)]).frame()).posts
    assert post["record"]["py_type"] == wire.POST
    assert post["record"]["labels"] == ["nudity"]
    assert [facet["kind"] for facet in post["record"]["facets"]] == ["com.example.shout"]


def test_one_odd_facet_entity_or_label_does_not_cost_the_others() -> None:
    tag = {"$type": "app.bsky.richtext.facet#tag", "tag": "cats"}
    good = {"index": {"byteStart": 0, "byteEnd": 4}, "features": [tag]}
    entity = {"index": {"start": 0, "end": 3}, "type": "link", "value": "https://e.org"}
    record = wire.post(
        facets=[good, 5, {"index": {"byteStart": "0", "byteEnd": 4}, "features": [tag]}, good],
        entities=[entity, {"index": None}, entity],
        labels={"values": [{"val": "a"}, {"val": 5}, {"val": "b"}]},
    )
    (post,) = Read(Commit(1, [Op(f"{wire.POST}/3a", record)]).frame()).posts
    assert [facet["value"] for facet in post["record"]["facets"]] == ["cats", "cats"]
    assert len(post["record"]["entities"]) == 2
    assert post["record"]["labels"] == ["a", "b"]
    assert json.loads(post["record"]["unknown_fields"]).keys() == {"facets", "entities", "labels"}


class Encoded(Op):
    """An operation on a record that is there as bytes."""

    @property
    def cid(self) -> bytes:
        return wire.cid_of(self.block or b"")


@pytest.mark.parametrize("depth", [200, 300, 900])
def test_what_is_nested_deeply_is_kept(depth: int) -> None:
    shallow = wire.cbor(wire.post(deep=5, mood=1))
    deep = wire.cbor("deep") + b"\x81" * depth + wire.cbor("bottom")
    block = shallow.replace(wire.cbor("deep") + wire.cbor(5), deep)
    (post,) = Read(Commit(1, [Encoded(f"{wire.POST}/3a", block=block)]).frame()).posts
    kept = json.loads(post["record"]["unknown_fields"])
    assert kept["mood"] == 1
    told = kept["deep"]
    text = told["$json"] if isinstance(told, dict) else json.dumps(told)
    assert text == "[" * depth + '"bottom"' + "]" * depth


@pytest.mark.parametrize(
    ("action", "kept"), [("create", True), ("update", True), ("destroy", False)]
)
def test_what_was_done_to_a_post_is_told(action: str, kept: bool) -> None:
    read = Read(Commit(1, [Op(f"{wire.POST}/3a", wire.post(), action=action)]).frame())
    assert [post["action"] for post in read.posts] == [action] * kept
    assert read.reasons == ["unknown_action"] * (not kept)


KEYS_THAT_ARE_NONE = ["a/b", "../x", "..", ".", "", "a b", "new\nline", "x" * 100_000, "naïve"]


@pytest.mark.parametrize("action", ["create", "delete"])
@pytest.mark.parametrize("key", KEYS_THAT_ARE_NONE)
def test_a_record_key_that_is_none_is_quarantined(key: str, action: str) -> None:
    odd = Op(f"{wire.POST}/{key}", wire.post(), action=action)
    read = Read(Commit(1, [odd]).frame(), wire.create(2, "3a"))
    assert read.texts == ["hello"]
    assert read.deletions == []
    assert read.reasons == ["bad_record_key"]


@pytest.mark.parametrize(
    "did",
    ["did:plc:a\n", "did:plc:a b", "did:", "DID:plc:a", "did:plc:a/b", "did:plc:" + "a" * 3000],
)
def test_an_account_that_is_no_did_is_quarantined(did: str) -> None:
    profile = {"$type": "app.bsky.actor.profile", "labels": {"values": [{"val": "bot"}]}}
    read = Read(
        wire.create(1, "3a", did=did),
        Commit(2, [Op(f"{wire.POST}/3a", action="delete")], did=did).frame(),
        Commit(3, [Op("app.bsky.actor.profile/self", profile)], did=did).frame(),
        wire.account(4, False, "deleted", did=did),
    )
    assert (read.posts, read.deletions, read.labels) == ([], [], [])
    assert read.reasons == ["bad_commit", "bad_did", "bad_commit", "bad_did"]


def test_a_deletion_counts_whatever_its_revision() -> None:
    delete = Op(f"{wire.POST}/3a", action="delete")
    read = Read(
        *(
            Commit(n, [delete], rev=rev).frame()
            for n, rev in enumerate(["3x", 5, "3jzfcijpj2z2a"], 1)
        )
    )
    assert [row["rev"] for row in read.deletions] == [None, None, "3jzfcijpj2z2a"]
    assert [row["unknown_fields"] for row in read.deletions] == ['{"rev":"3x"}', '{"rev":5}', None]


def test_what_a_record_has_beyond_the_contract_is_kept() -> None:
    blob = wire.cid_of(b"blob")
    record = wire.post(
        embed={"$type": "com.example.embed.poll", "options": ["a", "b"]},
        via="a client",
        ref=Link(blob),
        raw=b"\x00\xff",
        langs=["en", 5],
    )
    (post,) = Read(Commit(1, [Op(f"{wire.POST}/3a", record)]).frame()).posts
    assert post["record"]["embed"]["kind"] == "com.example.embed.poll"
    assert post["record"]["langs"] is None
    # libipld gives a link's CID without telling that it was one
    assert json.loads(post["record"]["unknown_fields"]) == {
        "embed": {"$type": "com.example.embed.poll", "options": ["a", "b"]},
        "langs": ["en", 5],
        "raw": {"$bytes": "AP8"},
        "ref": {"$link": libipld.encode_cid(blob)},
        "via": "a client",
    }


KEYS = [
    "$type",
    "uri",
    "cid",
    "index",
    "features",
    "values",
    "val",
    "record",
    "media",
    "byteStart",
    "byteEnd",
    "images",
    "items",
    "alt",
    "external",
    "title",
    "parent",
    "root",
    "start",
    "end",
    "type",
    "value",
    "tag",
    "did",
]
KINDS = [
    "app.bsky.embed.images",
    "app.bsky.embed.gallery",
    "app.bsky.embed.video",
    "app.bsky.embed.external",
    "app.bsky.embed.record",
    "app.bsky.embed.recordWithMedia",
    "app.bsky.richtext.facet#tag",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.text(max_size=5)
    | st.sampled_from(KINDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=15,
)
OPTIONAL = ("embed", "entities", "facets", "labels", "langs", "reply", "tags", "other")


@settings(max_examples=300, deadline=None)
@given(odd=st.dictionaries(st.sampled_from(OPTIONAL), JSON, min_size=1), text=st.text())
def test_nothing_in_a_record_can_cost_the_post(odd: dict[str, Any], text: str) -> None:
    good = wire.create(2, "3good", "good")
    ops = [Op(f"{wire.POST}/3odd", {**wire.post(text), **odd})]
    read = Read(Commit(1, ops).frame(), good)
    assert read.texts == [text, "good"]
    assert read.quarantined == []
    unknown = json.loads(read.posts[0]["record"]["unknown_fields"] or "{}")
    for name, value in odd.items():  # what is not in its column as it came is there
        column = read.posts[0]["record"].get({"reply": "reply_parent"}.get(name, name))
        assert column is not None or value is None or as_it_came(unknown[name]) == value


def as_it_came(told: Any) -> Any:
    """A field of `unknown_fields`, also where it is text because no reader of JSON takes it."""
    return json.loads(told["$json"]) if isinstance(told, dict) and "$json" in told else told


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"$type": wire.POST, "createdAt": wire.TIME}, "bad_field"),
        ({"$type": wire.POST, "createdAt": wire.TIME, "text": 5}, "bad_field"),
        ({"$type": wire.POST, "text": "no time"}, "bad_field"),
        ({"$type": wire.POST, "text": "when", "createdAt": 1}, "bad_field"),
        ({"$type": "app.bsky.feed.like", "text": "", "createdAt": wire.TIME}, "wrong_type"),
        ({"text": "untyped", "createdAt": wire.TIME}, "wrong_type"),
        (["not", "a", "map"], "undecodable"),
    ],
)
def test_what_is_not_a_post_is_quarantined(record: Any, reason: str) -> None:
    frame = Commit(3, [Op(f"{wire.POST}/3bad", record), Op(f"{wire.POST}/3ok", wire.post())])
    read = Read(frame.frame())
    assert read.texts == ["hello"]
    (row,) = read.quarantined
    assert (row["source"], row["origin"]) == ("raw_firehose_posts", "relay.test")
    assert (row["position"], row["reason"]) == ("3", reason)
    assert row["content"] == wire.cbor(record)
    assert row["detail"].endswith(f": at://{wire.DID}/{wire.POST}/3bad")


@pytest.mark.parametrize("created_at", ["1970-01-01T00:00:00Z", "2099-12-31", "yesterday", ""])
def test_what_an_author_says_of_the_time_is_kept_verbatim(created_at: str) -> None:
    record = {**wire.post(), "createdAt": created_at}
    (post,) = Read(Commit(1, [Op(f"{wire.POST}/3a", record)]).frame()).posts
    assert post["record"]["created_at"] == created_at


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-03-08T18:00:00Z", datetime(2026, 3, 8, 18, tzinfo=UTC)),
        ("2026-03-08T19:00:00.123456789+01:00", datetime(2026, 3, 8, 18, 0, 0, 123456, UTC)),
        ("soon", None),
        (None, None),
        (17, None),
    ],
)
def test_a_commit_time_that_cannot_be_read_costs_nothing(time: Any, expected: Any) -> None:
    read = Read(wire.create(1, "3a"), wire.create(2, "3b", time=time))
    assert [post["commit_time"] for post in read.posts] == [
        datetime(2026, 3, 8, 18, tzinfo=UTC),
        expected,
    ]


def test_a_commit_with_several_operations_gives_each() -> None:
    read = Read(
        Commit(
            9,
            [
                Op(f"{wire.POST}/3a", wire.post("one")),
                Op("app.bsky.feed.like/3l", {"$type": "app.bsky.feed.like"}),
                Op("com.example.blog/3x", {"$type": "com.example.blog"}),
                Op(f"{wire.POST}/3b", wire.post("two"), action="update"),
                Op(f"{wire.POST}/3c", action="delete"),
                Op("app.bsky.feed.like/3m", action="delete"),
            ],
        ).frame()
    )
    assert read.texts == ["one", "two"]
    assert [row["uri"] for row in read.deletions] == [f"at://{wire.DID}/{wire.POST}/3c"]
    assert read.quarantined == []
    assert dict(read.events.kinds) == {"commit": 1}


def test_one_odd_operation_does_not_cost_the_others() -> None:
    lying = Op(f"{wire.POST}/3lie", wire.post("said"), block=wire.cbor(wire.post("unsaid")))
    broken = Op(f"{wire.POST}/3cut", wire.post("whole"), block=b"")
    frame = Commit(
        4,
        [Op(f"{wire.POST}/3a", wire.post("first")), lying, broken, Op("x", wire.post())],
        fields={},
    )
    good = frame.frame()
    read = Read(good, wire.create(5, "3z", "last"))
    assert read.texts == ["first", "last"]
    assert read.reasons == ["cid_mismatch", "cid_mismatch"]
    assert [row["content"] for row in read.quarantined] == [good, b""]  # a frame once


def test_of_many_odd_operations_the_frame_is_kept_once_and_of_each_its_block() -> None:
    ops = [
        Op(f"{wire.POST}/3{n:02}", wire.post(f"said {n}"), block=wire.cbor([n] * 1000))
        for n in range(100)
    ]
    frame = Commit(4, [*ops, Op(f"{wire.POST}/3good", wire.post("good"))]).frame()
    read = Read(frame)
    assert read.texts == ["good"]
    assert read.reasons == ["cid_mismatch"] * 100
    assert [row["content"] for row in read.quarantined] == [frame] + [op.block for op in ops[1:]]


def test_a_block_that_many_operations_name_is_kept_once() -> None:
    lie = wire.cbor([1] * 1000)
    ops = [Op(f"{wire.POST}/3{n:02}", wire.post("said"), block=lie) for n in range(100)]
    frame = Commit(4, ops).frame()
    assert [row["content"] for row in Read(frame).quarantined] == [frame, lie]


def test_of_many_odd_labels_the_frame_is_kept_once() -> None:
    frame = wire.message("#labels", {"seq": 1, "labels": [{"src": n} for n in range(100)]})
    read = Read(frame, reader=LabelReader("labeler.test"))
    assert [row["content"] for row in read.quarantined] == [frame] + [b""] * 99


def test_an_operation_without_its_block_or_path_is_quarantined() -> None:
    ops = [Op(f"{wire.POST}/3a", wire.post("here")), Op(f"{wire.POST}/3b", wire.post("gone"))]
    blocks = Commit(1, ops[:1]).blocks()
    encoded: list[Any] = [op.encoded() for op in ops]
    fields = {"blocks": blocks, "ops": [*encoded, {"action": "create"}, 5]}
    read = Read(Commit(1, ops, fields=fields).frame())
    assert read.texts == ["here"]
    assert read.reasons == ["missing_block", "undecodable", "undecodable"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"blocks": b""}, "no_blocks"),
        ({"blocks": None}, "no_blocks"),
        ({"blocks": b"\x05abc"}, "bad_car"),
        ({"blocks": b"\xff" * 20}, "bad_car"),
        ({"repo": "alice.test"}, "bad_commit"),
        ({"repo": 5}, "bad_commit"),
        ({"rev": 5}, "bad_commit"),
        ({"ops": 5}, "undecodable"),
        ({"seq": "7"}, "bad_seq"),
        ({"seq": -7}, "bad_seq"),
        ({"seq": 2**64 - 1}, "bad_seq"),
        ({"ops": [], "blocks": b"", "tooBig": True}, "too_big"),
        (
            {"ops": [{"action": "create", "path": f"{wire.POST}/3a", "cid": b"\x01\x71"}]},
            "bad_cid",
        ),
    ],
)
def test_an_odd_commit_is_quarantined_and_the_stream_goes_on(
    fields: dict[str, Any], reason: str
) -> None:
    odd = Commit(7, [Op(f"{wire.POST}/3a", wire.post("odd"))], fields=fields).frame()
    read = Read(wire.create(6, "3y", "before"), odd, wire.create(8, "3z", "after"))
    assert read.texts == ["before", "after"]
    (row,) = read.quarantined
    assert (row["reason"], row["content"]) == (reason, odd)
    has_number = not isinstance(fields.get("seq", 7), str) and 0 < fields.get("seq", 7) < 2**63
    assert row["position"] == ("7" if has_number else "after 6")
    assert read.events.seqs == [6, 7 if has_number else -1, 8]


@settings(max_examples=200, deadline=None)
@given(garbage=st.binary(max_size=60))
def test_garbage_is_quarantined_as_it_came(garbage: bytes) -> None:
    read = Read(garbage, wire.create(1, "3a"))
    assert read.texts == ["hello"]
    assert [row["content"] for row in read.quarantined] == [garbage]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_frame_that_was_cut_or_bent_never_gives_another_post(data: st.DataObject) -> None:
    frame = wire.create(7, "3a", "the truth")
    cut = data.draw(st.integers(0, len(frame) - 1))
    bent = bytearray(frame)
    bent[cut] ^= data.draw(st.integers(1, 255))
    for changed in (frame[:cut], bytes(bent)):
        try:
            read = Read(changed)
        except StreamError:
            continue
        assert read.texts in ([], ["the truth"])


def test_a_frame_too_deep_to_read_is_quarantined() -> None:
    deep = wire.cbor({"op": 1, "t": "#commit"}) + b"\x81" * 100_000 + b"\x01"
    assert Read(deep).reasons == ["undecodable"]


@pytest.mark.parametrize("filler", range(120))
def test_a_block_is_found_whatever_its_size_and_whatever_stands_before_it(filler: int) -> None:
    texts = ["x" * filler, "y" * (filler + 120), "z" * 20_000]
    ops = [Op(f"{wire.POST}/3{n}", wire.post(text)) for n, text in enumerate(texts)]
    for before in (b"\xff", b"\x80" * 3, b"\x00"):
        blocks = [(wire.cid_of(before), before)]
        for op in ops:
            blocks += [(op.cid, wire.cbor(op.record)), (wire.cid_of(before), before)]
        fields = {"blocks": wire.car(wire.cid_of(before), blocks)}
        assert Read(Commit(1, ops, fields=fields).frame()).texts == texts


def test_accounts_that_go_and_come_are_noted() -> None:
    read = Read(
        wire.account(1, False, "takendown"),
        wire.account(2, False, "deactivated"),
        wire.account(3, False),
        wire.account(4, False, "vanished"),
        wire.account(5, True),
        wire.message("#tombstone", {"seq": 6, "did": "did:web:gone.test", "time": wire.TIME}),
        wire.message("#identity", {"seq": 7, "did": wire.DID, "time": wire.TIME}),
        wire.message("#sync", {"seq": 8, "did": wire.DID, "time": wire.TIME, "blocks": b""}),
    )
    assert [(row["seq"], row["status"]) for row in read.deletions] == [
        (1, "takendown"),
        (2, "deactivated"),
        (3, "deactivated"),
        (4, "deactivated"),
        (5, "active"),
        (6, "deleted"),
    ]
    assert {row["kind"] for row in read.deletions} == {"account"}
    assert [row["unknown_fields"] for row in read.deletions if row["unknown_fields"]] == [
        '{"status":"vanished"}'
    ]
    assert read.events.kinds == {"account": 5, "tombstone": 1, "identity": 1, "sync": 1}
    assert read.quarantined == []


def test_did_web_authors_are_authors() -> None:
    (post,) = Read(wire.create(1, "3a", did="did:web:example.org%3A8080")).posts
    assert post["uri"] == f"at://did:web:example.org%3A8080/{wire.POST}/3a"


def test_a_profile_gives_the_labels_that_the_account_puts_on_itself() -> None:
    values = [{"val": "bot"}, {"val": "!no-unauthenticated"}]
    labels = {"$type": "com.atproto.label.defs#selfLabels", "values": values}
    record = {"$type": "app.bsky.actor.profile", "labels": labels}
    op = Op("app.bsky.actor.profile/self", record, action="update")
    read = Read(Commit(3, [op]).frame())
    assert [row["val"] for row in read.labels] == ["bot", "!no-unauthenticated"]
    label = read.labels[0]
    assert label["src"] == wire.DID
    assert label["uri"] == f"at://{wire.DID}/app.bsky.actor.profile/self"
    assert label["cid"] == libipld.encode_cid(op.cid)
    assert (label["neg"], label["seq"], label["origin"]) == (False, 3, "relay.test")
    assert label["cts"] == datetime(2026, 3, 8, 18, tzinfo=UTC)


def test_an_event_of_an_unknown_kind_is_quarantined_in_its_place() -> None:
    read = Read(wire.message("#novelty", {"seq": 5, "time": wire.TIME}))
    assert read.reasons == ["unknown_event"]
    assert read.events.seqs == [5]
    assert read.events.kinds == {"unknown": 1}


def test_an_error_frame_ends_the_stream() -> None:
    with pytest.raises(StreamError, match="ConsumerTooSlow: catch up") as caught:
        Read(wire.error("ConsumerTooSlow", "catch up"))
    assert caught.value.name == "ConsumerTooSlow"


def label(**fields: Any) -> dict[str, Any]:
    return {"src": "did:plc:mod", "uri": wire.DID, "val": "spam", "cts": wire.TIME, **fields}


def test_labels_are_read_one_by_one() -> None:
    good = label(neg=True, exp="2027-01-01T00:00:00Z", cid="bafy", sig=b"x", ver=1)
    body = {"seq": 8, "labels": [label(), label(cts="never"), label(neg="yes"), 5, good]}
    read = Read(wire.message("#labels", body), reader=LabelReader("mod.test"))
    assert [(row["neg"], row["cid"], row["exp"]) for row in read.labels] == [
        (False, None, None),
        (False, None, None),
        (True, "bafy", datetime(2027, 1, 1, tzinfo=UTC)),
    ]
    assert [row["cts"] is None for row in read.labels] == [False, True, False]
    assert [row["unknown_fields"] for row in read.labels] == [None, '{"cts":"never"}', None]
    assert read.reasons == ["bad_field", "not_an_object"]
    assert {row["source"] for row in read.quarantined} == {"raw_moderation_labels"}


def test_a_record_from_json_is_read_the_same_way() -> None:
    with pytest.raises(Unreadable, match="text is missing"):
        read_post_record({"$type": wire.POST, "createdAt": wire.TIME})
    with pytest.raises(Unreadable, match="not Unicode"):
        read_post_record(wire.post("\ud800"))
    spoiled = read_post_record(wire.post(langs=["\ud800"], tags=["fine"]))
    assert (spoiled["langs"], spoiled["tags"]) == (None, ["fine"])
    assert as_it_came(json.loads(spoiled["unknown_fields"])["langs"]) == ["\ud800"]
    assert tuple(read_post_record(wire.post(langs=["en"])).values()) == post_values(
        wire.post(langs=["en"])
    )


def captured_frames() -> list[bytes]:
    return [path.read_bytes() for path in sorted((REAL_DATA / "firehose").glob("*/frame_*.bin"))]


def posts_by_the_sdk(frame: bytes) -> Iterator[tuple[str, str, Any]]:
    """URI, CID and record of the posts in a frame, as the atproto SDK reads them."""
    message = parse_subscribe_repos_message(MessageFrame.from_bytes(frame))
    if not isinstance(message, models.ComAtprotoSyncSubscribeRepos.Commit):
        return
    blocks = CAR.from_bytes(message.blocks).blocks
    for op in message.ops:
        if op.action == "create" and op.path.startswith(f"{wire.POST}/"):
            record = models.get_or_create(blocks.get(op.cid), strict=False)
            yield f"at://{message.repo}/{op.path}", op.cid.encode(), record


@pytest.mark.real_data
@needs_real_data
def test_captured_frames_give_the_posts_that_the_sdk_reads_in_them() -> None:
    frames = captured_frames()
    read = Read(*frames)
    expected = [post for frame in frames for post in posts_by_the_sdk(frame)]
    assert expected
    assert read.quarantined == []
    assert [post["uri"] for post in read.posts] == [uri for uri, _, _ in expected]
    for post, (_, cid, record) in zip(read.posts, expected, strict=True):
        assert post["cid"] == cid
        assert_same_record(post["record"], record)
    assert read.events.kinds["commit"] + read.events.kinds["identity"] == len(frames)


def assert_same_record(ours: dict[str, Any], theirs: Any) -> None:
    assert ours["text"] == theirs.text
    assert ours["created_at"] == theirs.created_at
    assert ours["langs"] == theirs.langs
    assert ours["tags"] == theirs.tags
    assert ours["reply_parent"] == (theirs.reply.parent.uri if theirs.reply else None)
    assert ours["reply_root"] == (theirs.reply.root.uri if theirs.reply else None)
    assert ours["labels"] == (
        [value.val for value in theirs.labels.values] if theirs.labels else None
    )
    facets = [(f, feature) for f in theirs.facets or () for feature in f.features]
    assert [(f["byte_start"], f["byte_end"], f["kind"]) for f in ours["facets"] or ()] == [
        (f.index.byte_start, f.index.byte_end, feature.py_type) for f, feature in facets
    ]
    assert (ours["embed"] is None) == (theirs.embed is None)
    if theirs.embed is not None:
        assert_same_embed(ours["embed"], theirs.embed)


def assert_same_embed(ours: dict[str, Any], theirs: Any) -> None:
    assert ours["kind"] == theirs.py_type
    media = getattr(theirs, "media", theirs)
    if images := getattr(media, "images", None):
        assert ours["alt_texts"] == [image.alt for image in images]
    if external := getattr(media, "external", None):
        assert (ours["link_uri"], ours["link_title"]) == (external.uri, external.title)
    if quoted := getattr(theirs, "record", None):
        quoted = getattr(quoted, "record", quoted)
        assert (ours["quoted_uri"], ours["quoted_cid"]) == (quoted.uri, quoted.cid)


@pytest.mark.real_data
@needs_real_data
def test_every_post_in_captured_repositories_is_read_as_the_sdk_reads_it() -> None:
    posts = [
        block
        for path in sorted((REAL_DATA / "car").glob("*/*.car"))
        for block in CAR.from_bytes(path.read_bytes()).blocks.values()
        if isinstance(block, dict) and block.get("$type") == wire.POST
    ]
    assert len(posts) > 500
    for block in posts:
        record = models.get_or_create(dict(block), strict=False)
        assert_same_record(read_post_record(block), record)
