"""The sandbox's relay, read with the AT Protocol SDK and by the specification."""

import hashlib
import json
import threading
from base64 import b32decode
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from atproto import CAR, FirehoseSubscribeReposClient, models, parse_subscribe_repos_message
from atproto_subscription import ErrorFrame, Frame, MessageFrame
from hypothesis import given
from hypothesis import strategies as st
from libipld import decode_dag_cbor, decode_dag_cbor_multi, encode_cid

from bsky_assets_tests.sandbox.streams import (
    blocks_of,
    cid_of_record,
    firehose,
    receive,
    receive_until_closed,
    relay_of,
    root_of,
    value_in_tree,
)
from bsky_assets_tests.support.serving import served
from bsky_sandbox.posts import POST, to_dag
from bsky_sandbox.relay import METHOD
from bsky_sandbox.repo import Tree, layer_of
from bsky_sandbox.world import Event, World

EVENTS = 2500


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate(2, day=date(2026, 3, 8), events=EVENTS)


@pytest.fixture(scope="module")
def frames(world: World) -> list[bytes]:
    with served(relay_of(world).app()) as host:
        return receive(firehose(host), EVENTS).messages


@pytest.fixture
def host(world: World) -> Iterator[str]:
    with served(relay_of(world).app()) as host:
        yield host


def commits(world: World, frames: list[bytes]) -> Iterator[tuple[Event, dict[str, Any]]]:
    for event, frame in zip(world.events, frames, strict=True):
        if event.kind == "commit":
            yield event, decode_dag_cbor_multi(frame)[1]


def error_of(frame: bytes) -> str:
    parsed = Frame.from_bytes(frame)
    assert isinstance(parsed, ErrorFrame)
    return str(parsed.body.error)


def info_of(frame: bytes) -> str:
    parsed = Frame.from_bytes(frame)
    assert isinstance(parsed, MessageFrame)
    assert parsed.type == "#info"
    return str(parsed.body["name"])


# What is in the frames


def test_the_sdk_decodes_every_frame_to_the_same_event(world: World, frames: list[bytes]) -> None:
    kinds = {
        models.ComAtprotoSyncSubscribeRepos.Commit: "commit",
        models.ComAtprotoSyncSubscribeRepos.Identity: "identity",
        models.ComAtprotoSyncSubscribeRepos.Account: "account",
        models.ComAtprotoSyncSubscribeRepos.Sync: "sync",
    }
    for event, frame in zip(world.events, frames, strict=True):
        parsed = Frame.from_bytes(frame)
        assert isinstance(parsed, MessageFrame)
        message = parse_subscribe_repos_message(parsed)
        assert kinds[type(message)] == event.kind
        assert message.seq == event.seq
        assert (message.repo if event.kind == "commit" else message.did) == event.did
        told = datetime.fromisoformat(message.time)
        assert abs((told.astimezone(UTC) - event.time).total_seconds()) < 0.001
        match event.kind:
            case "identity":
                assert message.handle == event.handle
            case "account":
                assert message.active == event.active
                assert message.status == (None if event.active else event.status)
            case _:
                assert message.rev == event.rev


def test_the_sdk_finds_the_same_records_in_the_blocks(world: World, frames: list[bytes]) -> None:
    posts = 0
    for event, frame in zip(world.events, frames, strict=True):
        if event.kind != "commit":
            continue
        message = parse_subscribe_repos_message(Frame.from_bytes(frame))
        car = CAR.from_bytes(message.blocks)
        assert str(car.root) == str(message.commit)
        assert (message.since, message.too_big) == (event.since, False)
        assert [(op.action, op.path) for op in message.ops] == [
            (op.action, op.path) for op in event.ops
        ]
        for told, op in zip(message.ops, event.ops, strict=True):
            if op.record is None:
                assert told.cid is None
                continue
            record = car.blocks[told.cid]
            assert record == to_dag(op.record)
            if op.collection == POST:
                post = models.get_or_create(record, models.AppBskyFeedPost.Record, strict=False)
                assert post.text == op.record["text"]
                posts += 1
    assert posts == sum(post.in_firehose for post in world.posts) + sum(
        op.collection == POST and op.action == "update"
        for event in world.events
        for op in event.ops
    )


def test_every_block_is_what_its_cid_says(world: World, frames: list[bytes]) -> None:
    for event, frame in zip(world.events, frames, strict=True):
        body = decode_dag_cbor_multi(frame)[1]
        if "blocks" not in body:
            continue
        roots, blocks = blocks_of(body["blocks"])
        for cid, block in blocks.items():
            assert cid == b"\x01\x71\x12\x20" + hashlib.sha256(block).digest()
        commit = decode_dag_cbor(blocks[roots[0]])
        assert set(commit) == {"did", "version", "data", "rev", "prev", "sig"}
        assert (commit["did"], commit["rev"], commit["version"]) == (event.did, event.rev, 3)
        assert len(commit["sig"]) == 64
        if event.kind == "sync":
            assert set(blocks) == {roots[0]}
        else:
            assert roots == [body["commit"]]


def test_the_blocks_prove_every_operation(world: World, frames: list[bytes]) -> None:
    actions = set()
    for event, body in commits(world, frames):
        roots, blocks = blocks_of(body["blocks"])
        data = decode_dag_cbor(blocks[roots[0]])["data"]
        for op in body["ops"]:
            assert value_in_tree(blocks, data, op["path"].encode()) == op["cid"]
            assert op["cid"] is None or op["cid"] in blocks
            actions.add(op["action"])
        assert len(event.ops) == len(body["ops"])
    assert actions == {"create", "update", "delete"}


def test_commits_chain_and_their_trees_hold_what_happened(
    world: World, frames: list[bytes]
) -> None:
    repos: dict[str, dict[bytes, bytes]] = {}
    for did, path, record in world.records_before():
        repos.setdefault(did, {})[path.encode()] = cid_of_record(record)
    last: dict[str, bytes] = {}
    for event, body in commits(world, frames):
        before = repos.setdefault(event.did, {})
        if event.did in last:
            assert body["prevData"] == last[event.did]
        elif before:
            assert body["prevData"] == root_of(before)
        for op in body["ops"]:
            key = op["path"].encode()
            assert op.get("prev") == before.pop(key, None)
            if op["cid"] is not None:
                before[key] = op["cid"]
        roots, blocks = blocks_of(body["blocks"])
        last[event.did] = decode_dag_cbor(blocks[roots[0]])["data"]
    assert {did: root_of(repos[did]) for did in last} == last


def test_frames_are_of_a_real_one_s_size(frames: list[bytes]) -> None:
    assert 500 < sum(map(len, frames)) / len(frames) < 5000


def test_the_same_world_gives_the_same_frames(world: World, frames: list[bytes]) -> None:
    again = World.generate(2, day=world.day, events=EVENTS)
    with served(relay_of(again).app()) as host:
        assert receive(firehose(host), EVENTS).messages == frames


KEYS = st.integers(0, 400).map(lambda number: f"app.bsky.feed.post/{number:013x}".encode())


@given(st.lists(st.tuples(KEYS, st.booleans()), max_size=80))
def test_a_tree_depends_on_what_is_in_it_and_not_on_the_way_there(
    changes: list[tuple[bytes, bool]],
) -> None:
    tree, records = Tree(), dict[bytes, bytes]()
    for number, (key, is_there) in enumerate(changes):
        if is_there:
            records[key] = cid_of_record({"number": number})
            tree = tree.put(key, records[key])
        elif records.pop(key, None) is None:
            with pytest.raises(KeyError):
                tree.delete(key)
        else:
            tree = tree.delete(key)
    assert tree.root.cid == root_of(records)
    assert [tree.get(key) for key in records] == list(records.values())
    for key, _ in changes:
        assert value_in_tree(tree.proof([key]), tree.root.cid, key) == records.get(key)


# Against what others captured and computed


@pytest.mark.real_data
def test_layers_are_those_of_the_interop_vectors(real_data: Path) -> None:
    path = real_data / "interop/atproto-interop-tests/mst/key_heights.json"
    for vector in json.loads(path.read_text()):
        assert layer_of(vector["key"].encode()) == vector["height"]


@pytest.mark.real_data
def test_commit_proofs_are_those_of_the_interop_vectors(real_data: Path) -> None:
    path = real_data / "interop/atproto-interop-tests/firehose/commit-proof-fixtures.json"
    for vector in json.loads(path.read_text()):
        value = b32decode(vector["leafValue"][1:].upper() + "=" * 6)
        tree = Tree()
        for key in vector["keys"]:
            tree = tree.put(key.encode(), value)
        assert encode_cid(tree.root.cid) == vector["rootBeforeCommit"]
        for key in vector["adds"]:
            tree = tree.put(key.encode(), value)
        for key in vector["dels"]:
            tree = tree.delete(key.encode())
        assert encode_cid(tree.root.cid) == vector["rootAfterCommit"]
        proof = tree.proof(key.encode() for key in vector["adds"] + vector["dels"])
        assert {encode_cid(cid) for cid in proof} == set(vector["blocksInProof"])


def shape(value: Any) -> Any:
    """The types in a message, and the names in its objects."""
    match value:
        case dict():
            return {name: shape(part) for name, part in sorted(value.items())}
        case list():
            return [shape(value[0])] if value else []
        case _:
            return type(value).__name__


def described(frame: bytes) -> tuple[str, Any, Any]:
    """What kind of message it is, its shape, and those of the commit and the tree's nodes."""
    header, body = decode_dag_cbor_multi(frame)
    kind = [header["t"], *(op["action"] for op in body.get("ops", ()))]
    nodes: set[tuple[str, Any]] = set()
    if "blocks" in body:
        for block in map(decode_dag_cbor, blocks_of(body["blocks"])[1].values()):
            if "sig" in block:
                nodes.add(("commit", json.dumps(shape(block))))
            elif "e" in block:
                nodes |= {("entry", tuple(sorted(entry))) for entry in block["e"]}
                nodes.add(("node", tuple(sorted(block))))
    body.pop("handle", None)  # an identity need not say it
    return " ".join(kind), shape(body), nodes


@pytest.mark.real_data
def test_captured_frames_have_the_same_structure(real_data: Path, frames: list[bytes]) -> None:
    bodies: dict[str, list[Any]] = {}
    parts: dict[str, set[Any]] = {}
    for kind, body, nodes in map(described, frames):
        bodies.setdefault(kind, []).append(body)
        parts.setdefault(kind, set()).update(nodes)
    captured = sorted((real_data / "firehose").glob("*/frame_*.bin"))
    assert len(captured) == 12
    for kind, body, nodes in map(described, (path.read_bytes() for path in captured)):
        assert body in bodies[kind]
        assert nodes == parts[kind]


# Who gets which frames


def test_the_first_consumer_gets_all_and_later_ones_what_comes_then(
    host: str, frames: list[bytes]
) -> None:
    assert receive(firehose(host), EVENTS).messages == frames
    late = receive(firehose(host))
    assert (late.messages, late.close_code) == ([], None)


def test_nothing_happens_before_the_first_consumer_comes(world: World) -> None:
    relay = relay_of(world, rate=1e6)
    with served(relay.app()) as host:
        assert relay.stream.pace.head == 0
        first = receive(firehose(host), 1).messages
        assert decode_dag_cbor_multi(first[0])[1]["seq"] == world.events[0].seq


def test_it_goes_on_where_it_was_when_it_is_served_again(world: World, frames: list[bytes]) -> None:
    relay = relay_of(world)
    with served(relay.app()) as host:
        assert receive(firehose(host), 10).messages == frames[:10]
    happened = relay.stream.pace.head
    with served(relay.app()) as host:
        assert receive(firehose(host), 10).messages == frames[happened : happened + 10]
        assert receive(firehose(host, world.events[9].seq), 10).messages == frames[10:20]


@pytest.mark.parametrize("place", [0, 1, 1234, EVENTS - 1])
def test_a_cursor_gets_what_is_after_it(
    host: str, world: World, frames: list[bytes], place: int
) -> None:
    got = receive(firehose(host, world.events[0].seq + place - 1), EVENTS - place)
    assert got.messages == frames[place:]


def test_a_cursor_at_the_last_event_waits(host: str, world: World) -> None:
    got = receive(firehose(host, world.events[-1].seq))
    assert (got.messages, got.close_code) == ([], None)


def test_a_cursor_in_the_future_is_refused(host: str, world: World) -> None:
    got = receive_until_closed(firehose(host, world.events[-1].seq + 1))
    assert [error_of(frame) for frame in got.messages] == ["FutureCursor"]
    assert got.close_code == 1000


def test_a_cursor_before_the_backlog_is_told_so(
    host: str, world: World, frames: list[bytes]
) -> None:
    got = receive(firehose(host, world.events[0].seq - 2), 3).messages
    assert info_of(got[0]) == "OutdatedCursor"
    assert got[1:] == frames[:2]


def test_only_the_backlog_is_kept(world: World, frames: list[bytes]) -> None:
    with served(relay_of(world, backlog=100).app()) as host:
        assert receive(firehose(host), EVENTS).messages == frames
        got = receive(firehose(host, world.events[0].seq), 101).messages
        assert info_of(got[0]) == "OutdatedCursor"
        assert got[1:] == frames[-100:]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "", "99999999999999999999"])
def test_a_cursor_that_is_no_number_is_a_bad_request(host: str, cursor: str) -> None:
    answer = httpx.get(f"{host}/xrpc/{METHOD}", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidRequest")


def test_events_happen_at_a_rate(world: World) -> None:
    relay = relay_of(world, rate=20)
    with served(relay.app()) as host:
        assert len(receive(firehose(host), 5).messages) == 5
        assert relay.stream.pace.head < EVENTS
        late = decode_dag_cbor_multi(receive(firehose(host), 1).messages[0])[1]["seq"]
        assert late > world.events[4].seq


def test_consumers_do_not_keep_each_other_waiting(
    host: str, world: World, frames: list[bytes]
) -> None:
    before_all = world.events[0].seq - 1
    results: list[list[bytes]] = []
    threads = [
        threading.Thread(
            target=lambda: results.append(receive(firehose(host, before_all), EVENTS).messages)
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [frames] * 3


def test_the_sdk_s_client_reads_it(host: str, world: World) -> None:
    client = FirehoseSubscribeReposClient(base_uri=f"{host.replace('http', 'ws')}/xrpc")
    got: list[int] = []

    def keep(frame: MessageFrame) -> None:
        got.append(parse_subscribe_repos_message(frame).seq)
        if len(got) == 500:
            client.stop()

    client.start(keep)
    assert got == [event.seq for event in world.events[:500]]
