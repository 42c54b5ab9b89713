"""Posts' records by column: what is as usual becomes the same row, and nothing else is taken."""

import hashlib
import resource
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from libipld import decode_dag_cbor, encode_cid, encode_dag_cbor

from bsky_assets.bluesky import compiled as compiled_readers
from bsky_assets.bluesky import post_columns
from bsky_assets.bluesky.archive.block_rows import Again, read_rows
from bsky_assets.bluesky.archive.blocks import DELETE
from bsky_assets.bluesky.archive.ingest import ingest_day
from bsky_assets.bluesky.archive.taking import Taken, take
from bsky_assets.bluesky.cars import CID_PREFIX, blocks_by_cid
from bsky_assets.bluesky.kinds.posts import KIND as POSTS
from bsky_assets.bluesky.post_columns import read_names, read_posts
from bsky_assets.bluesky.records import PROBLEMS, check_post, post_values
from bsky_assets.bluesky.rows import Rows
from bsky_assets.bluesky.syntax import is_did, is_record_key, is_tid
from bsky_assets.contracts import Quarantined, RawFirehosePost, arrow_schema
from bsky_assets_tests.bluesky.archive.serving import DAY, archive_of, reachable, world_of
from bsky_sandbox.archive_segments import Block
from bsky_sandbox.server import history_of

compiled = pytest.mark.skipif(
    not compiled_readers.are_compiled(), reason="the package was installed without a C++ compiler"
)

LINK = CID_PREFIX + bytes(range(32))
FILE = b"\x01\x55\x12\x20" + bytes(32)
BLOB = {"$type": "blob", "ref": FILE, "mimeType": "image/jpeg", "size": 12}
URI = "at://did:plc:a/app.bsky.feed.post/3k"
SHAPE = {"width": 3, "height": 2**40}
REF = {"uri": URI, "cid": encode_cid(LINK)}
IMAGES = {"$type": "app.bsky.embed.images", "images": [{"image": BLOB, "alt": ""}]}
GALLERY = {
    "$type": "app.bsky.embed.gallery",
    "items": [{"image": BLOB, "alt": "zwei", "aspectRatio": SHAPE}, {"image": BLOB}],
}
OLD_IMAGE = {
    "$type": "app.bsky.embed.images",
    "images": [{"image": {"cid": "bafy", "mimeType": "image/png"}, "alt": "ein Bild"}],
}
VIDEO = {"$type": "app.bsky.embed.video", "video": BLOB, "alt": "Film", "aspectRatio": SHAPE}
EXTERNAL = {
    "$type": "app.bsky.embed.external",
    "external": {"uri": "https://a.example", "title": "", "description": "d", "thumb": BLOB},
}
QUOTE = {"$type": "app.bsky.embed.record", "record": REF}
FACETS = [
    {
        "index": {"byteStart": 0, "byteEnd": 4},
        "features": [
            {"$type": "app.bsky.richtext.facet#tag", "tag": "näh"},
            {"$type": "app.bsky.richtext.facet#link", "uri": "https://a.example"},
        ],
    },
    {"index": {"byteStart": 5, "byteEnd": 2**63 - 1}, "features": []},
    {
        "$type": "app.bsky.richtext.facet",
        "index": {"byteStart": 5, "byteEnd": 9, "more": [1]},
        "features": [{"$type": "app.bsky.richtext.facet#mention", "did": "did:plc:b"}],
    },
]


def post(**fields: Any) -> dict[str, Any]:
    given = {"$type": "app.bsky.feed.post", "text": "hé 🙂", "createdAt": "2026-03-08T12:00:00Z"}
    return given | fields


USUAL = [
    post(),
    post(text=""),
    post(langs=[], tags=["a", ""], facets=[]),
    post(langs=["en", "de"], facets=FACETS),
    post(reply={"parent": REF, "root": {**REF, "more": None}, "$type": "x"}),
    post(labels={"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "porn"}]}),
    post(labels={"values": []}),
    *(post(embed=embed) for embed in (IMAGES, GALLERY, OLD_IMAGE, VIDEO, EXTERNAL, QUOTE)),
    post(embed={"$type": "app.bsky.embed.images", "images": []}),
    post(via="a client", bridgyOriginalText='<p>é \x00\x1f\x7f"\\\b\f\n\r\t</p>', zz="", ab="b"),
    post(embed={"$type": "app.bsky.embed.video", "video": BLOB, "captions": [{"lang": "en"}]}),
    *(
        post(
            embed={
                "$type": "app.bsky.embed.recordWithMedia",
                "record": {"$type": "app.bsky.embed.record", "record": REF},
                "media": media,
            }
        )
        for media in (IMAGES, GALLERY, VIDEO, EXTERNAL)
    ),
]


def one_by_one(record: bytes) -> list[dict[str, Any]]:
    """The row that `records` makes of a record, or nothing."""
    try:
        decoded = decode_dag_cbor(record)
        check_post(decoded)
        values = post_values(decoded)
        cid = CID_PREFIX + hashlib.sha256(record).digest()
        put = ("did:plc:a", "p/k", cid, "", "create", 1, None, 1, None)
        table = POSTS.table("host", [(put, values)])
    except (*PROBLEMS, pa.ArrowException, OverflowError):
        return []
    return table.select(["cid", "record"]).to_pylist()


def by_column(records: Sequence[bytes]) -> list[list[dict[str, Any]] | None]:
    """The row of each record; None of those that are left to be read one by one."""
    read = read_posts(pa.array(records, pa.binary()))
    read.record.validate(full=True)
    read.cid.validate(full=True)
    assert read.record.type == arrow_schema(RawFirehosePost).field("record").type
    rows = iter(zip(read.cid.to_pylist(), read.record.to_pylist(), strict=True))
    return [
        [dict(zip(("cid", "record"), next(rows), strict=True))] if usual else None
        for usual in read.is_usual.to_pylist()
    ]


def cbor(value: object) -> bytes:
    return bytes(encode_dag_cbor(value))


@compiled
def test_what_is_as_usual_is_read_by_column_and_becomes_the_same_row() -> None:
    records = [cbor(record) for record in USUAL]
    read = by_column(records)
    assert None not in read
    assert read == [one_by_one(record) for record in records]


NAMES = [
    *("$type", "text", "createdAt", "embed", "facets", "labels", "langs", "reply", "tags", "via"),
    *("entities", "images", "image", "alt", "aspectRatio", "video", "external", "record", "media"),
    *("uri", "cid", "ref", "mimeType", "index", "features", "byteStart", "width", "val", "values"),
]
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.binary(max_size=40),
    st.sampled_from([LINK, FILE, REF, BLOB, IMAGES, VIDEO, QUOTE, FACETS, SHAPE, URI]),
    st.sampled_from(["app.bsky.embed.images", "app.bsky.embed.images#main", "app.bsky.feed.post"]),
)
anything = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to everything that is in `value`."""
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [path, *(place for key, inner in items for place in places(inner, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    first, *rest = path
    copy = dict(value) if isinstance(value, Mapping) else list(value)
    if new is ... and not rest:
        del copy[first]
    else:
        copy[first] = changed(value[first], tuple(rest), new)
    return copy


@st.composite
def odd_posts(draw: st.DrawFn) -> bytes:
    """A post in which something was replaced, left out or added, or of which bytes are damaged."""
    record = draw(st.sampled_from(USUAL))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from(places(record)))
        record = changed(record, place, draw(st.just(...) | anything) if place else record)
    if isinstance(record, dict) and draw(st.booleans()):
        record = record | draw(st.dictionaries(st.sampled_from(NAMES), anything, max_size=1))
    content = bytearray(cbor(record))
    for _ in range(draw(st.integers(0, 2))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    end = draw(st.sampled_from([len(content)] * 6 + [len(content) // 2]))
    return bytes(content[:end]) + draw(st.sampled_from([b""] * 6 + [b"\0"]))


@compiled
@settings(max_examples=300)
@given(st.lists(odd_posts(), max_size=4))
def test_whatever_a_record_is_it_is_left_alone_or_becomes_the_same_row(
    records: list[bytes],
) -> None:
    for record, row in zip(records, by_column(records), strict=True):
        assert row is None or row == one_by_one(record)


def text(value: bytes) -> bytes:
    return (
        bytes([0x60 | len(value)]) + value
        if len(value) < 24
        else b"\x78" + bytes([len(value)]) + value
    )


def entries(*pairs: tuple[bytes, bytes]) -> bytes:
    """A map, whose keys stand in the order in which they are given."""
    return bytes([0xA0 | len(pairs)]) + b"".join(text(key) + value for key, value in pairs)


TEXT = (b"text", text(b"a"))
TYPE = (b"$type", text(b"app.bsky.feed.post"))
MADE = (b"createdAt", text(b"2026"))
MANY = b"\xff\xff\xff\xff"
DEEP = 100_000


def with_tags(value: bytes) -> bytes:
    return entries((b"tags", value), TEXT, TYPE, MADE)


def with_more(value: bytes) -> bytes:
    """Where anything may be: beside the labels of a post."""
    labels = entries((b"more", value), (b"values", b"\x80"))
    return entries(TEXT, TYPE, (b"labels", labels), MADE)


ODD = {
    "nothing": b"",
    "bytes after it": entries(TEXT, TYPE, MADE) + b"\0",
    "a key too early": entries(TYPE, TEXT, MADE),
    "a key twice": entries(TEXT, TEXT, TYPE, MADE),
    "four billion fields": b"\xba" + MANY + entries(TEXT, TYPE, MADE)[1:],
    "four billion tags": with_tags(b"\x9a" + MANY),
    "2**64 - 1 tags": with_tags(b"\x9b" + MANY + MANY),
    "a text of four billion bytes": with_tags(b"\x81\x7a" + MANY),
    "a text of 2**64 - 1 bytes": with_tags(b"\x81\x7b" + MANY + MANY),
    "lists in lists": with_more(b"\x81" * DEEP + b"\x80"),
    "maps in maps": with_more(b"\xa1\x61a" * DEEP + b"\xa0"),
    "links in links": with_more(b"\xd8\x2a" * DEEP + b"\x40"),
    "a list without an end": with_tags(b"\x9f\xff"),
    "a text in parts": with_tags(b"\x81\x7f\x61a\xff"),
    "a length too long": with_tags(b"\x81\x78\x01a"),
    "a number too long": with_more(b"\x18\x01"),
    "a number of 2**63": with_more(b"\x1b\x80" + bytes(7)),
    "a float": with_more(b"\xfb" + bytes(8)),
    "undefined": with_more(b"\xf7"),
    "another tag": with_more(b"\xc1\x00"),
    "a link to nothing": with_more(b"\xd8\x2a\x58\x25" + bytes(37)),
    "a text that is cut off": with_tags(b"\x81\x61\xc3"),
    "an overlong character": with_tags(b"\x81\x62\xc0\x80"),
    "a surrogate": with_tags(b"\x81\x63\xed\xa0\x80"),
    "a character beyond the last": with_tags(b"\x81\x64\xf4\x90\x80\x80"),
    "no text": entries(TYPE, MADE),
    "of another type": entries(TEXT, (b"$type", text(b"app.bsky.feed.like")), MADE),
    "a field that is not known": entries((b"via", b"\x80"), TEXT, TYPE, MADE),
    "entities that are text": entries(TEXT, TYPE, (b"entities", text(b"x")), MADE),
    "a field that is null": entries((b"tags", b"\xf6"), TEXT, TYPE, MADE),
    "no map": b"\x81\x01",
    "more than a megabyte": with_tags(b"\x9a\x00\x10\x00\x00" + b"\x60" * 2**20),
}


@compiled
@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_or_hostile_is_left_to_be_read_one_by_one(name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    good = entries(TEXT, TYPE, MADE)
    assert by_column([good, ODD[name], good]) == [one_by_one(good), None, one_by_one(good)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@compiled
@pytest.mark.parametrize(
    "value", [b"\x18\x18", b"\x20", b"\xf5", b"\x43abc", b"\xd8\x2a\x58\x25\x00" + LINK, b"\xa0"]
)
def test_what_is_beside_the_fields_may_be_anything_that_is_canonical(value: bytes) -> None:
    record = with_more(value)
    assert by_column([record]) == [one_by_one(record)] != [[]]


@compiled
def test_a_record_that_is_cut_off_anywhere_is_left_alone() -> None:
    for record in map(cbor, USUAL):
        cut = [record[:end] for end in range(len(record))]
        assert by_column(cut) == [None] * len(record)


@compiled
def test_records_in_the_middle_of_others_are_read() -> None:
    records = [cbor(record) for record in USUAL]
    whole = read_posts(pa.array(records, pa.binary()))
    part = read_posts(pa.array(records, pa.binary()).slice(3, 5))
    assert part.record.equals(whole.record.slice(3, 5))
    assert read_posts(pa.array([], pa.binary())).record.to_pylist() == []


@compiled
@pytest.mark.parametrize("ends", [[0, 9], [5, 2], [-1, 2], [0, -1]])
def test_offsets_that_cannot_be_are_refused(ends: list[int]) -> None:
    module: Any = compiled_readers.compiled("_post_columns")
    offsets = pa.array(ends, pa.int32()).buffers()[1]
    with pytest.raises(ValueError):
        module.read(offsets, b"abcd", 0, 1)
    for first, count in ((0, 2**40), (2**40, 1), (0, -1), (-1, 1)):
        with pytest.raises(ValueError):
            module.read(pa.array([0, 4], pa.int32()).buffers()[1], b"abcd", first, count)


@compiled
@given(st.binary(max_size=300), st.booleans())
@example(bytes(55), True)
@example(bytes(56), True)
@example(bytes(64), True)
def test_digests_are_those_of_the_standard_library(content: bytes, by_instructions: bool) -> None:
    module: Any = compiled_readers.compiled("_post_columns")
    assert module.sha256(content, by_instructions) == hashlib.sha256(content).digest()


names = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["did:plc:a", "did:web:a.example%3A80", "did:a::", "did::a", "did:a:", "did:a:%"]
    ),
    st.from_regex(r"\Adid:[a-zé]{1,2}:[a-z:%. ]{0,3}\Z"),
    st.sampled_from([".", "..", "...", "~:", "k" * 512, "k" * 513, "did:plc:" + "a" * 2_048]),
    st.sampled_from(["2" * 13, "j" + "z" * 12, "k" + "z" * 12, "2" * 12 + "é", "2" * 12 + "1"]),
)


@compiled
@settings(max_examples=300)
@given(st.lists(st.tuples(names, names, names), max_size=5), st.integers(0, 2))
@example([("did:plc:a", "k", "3" * 13)], 0)
def test_what_a_post_is_named_is_judged_as_by_the_code_that_reads_one_by_one(
    told: list[tuple[str, str, str]], left_out: int
) -> None:
    columns = [pa.array([row[at] for row in told], pa.string()) for at in range(3)]
    columns = [column.slice(min(left_out, len(told))) for column in columns]
    found = [read_names(*columns)]
    with pytest.MonkeyPatch.context() as patched:
        without_reader(patched)
        found.append(read_names(*columns))
    for each in found:
        assert list(zip(each.is_named.to_pylist(), each.uri.to_pylist(), strict=True)) == [
            (
                is_did(did) and is_record_key(key) and is_tid(rev),
                f"at://{did}/app.bsky.feed.post/{key}",
            )
            for did, key, rev in told[left_out:]
        ]


def without_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post_columns, "compiled", lambda _: None)


def taken(rows: pa.Table) -> Taken:
    return take(rows, "host", datetime(2026, 3, 9, tzinfo=UTC), ZoneInfo("America/New_York"))


def in_order(found: Taken) -> Taken:
    """The same with rows in an order: it has no meaning."""
    order = {Quarantined: "position"}
    tables = {
        row: table.sort_by(order.get(row, "seq")).combine_chunks() if table.num_rows else table
        for row, table in found.tables.items()
    }
    return replace(found, tables=tables)


def gathered(records: Sequence[bytes]) -> list[Any]:
    """What becomes of records that came by the stream: tables, and how many rows there are."""
    rows = Rows("host", RawFirehosePost.asset)
    for seq, record in enumerate(records, 1):
        cid = CID_PREFIX + hashlib.sha256(record).digest()
        did, path, time = "did:plc:a", f"app.bsky.feed.post/{seq}", "2026-03-08T12:00:00Z"
        put = (did, path, cid, "3" * 13, "create", seq, time, 1, record)
        rows.puts[POSTS].append(put)
    tables = rows.tables()
    numbers = [put[5] for put in rows.puts[POSTS]]
    assert numbers == tables[RawFirehosePost]["seq"].to_pylist()
    return [{row: table.to_pylist() for row, table in tables.items()}, rows.counts()]


@compiled
@settings(max_examples=100)
@given(st.lists(odd_posts(), max_size=6))
@example([cbor(USUAL[0]), b"\xa0", cbor(USUAL[1]), cbor(post(tags="none")), cbor(USUAL[2])])
def test_the_rows_of_the_stream_are_the_same_with_and_without_the_reader(
    records: list[bytes],
) -> None:
    with_it = gathered(records)
    with pytest.MonkeyPatch.context() as patched:
        without_reader(patched)
        assert gathered(records) == with_it


@pytest.fixture(scope="module")
def archived() -> pa.Table:
    """A small world's archive, with records that are odd or none."""
    rows = list(history_of(world_of(4_000)).rows())
    posts = [at for at, row in enumerate(rows) if row.collection == "app.bsky.feed.post"]
    content = [*ODD.values(), *map(cbor, USUAL), b"\xa0", b""]
    for at, payload in zip(posts[5::7], content, strict=False):
        rows[at] = replace(rows[at], payload=payload)
    rows[posts[1]] = replace(rows[posts[1]], seq=2**63)
    rows[posts[2]] = replace(rows[posts[2]], rkey="no key")
    gone = [at for at, row in enumerate(rows) if at in posts and row.kind == DELETE]
    odd_ones = ({"seq": 2**63}, {"rkey": ".."}, {"rev": "none"})
    for at, odd in zip(gone[1::2], odd_ones, strict=False):
        rows[at] = replace(rows[at], **odd)
    return pa.Table.from_batches([Again().settled(read_rows(Block.of(rows).frame(), "it"))])


@compiled
def test_the_rows_are_the_same_with_and_without_the_reader(
    archived: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_it = taken(archived)
    payloads = pa.concat_arrays(archived["payload"].chunks)
    assert read_posts(payloads).is_usual.true_count > 400
    without_reader(monkeypatch)
    without = taken(archived)
    assert set(without.quarantined) >= {"undecodable", "bad_commit", "unconvertible", "undatable"}
    assert in_order(with_it) == in_order(without)


@compiled
@pytest.mark.real_data
def test_posts_of_real_repositories_become_the_same_rows(real_data: Path) -> None:
    records = [
        content
        for path in (real_data / "car").rglob("*.car")
        for content in blocks_by_cid(path.read_bytes()).values()
        if one_by_one(content)
    ]
    assert len(records) > 500
    rows = by_column(records)
    assert all(row in (None, one_by_one(record)) for record, row in zip(records, rows, strict=True))
    assert rows.count(None) < 0.05 * len(rows)


def test_where_the_reader_is_missing_or_of_another_source_that_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SimpleNamespace(SOURCE="of another")
    compiled_readers.compiled.cache_clear()
    monkeypatch.setattr(compiled_readers, "import_module", lambda _: other)
    assert not compiled_readers.are_compiled()
    told: list[str] = []
    with reachable(archive_of(world_of(300)), tmp_path) as settings:
        assert ingest_day(settings, DAY, told.append).rows["post"] > 10
    compiled_readers.compiled.cache_clear()
    (line,) = (line for line in told if "slower code" in line)
    assert "C++ compiler" in line
