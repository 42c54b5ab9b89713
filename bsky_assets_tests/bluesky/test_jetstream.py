"""A Jetstream of either version gives the same rows as a relay, and its gaps are told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow.parquet as pq
import pytest
import zstandard
from aiohttp import web

from bsky_assets.bluesky import streaming
from bsky_assets.bluesky.collected import firehose_segments, label_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.jetstream import JetstreamReader
from bsky_assets.bluesky.kinds.posts import KIND as POSTS
from bsky_assets.bluesky.streaming import Limits, StreamReport
from bsky_assets.bluesky.websocket import StreamError
from bsky_assets.contracts import Quarantined, RawFirehosePost, RawPostDeletion
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day, compact_labels_day
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import Footer
from bsky_assets_tests.bluesky.collecting import ENDLESS, IDLE_SECONDS
from bsky_assets_tests.bluesky.scripted_relay import CLOSE, ScriptedRelay, serve
from bsky_assets_tests.support.places import REAL_DATA, needs_real_data
from bsky_assets_tests.support.serving import served
from bsky_sandbox.faults import Fault, StreamFaults
from bsky_sandbox.jetstream import Jetstream
from bsky_sandbox.server import Servers
from bsky_sandbox.world import World
from testbed import wire

NOW = datetime(2026, 3, 8, 18, tzinfo=UTC)
START_US = int(NOW.timestamp()) * 1_000_000


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(streaming, "JITTER", 0.01)
    monkeypatch.setattr(streaming, "ANSWER_SECONDS", 100.0)


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate(3, day=NOW.date(), events=1500, now=NOW)


@contextmanager
def jetstream(world: World, **options: Any) -> Iterator[tuple[Jetstream, str]]:
    relay = Servers.of(world).relay
    host = Jetstream(world.events, relay.frames, **options)
    with served(host.app()) as url:
        yield host, url.replace("http", "ws", 1)


def sync(folder: Path, limits: Limits | None = None, **settings: Any) -> StreamReport:
    limits = limits or ENDLESS
    return sync_firehose(Settings(data_dir=folder, **settings), limits, idle_seconds=IDLE_SECONDS)


def footers(folder: Path) -> list[Footer]:
    segments = firehose_segments(Settings(data_dir=folder))
    return [s.footer() for day in segments.days() for s in segments.of_day(day)]


def gaps(folder: Path) -> list[tuple[int | None, int | None, str]]:
    found = (gap for footer in footers(folder) for gap in footer.gaps)
    return [(gap.after, gap.before, gap.reason) for gap in found]


ONLY_THE_HOSTS = ("relay", "seq", "received_at", "commit_time", "metadata", "origin")


def collected(folder: Path) -> list[Any]:
    """The day's posts, deletions and labels, without what only the host can tell."""
    settings = Settings(data_dir=folder)
    firehose, labels, lake = firehose_segments(settings), label_segments(settings), Lake(folder)
    (day,) = firehose.days()
    with duckdb.connect() as con:
        partitions = [
            *compact_firehose_day(con, lake, firehose, day),
            compact_labels_day(con, lake, labels, firehose, day),
        ]
    rows = [
        {name: value for name, value in row.items() if name not in ONLY_THE_HOSTS}
        for partition in partitions
        for row in pq.ParquetFile(partition.path).read().to_pylist()
    ]
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def without_times(rows: list[Any]) -> list[Any]:
    """A commit's time, and so that of labels in it, is by a Jetstream when it saw the commit."""
    times = ("cts", "event_time")
    return [{name: v for name, v in row.items() if name not in times} for row in rows]


@pytest.mark.parametrize("version", [1, 2])
def test_a_day_is_the_same_through_a_relay_and_a_jetstream(
    tmp_path: Path, world: World, version: int
) -> None:
    with served(Servers.of(world).relay.app()) as url:
        sync(tmp_path / "relay", relay_url=url.replace("http", "ws", 1))
    with jetstream(world, serves_v2=version == 2) as (_, url):
        report = sync(tmp_path / "jetstream", jetstream_url=url)
    through_relay, through_jetstream = (
        collected(tmp_path / "relay"),
        collected(tmp_path / "jetstream"),
    )
    assert without_times(through_jetstream) == without_times(through_relay)
    posts = {post.uri for post in world.posts if post.in_firehose}
    assert {row["uri"] for row in through_jetstream if "record" in row} == posts
    assert (report.gaps, report.rows["quarantined"]) == (0, 0)
    assert gaps(tmp_path / "jetstream") == []
    kinds = {kind for footer in footers(tmp_path / "jetstream") for kind in footer.events}
    assert "commit" in kinds
    assert report.events < len(world.events) / 2  # likes and the like were not asked for


def test_version_2_is_compressed_with_the_dictionary_of_the_host(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[bool] = []
    read = JetstreamReader.read

    def spy(self: JetstreamReader, message: bytes, received: int) -> None:
        packed.append(not message.startswith(b"{"))
        read(self, message, received)

    monkeypatch.setattr(JetstreamReader, "read", spy)
    with jetstream(world) as (_, url):
        sync(tmp_path, Limits(max_events=50), jetstream_url=url)
    assert all(packed)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.ABORT, Fault.STALL, Fault.DUPLICATE])
def test_a_broken_connection_loses_and_doubles_nothing(
    tmp_path: Path, world: World, version: int, fault: Fault
) -> None:
    faults = StreamFaults(at=dict.fromkeys((*range(200, 206), *range(700, 706)), fault))
    with jetstream(world, serves_v2=version == 2, faults=faults) as (host, url):
        sync(tmp_path, jetstream_url=url)
        assert host.stream.injector.injected
    posts = {post.uri for post in world.posts if post.in_firehose}
    assert {row["uri"] for row in collected(tmp_path) if "record" in row} == posts
    assert gaps(tmp_path) == []
    assert sum(footer.repeated for footer in footers(tmp_path)) > 0


@pytest.mark.parametrize("version", [1, 2])
def test_a_cursor_that_is_too_old_is_a_gap(tmp_path: Path, world: World, version: int) -> None:
    with jetstream(world, serves_v2=version == 2, backlog=300) as (host, url):
        sync(tmp_path, Limits(max_events=30), jetstream_url=url)
        last = footers(tmp_path)[-1].cursor
        host.stream.pace.reach(host.stream.pace.length)  # the rest happens while we are away
        sync(tmp_path, jetstream_url=url)
    ((after, before, reason),) = gaps(tmp_path)
    assert (after, reason) == (last, "outdated cursor")
    # Its numbers count no events, nor are all events asked for: what is missing is told as time.
    assert [one.missing for footer in footers(tmp_path) for one in footer.gaps] == [None]
    assert before is not None
    assert last is not None
    assert before > last


def test_a_dictionary_that_is_refused_is_fetched_anew(tmp_path: Path, world: World) -> None:
    with jetstream(world) as (host, url):
        sync(tmp_path, Limits(max_events=30), jetstream_url=url)
        host._zstd = None  # it was started anew and has not made its dictionary yet
        sync(tmp_path, Limits(max_events=30), jetstream_url=url)
    assert gaps(tmp_path) == []
    assert sum(footer.events["commit"] for footer in footers(tmp_path)) >= 55


def v1(seq: int, rkey: str = "3a", **commit: Any) -> bytes:
    body = {
        "rev": "3mnbxxxxxx22a",
        "operation": "create",
        "collection": wire.POST,
        "rkey": rkey,
        "record": wire.post(),
        "cid": "bafy",
        **commit,
    }
    message = {"did": wire.DID, "time_us": START_US + seq, "kind": "commit", "commit": body}
    return orjson.dumps(message)


def v2(kind: str, **body: Any) -> bytes:
    name = f"network.bsky.jetstream.subscribeEvents#{kind}"
    return orjson.dumps({"$type": "message", "payload": {"$type": name, **body}})


def read(*messages: bytes) -> tuple[JetstreamReader, Any, Any]:
    reader = JetstreamReader("jetstream.test")
    for message in messages:
        reader.read(message, START_US)
    tables = reader.rows.tables()
    return reader, tables, tables[RawFirehosePost].to_pylist()


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (b"{", "undecodable"),
        (b"[]", "undecodable"),
        (b"\x28\xb5\x2f\xfd garbage", "undecodable"),
        (v1(1, record={"$type": wire.POST, "text": 5}), "bad_field"),
        (v1(1, cid=None), "bad_cid"),
        (v1(1, rev=7), "bad_commit"),
        (orjson.dumps({"did": "x", "time_us": 5, "kind": "novelty"}), "unknown_event"),
        (orjson.dumps({"did": "x", "time_us": "5", "kind": "commit"}), "bad_seq"),
        (orjson.dumps({"did": "x", "time_us": 2**63 - 1, "kind": "commit"}), "bad_seq"),
        (
            v2("commit", did=5, seq=7, time="", collection=wire.POST, rkey="a", operation="delete"),
            "bad_did",
        ),
    ],
)
def test_an_odd_message_is_quarantined_and_the_stream_goes_on(odd: bytes, reason: str) -> None:
    reader, tables, posts = read(v1(1), odd, v1(2, "3b"))
    assert len(posts) == 2
    (row,) = tables[Quarantined].to_pylist()
    assert (row["reason"], row["content"]) == (reason, odd)
    assert len(reader.take_events().seqs) == 3


def test_messages_that_tell_of_cursors_and_errors_are_heeded() -> None:
    reader, _, _ = read(v2("info", name="OutdatedCursor"), v2("info", name="SomethingNew"))
    assert reader.take_events().seqs == [-2]
    with pytest.raises(StreamError, match="FutureCursor"):
        read(v2("info", name="FutureCursor"))
    with pytest.raises(StreamError, match="ConsumerTooSlow: too slow"):
        read(orjson.dumps({"$type": "error", "error": "ConsumerTooSlow", "message": "too slow"}))


def test_accounts_and_deletions_are_read_from_both_versions() -> None:
    account = {"active": False, "status": "deleted", "did": wire.DID, "seq": 1, "time": wire.TIME}
    _, tables, _ = read(
        orjson.dumps({"did": wire.DID, "time_us": START_US, "kind": "account", "account": account}),
        v2("account", did=wire.DID, seq=9, time=wire.TIME, account=account),
        v1(1, operation="delete"),
        v2(
            "commit",
            did=wire.DID,
            seq=10,
            time=wire.TIME,
            collection=wire.POST,
            rkey="3b",
            operation="delete",
            rev="3mnbxxxxxx22a",
        ),
    )
    rows = tables[RawPostDeletion].to_pylist()
    assert [(row["kind"], row["seq"]) for row in rows] == [
        ("account", START_US),
        ("account", 9),
        ("post", START_US + 1),
        ("post", 10),
    ]


def test_the_first_event_of_a_new_connection_tells_whether_anything_is_missing(
    tmp_path: Path,
) -> None:
    """A host of version 1 passes over what it no longer has, without a word."""
    first, second, later = [v1(n, f"3k{n}") for n in (1, 2, 9)]
    scripts = [[first, second, CLOSE], [second, CLOSE], [later, CLOSE]]

    class OnlyV1(ScriptedRelay):
        async def handle(self, request: web.Request) -> web.StreamResponse:
            if "xrpc" in request.path:
                return web.Response(status=404)
            return await super().handle(request)

    with serve(OnlyV1(scripts)) as relay:
        sync(tmp_path, jetstream_url=relay.url)
        assert relay.cursors[:3] == [None, str(START_US + 2), str(START_US + 2)]
    assert gaps(tmp_path) == [(START_US + 2, START_US + 9, "outdated cursor")]


def test_a_message_that_unpacks_to_too_much_is_quarantined() -> None:
    bomb = zstandard.compress(b" " * 20 * 2**20)
    _, tables, posts = read(bomb, v1(1))
    assert len(posts) == 1
    assert tables[Quarantined].num_rows == 1


@pytest.mark.real_data
@needs_real_data
def test_captured_messages_are_read() -> None:
    path = REAL_DATA / "firehose" / "jetstream-golden-v1" / "golden_v1.jsonl"
    lines = path.read_bytes().splitlines()
    reader, tables, posts = read(*lines)
    expected = [
        message["commit"]
        for message in map(json.loads, lines)
        if message["kind"] == "commit"
        and message["commit"]["collection"] == wire.POST
        and message["commit"]["operation"] != "delete"
    ]
    assert [post["record"]["text"] for post in posts] == [c["record"]["text"] for c in expected]
    assert [post["cid"] for post in posts] == [commit["cid"] for commit in expected]
    assert tables[Quarantined].num_rows == 0
    assert len(reader.take_events().seqs) == len(lines)


def test_a_record_that_no_column_can_hold_costs_only_itself() -> None:
    reader = JetstreamReader("jetstream.test")
    for number in range(3):
        reader.read(v1(number, f"3k{number}"), START_US)
    *_, record = reader.rows.puts[POSTS][1]
    record["text"] = "half of a pair: \ud800"
    tables = reader.rows.tables()
    assert [seq % 10 for seq in tables[RawFirehosePost]["seq"].to_pylist()] == [0, 2]
    assert tables[Quarantined]["reason"].to_pylist() == ["unconvertible"]
