"""The sandbox's Jetstream, read with the AT Protocol SDK (v2) and line by line (v1)."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from atproto import JetstreamClient
from atproto.exceptions import JetstreamCursorTooOldError
from libipld import decode_dag_cbor_multi, encode_cid
from websockets.exceptions import InvalidStatus

from bsky_assets_tests.sandbox.streams import (
    cid_of_record,
    firehose,
    receive,
    receive_until_closed,
    relay_of,
)
from bsky_assets_tests.support.serving import served
from bsky_sandbox.faults import Fault, StreamFaults
from bsky_sandbox.jetstream import GET_DICTIONARY, Jetstream
from bsky_sandbox.world import Event, Op, World

SUBSCRIBE = "network.bsky.jetstream.subscribeEvents"
POSTS_AND_PROFILES = ("app.bsky.feed.post", "app.bsky.actor.*")
# The SDK's model of #sync takes no bytes as JSON has them, and its client stops at one.
KINDS = ["commit", "identity", "account"]
EVENTS = 3000

Told = tuple[Event, Op | None]


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate(6, day=date(2026, 3, 8), events=EVENTS)


@pytest.fixture(scope="module")
def all_told(world: World) -> list[Told]:
    """What there is to tell, an operation after the other."""
    told: list[Told] = []
    for event in world.events:
        told += [(event, op) for op in event.ops] if event.kind == "commit" else [(event, None)]
    return told


def jetstream_of(world: World, **options: Any) -> Jetstream:
    return Jetstream(world.events, relay_of(world).frames, **options)


@pytest.fixture(scope="module")
def host(world: World) -> Iterator[str]:
    with served(jetstream_of(world).app()) as host:
        yield host


def v1(host: str, query: str = "cursor=0", count: int | None = None) -> list[Any]:
    got = receive(f"{host}/subscribe?{query}", count)
    return [json.loads(line) for line in got.messages]


def v2(host: str, query: str, count: int) -> list[Any]:
    got = receive(f"{host}/xrpc/{SUBSCRIBE}?{query}", count)
    frames = [json.loads(text) for text in got.messages]
    assert {frame["$type"] for frame in frames} == {"message"}
    return [frame["payload"] for frame in frames]


def with_sdk(host: str, params: dict[str, Any], count: int, *, compress: bool) -> list[Any]:
    base_uri = f"{host.replace('http', 'ws')}/xrpc"
    client = JetstreamClient(params, base_uri, compress=compress)
    got: list[Any] = []

    def keep(message: Any) -> None:
        got.append(message)
        if len(got) == count:
            assert client.compressed == compress
            client.stop()

    client.start(keep)
    return got


# Version 2


@pytest.mark.parametrize("compress", [False, True])
def test_the_sdk_s_client_reads_every_event(
    host: str, world: World, all_told: list[Told], compress: bool
) -> None:
    expected = [(event, op) for event, op in all_told if event.kind != "sync"]
    params = {"cursor": world.events[0].seq, "kinds": KINDS}
    got = with_sdk(host, params, len(expected), compress=compress)
    for message, (event, op) in zip(got, expected, strict=True):
        assert message.did == event.did
        told = datetime.fromisoformat(message.time).astimezone(UTC)
        assert abs((told - event.time).total_seconds()) < 0.001
        if op is None:
            upstream = message.identity if event.kind == "identity" else message.account
            assert (upstream.seq, upstream.did) == (event.seq, event.did)
            continue
        assert (message.rev, message.operation) == (event.rev, op.action)
        assert f"{message.collection}/{message.rkey}" == op.path
        if op.record is None:
            assert (message.record, message.cid) == (None, None)
        else:
            assert message.cid == encode_cid(cid_of_record(op.record))


def test_records_are_as_in_the_world(host: str, world: World, all_told: list[Told]) -> None:
    payloads = v2(host, f"cursor={world.events[0].seq}", len(all_told))
    assert [payload.get("record") for payload in payloads] == [
        None if op is None else op.record for _, op in all_told
    ]
    assert [payload["seq"] for payload in payloads] == list(
        range(world.events[0].seq, world.events[0].seq + len(all_told))
    )


def test_other_events_are_the_relay_s_own(host: str, world: World) -> None:
    query = f"cursor={world.events[0].seq}&kinds=sync&kinds=identity&kinds=account"
    others = [event for event in world.events if event.kind != "commit"]
    payloads = v2(host, query, len(others))
    with served(relay_of(world).app()) as relay:
        frames = receive(firehose(relay), EVENTS).messages
    for payload, event in zip(payloads, others, strict=True):
        assert payload["$type"] == f"{SUBSCRIBE}#{event.kind}"
        upstream = payload[event.kind]
        if event.kind == "sync":
            upstream["blocks"] = base64.b64decode(upstream["blocks"]["$bytes"] + "==")
        assert upstream == decode_dag_cbor_multi(frames[event.seq - world.events[0].seq])[1]


def test_a_consumer_chooses_kinds_collections_and_accounts(
    host: str, world: World, all_told: list[Told]
) -> None:
    ((did, _),) = Counter(event.did for event in world.events).most_common(1)
    first = world.events[0].seq
    own = [(event, op) for event, op in all_told if event.did == did]
    assert len(v2(host, f"cursor={first}&dids={did}", len(own))) == len(own)
    collections = "&".join(f"collections={name}" for name in POSTS_AND_PROFILES)
    wanted = [
        op
        for _, op in all_told
        if op and op.collection in ("app.bsky.feed.post", "app.bsky.actor.profile")
    ]
    payloads = v2(host, f"cursor={first}&kinds=commit&{collections}", len(wanted))
    assert [f"{told['collection']}/{told['rkey']}" for told in payloads] == [
        op.path for op in wanted
    ]


def test_cursors_are_numbers_or_instants(host: str, world: World, all_told: list[Told]) -> None:
    first, place = world.events[0].seq, 1234
    (payload,) = v2(host, f"cursor={first + place}", 1)
    assert payload["seq"] == first + place
    micros = round(datetime.fromisoformat(payload["time"]).timestamp() * 1e6)
    assert v2(host, f"cursor={micros}", 1) == [payload]
    assert v2(host, f"cursor={micros - 1}", 1) == [payload]
    info, earliest = v2(host, f"cursor={10**15}", 2)
    assert (info["name"], earliest["seq"]) == ("OutdatedCursor", first)
    (info,) = v2(host, f"cursor={first + len(all_told) + 1}", 1)
    assert info["name"] == "FutureCursor"


def test_a_number_that_is_no_longer_kept_is_refused(world: World) -> None:
    jetstream = jetstream_of(world, backlog=10)
    with served(jetstream.app()) as host:
        v2(host, f"cursor={world.events[0].seq}", EVENTS)
        with pytest.raises(JetstreamCursorTooOldError):
            with_sdk(host, {"cursor": world.events[0].seq}, 1, compress=False)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("kinds=like", "InvalidRequest"),
        ("kinds=account&collections=app.bsky.feed.post", "InvalidRequest"),
        ("cursor=x", "InvalidRequest"),
        ("zstdDictionary=7", "UnknownZstdDictionary"),
        ("&".join(["collections=a.b.c"] * 101), "InvalidRequest"),
    ],
)
def test_bad_requests_are_refused(host: str, query: str, error: str) -> None:
    answer = httpx.get(f"{host}/xrpc/{SUBSCRIBE}?{query}")
    assert (answer.status_code, answer.json()["error"]) == (400, error)


# Version 1


def test_v1_tells_the_same(host: str, all_told: list[Told]) -> None:
    expected = [(event, op) for event, op in all_told if event.kind != "sync"]
    got = v1(host, count=len(expected))
    for line, (event, op) in zip(got, expected, strict=True):
        assert (line["did"], line["kind"]) == (event.did, event.kind)
        assert abs(line["time_us"] - event.time.timestamp() * 1e6) < 100
        if op is None:
            assert line[event.kind]["seq"] == event.seq
            continue
        commit = line["commit"]
        assert (commit["rev"], commit["operation"]) == (event.rev, op.action)
        assert f"{commit['collection']}/{commit['rkey']}" == op.path
        assert commit.get("record") == op.record
        if op.record is not None:
            assert commit["cid"] == encode_cid(cid_of_record(op.record))
    times = [line["time_us"] for line in got]
    assert times == sorted(set(times))


def test_v1_sends_the_collections_wanted_and_all_other_events(
    host: str, all_told: list[Told]
) -> None:
    query = "&".join(f"wantedCollections={name}" for name in POSTS_AND_PROFILES)
    got = v1(host, f"cursor=0&compress=true&requireHello=true&{query}")
    expected = [
        (event, op)
        for event, op in all_told
        if event.kind in ("identity", "account")
        or (op and op.collection in ("app.bsky.feed.post", "app.bsky.actor.profile"))
    ]
    assert [line["did"] for line in got] == [event.did for event, _ in expected]


def test_v1_goes_on_from_an_instant_inclusive(host: str, world: World) -> None:
    lines = v1(host, count=100)
    assert v1(host, f"cursor={lines[50]['time_us']}", 50) == lines[50:]
    # What is in the future is as if there were no cursor: what happens from now on.
    end = round(world.events[-1].time.timestamp() * 1e6)
    assert v1(host, f"cursor={end + 10**9}") == []


def test_v1_leaves_out_what_is_too_large(host: str) -> None:
    got = receive(f"{host}/subscribe?cursor=0&maxMessageSizeBytes=400").messages
    assert got
    assert max(len(line.encode()) for line in got) <= 400


def test_v1_refuses_in_plain_text(host: str) -> None:
    answer = httpx.get(f"{host}/subscribe?cursor=x")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_an_older_host_has_no_v2(world: World) -> None:
    with served(jetstream_of(world, serves_v2=False).app()) as host:
        assert len(v1(host, count=10)) == 10
        assert httpx.get(f"{host}/xrpc/{GET_DICTIONARY}").status_code == 404
        with pytest.raises(InvalidStatus, match="404"):
            receive(f"{host}/xrpc/{SUBSCRIBE}", 1)


@pytest.mark.real_data
def test_lines_have_the_structure_of_captured_ones(real_data: Path, host: str) -> None:
    path = real_data / "firehose/jetstream-golden-v1/golden_v1.jsonl"

    def structure(line: dict[str, Any]) -> tuple[object, ...]:
        inner = line[line["kind"]]
        given = frozenset(inner) - {"handle", "status"}  # which need not be there
        return line["kind"], frozenset(line), inner.get("operation"), given

    ours = {structure(line) for line in v1(host)}
    for line in path.read_text().splitlines():
        assert structure(json.loads(line)) in ours


# Faults


def test_faults_strike_it_too(world: World) -> None:
    faults = StreamFaults(
        at={3: Fault.GARBAGE, 5: Fault.DUPLICATE, 10: Fault.SKIP, 20: Fault.CLOSE}
    )
    jetstream = jetstream_of(world, faults=faults)
    with served(jetstream.app()) as host:
        got = receive_until_closed(f"{host}/subscribe?cursor=0")
        assert got.close_code == 1000
        again = receive(f"{host}/subscribe?cursor=0", 200)
    whole = [json.loads(line) for line in again.messages if line.startswith("{")]
    lines = [line for line in got.messages if line.startswith("{")]
    assert len(got.messages) - len(lines) == 1
    times = [json.loads(line)["time_us"] for line in lines]
    injected = jetstream.stream.injector.injected
    assert [one.fault for one in injected] == [
        Fault.GARBAGE, Fault.DUPLICATE, Fault.SKIP, Fault.CLOSE
    ]  # fmt: skip
    missing = {one for fault in injected for one in fault.lost}
    assert missing
    assert missing.isdisjoint(times)
    until = injected[-1].seq
    skipped = set(injected[2].lost)
    assert set(times) == {line["time_us"] for line in whole if line["time_us"] < until} - missing
    assert skipped.isdisjoint(line["time_us"] for line in whole)


def test_a_corrupt_record_is_not_what_its_cid_says(world: World) -> None:
    faults = StreamFaults(probability={Fault.CORRUPT: 1})
    with served(jetstream_of(world, faults=faults).app()) as host:
        commits = [line["commit"] for line in v1(host, count=50) if line["kind"] == "commit"]
    corrupt = [
        encode_cid(cid_of_record(commit["record"])) != commit["cid"]
        for commit in commits
        if "record" in commit
    ]
    assert corrupt
    assert all(corrupt)
