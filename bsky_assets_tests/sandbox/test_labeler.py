"""The sandbox's labeler, read with the AT Protocol SDK."""

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from atproto import FirehoseSubscribeLabelsClient, models, parse_subscribe_labels_message
from atproto_subscription import ErrorFrame, Frame, MessageFrame
from libipld import decode_dag_cbor_multi

from bsky_assets_tests.sandbox.streams import receive, receive_until_closed
from bsky_assets_tests.support.serving import served
from bsky_sandbox.faults import Fault, StreamFaults
from bsky_sandbox.http_faults import HttpFaults
from bsky_sandbox.labeler import LARGEST_LIMIT, QUERY, SUBSCRIBE, Labeler
from bsky_sandbox.moderation import SandboxLabel
from bsky_sandbox.world import World

ALICE, BOB, CAROL = (f"did:plc:{name:a<24}" for name in ("alice", "bob", "carol"))
POST = f"at://{ALICE}/app.bsky.feed.post/3lf"
THEN = "2026-03-08T12:00:00.000Z"


def label(seq: int, uri: str = ALICE, val: str = "spam", **fields: Any) -> SandboxLabel:
    given = {"src": CAROL, "cid": None, "neg": False, "cts": THEN, "exp": None, **fields}
    return SandboxLabel(seq=seq, uri=uri, val=val, **given)


def stream(host: str, cursor: int | None = None) -> str:
    return f"{host}/xrpc/{SUBSCRIBE}" + ("" if cursor is None else f"?cursor={cursor}")


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate(4, day=date(2026, 3, 8), events=4000)


@pytest.fixture(scope="module")
def host(world: World) -> Iterator[str]:
    with served(Labeler(world.labels).app()) as host:
        yield host


def query(host: str, **params: Any) -> "models.ComAtprotoLabelQueryLabels.Response":
    """What the SDK makes of an answer. Its own client stops at bytes as JSON has them."""
    answer = httpx.get(f"{host}/xrpc/{QUERY}", params=params)
    assert answer.status_code == 200
    body = answer.json()
    for found in body["labels"]:
        found["sig"] = base64.b64decode(found["sig"].pop("$bytes") + "==")
        assert len(found["sig"]) == 64
    response = models.get_or_create(body, models.ComAtprotoLabelQueryLabels.Response)
    assert isinstance(response, models.ComAtprotoLabelQueryLabels.Response)
    return response


def as_told(told: "models.ComAtprotoLabelDefs.Label") -> tuple[object, ...]:
    assert told.ver == 1
    return told.src, told.uri, told.cid, told.val, bool(told.neg), told.cts, told.exp


def as_made(made: SandboxLabel) -> tuple[object, ...]:
    return made.src, made.uri, made.cid, made.val, made.neg, made.cts, made.exp


# The stream


def test_the_sdk_decodes_every_frame_to_the_same_labels(host: str, world: World) -> None:
    assert any(made.neg for made in world.labels)
    assert any(made.exp for made in world.labels)
    got = receive(stream(host, 0), len(world.labels)).messages
    for made, frame in zip(world.labels, got, strict=True):
        message = parse_subscribe_labels_message(Frame.from_bytes(frame))
        assert message.seq == made.seq
        (told,) = message.labels
        assert as_told(told) == as_made(made)
        assert len(told.sig) == 64


def test_the_sdk_s_client_reads_them(host: str, world: World) -> None:
    base_uri = f"{host.replace('http', 'ws')}/xrpc"
    client = FirehoseSubscribeLabelsClient({"cursor": 0}, base_uri)
    got: list[int] = []

    def keep(frame: MessageFrame) -> None:
        got.append(parse_subscribe_labels_message(frame).seq)
        if len(got) == len(world.labels):
            client.stop()

    client.start(keep)
    assert got == [made.seq for made in world.labels]


def test_labels_made_at_once_come_in_one_message() -> None:
    labels = [label(7), label(7, BOB), label(9, val="rude")]
    with served(Labeler(labels).app()) as host:
        bodies = [decode_dag_cbor_multi(frame)[1] for frame in receive(stream(host), 2).messages]
    assert [(body["seq"], len(body["labels"])) for body in bodies] == [(7, 2), (9, 1)]


@pytest.mark.parametrize(("cursor", "after"), [(0, 3), (4, 7), (7, 9), (8, 9)])
def test_a_cursor_gets_what_is_after_it(cursor: int, after: int) -> None:
    labels = [label(3), label(7), label(9), label(10)]
    expected = [made.seq for made in labels if made.seq >= after]
    with served(Labeler(labels).app()) as host:
        frames = receive(stream(host, cursor), len(expected)).messages
    assert [decode_dag_cbor_multi(frame)[1].get("seq") for frame in frames] == expected


def test_cursors_at_the_end_and_in_the_future() -> None:
    labels = [label(3), label(7)]
    with served(Labeler(labels).app()) as host:
        assert receive(stream(host, 7)).messages == []
        got = receive_until_closed(stream(host, 8))
    (refusal,) = map(Frame.from_bytes, got.messages)
    assert isinstance(refusal, ErrorFrame)
    assert (refusal.body.error, got.close_code) == ("FutureCursor", 1000)


def test_what_is_no_longer_kept_is_told() -> None:
    labels = [label(seq) for seq in range(1, 11)]
    with served(Labeler(labels, backlog=4).app()) as host:
        assert len(receive(stream(host), 10).messages) == 10
        info, first, *_ = receive(stream(host, 2), 5).messages
    assert decode_dag_cbor_multi(info)[1]["name"] == "OutdatedCursor"
    assert decode_dag_cbor_multi(first)[1]["seq"] == 7


def test_a_labeler_without_labels_keeps_its_stream_open() -> None:
    with served(Labeler([]).app()) as host:
        got = receive(stream(host, 0))
        assert (got.messages, got.close_code) == ([], None)
        assert query(host, uriPatterns="*").labels == []


def test_its_stream_meets_faults() -> None:
    labeler = Labeler([label(seq) for seq in range(1, 7)], faults=StreamFaults(at={3: Fault.ABORT}))
    with served(labeler.app()) as host:
        got = receive_until_closed(stream(host))
        assert (len(got.messages), got.close_code) == (3, 1006)
        assert len(receive(stream(host, 3), 3).messages) == 3
    (injected,) = labeler.stream.injector.injected
    assert (injected.fault, injected.seq) == (Fault.ABORT, 4)


# The query


def asked(labels: Sequence[SandboxLabel], *patterns: str, **params: Any) -> list[Any]:
    with served(Labeler(labels).app()) as host:
        return list(query(host, uriPatterns=list(patterns), **params).labels)


def test_every_standing_label_is_found_page_by_page(host: str, world: World) -> None:
    standing: dict[object, SandboxLabel] = {}
    for made in world.labels:
        standing.pop((made.src, made.uri, made.val), None)
        if not made.neg:
            standing[made.src, made.uri, made.val] = made
    now = datetime.now(UTC)
    expected = [
        as_made(made)
        for made in standing.values()
        if made.exp is None or datetime.fromisoformat(made.exp) > now
    ]
    got: list[object] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        page = query(host, uriPatterns="*", limit=10, cursor=cursor)
        got += map(as_told, page.labels)
        cursor, pages = page.cursor or "", pages + 1
    assert got == expected
    assert pages > 2


def test_uris_are_asked_for_whole_or_by_their_beginning() -> None:
    labels = [label(1, POST), label(2), label(3, BOB), label(4, POST + "x")]
    assert [told.uri for told in asked(labels, POST)] == [POST]
    assert [told.uri for told in asked(labels, POST + "*")] == [POST, POST + "x"]
    assert [told.uri for told in asked(labels, BOB, f"at://{ALICE}/*")] == [POST, BOB, POST + "x"]
    assert asked(labels, f"at://{BOB}/*") == []


def test_sources_narrow_the_query() -> None:
    labels = [label(1), label(2, src=BOB)]
    assert [told.src for told in asked(labels, ALICE, sources=[BOB])] == [BOB]
    assert [told.src for told in asked(labels, ALICE, sources=[BOB, CAROL])] == [CAROL, BOB]


def test_a_label_stands_until_it_is_taken_back_or_expires() -> None:
    def at(**away: int) -> str:
        return (datetime.now(UTC) + timedelta(**away)).isoformat()

    labels = [
        label(1, val="taken-back"),
        label(2, val="again"),
        label(3, val="taken-back", neg=True),
        label(4, val="again", neg=True),
        label(5, val="again"),
        label(6, val="expired", exp=at(hours=-1)),
        label(7, val="expires", exp=at(hours=1)),
        label(8, val="again", src=BOB, neg=True),
    ]
    assert [told.val for told in asked(labels, ALICE)] == ["again", "expires"]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"uriPatterns": ""},
        {"uriPatterns": "at://*/x"},
        {"uriPatterns": "*", "limit": "0"},
        {"uriPatterns": "*", "limit": str(LARGEST_LIMIT + 1)},
        {"uriPatterns": "*", "cursor": "x"},
    ],
)
def test_a_bad_query_is_refused(params: dict[str, str]) -> None:
    with served(Labeler([label(1)]).app()) as host:
        answer = httpx.get(f"{host}/xrpc/{QUERY}", params=params)
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidRequest")


def test_queries_meet_faults() -> None:
    labeler = Labeler([label(1)], http_faults=HttpFaults(p429=1, retry_after=7))
    with served(labeler.app()) as host:
        answer = httpx.get(f"{host}/xrpc/{QUERY}", params={"uriPatterns": "*"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
