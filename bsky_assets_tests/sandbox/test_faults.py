"""What goes wrong with the sandbox's streams: as planned, and told exactly."""

import hashlib
import itertools
import time
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libipld import decode_dag_cbor_multi
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.settings import Settings
from bsky_assets.storage.completeness import Completeness
from bsky_assets_tests.sandbox.streams import (
    Received,
    blocks_of,
    firehose,
    opened,
    receive,
    receive_until_closed,
    relay_of,
)
from bsky_assets_tests.support.serving import served
from bsky_sandbox.faults import (
    DAMAGE,
    Fault,
    Injected,
    StreamFaults,
    StreamInjector,
    Strike,
)
from bsky_sandbox.http_faults import HttpFaults
from bsky_sandbox.relay import Relay
from bsky_sandbox.world import World

EVENTS = 400
LOSSLESS = (Fault.CLOSE, Fault.ABORT, Fault.CONSUMER_TOO_SLOW, Fault.DUPLICATE)
Numbers = list[int | None]


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate(8, day=date(2026, 3, 8), events=EVENTS)


@pytest.fixture(scope="module")
def frames(world: World) -> list[bytes]:
    with served(relay_of(world).app()) as host:
        return receive(firehose(host), EVENTS).messages


@pytest.fixture(scope="module")
def first(world: World) -> int:
    return world.events[0].seq


@pytest.fixture(scope="module")
def post(world: World) -> int:
    """The position of a commit with a record, somewhere in the middle."""
    return next(
        place
        for place in range(100, EVENTS)
        if any(op.record is not None for op in world.events[place].ops)
    )


def numbers(messages: list[bytes]) -> Numbers:
    """The sequence numbers of what can be read as a message; None where nothing can."""
    return [number_of(message) for message in messages]


def number_of(message: bytes) -> int | None:
    try:
        header, body = decode_dag_cbor_multi(message)
    except ValueError:
        return None
    return int(body["seq"]) if header["op"] == 1 else None


def read(relay: Relay, cursor: int | None = None, count: int | None = None) -> Received:
    with served(relay.app()) as host:
        return receive(firehose(host, cursor), count)


def read_on(host: str) -> list[bytes]:
    """What a consumer gets that comes again after each end, with the last number it read."""
    messages: list[bytes] = []
    cursor = None
    while True:
        got = receive(firehose(host, cursor))
        messages += got.messages
        cursor = next((one for one in reversed(numbers(messages)) if one is not None), None)
        if got.close_code is None:
            return messages


# One fault at a time


@pytest.mark.parametrize(("fault", "code"), [(Fault.CLOSE, 1000), (Fault.ABORT, 1006)])
def test_a_connection_ends(
    world: World, frames: list[bytes], first: int, fault: Fault, code: int
) -> None:
    relay = relay_of(world, faults=StreamFaults(at={50: fault}))
    with served(relay.app()) as host:
        got = receive_until_closed(firehose(host))
        assert (got.messages, got.close_code) == (frames[:50], code)
        # It ends there once.
        assert receive(firehose(host, first + 48), 100).messages == frames[49:149]
    assert relay.stream.injector.injected == [Injected(fault, 50, first + 50, 0)]
    assert relay.stream.connections == 2


def test_a_slow_consumer_is_told_and_cut_off(world: World, frames: list[bytes]) -> None:
    with served(
        relay_of(world, faults=StreamFaults(at={7: Fault.CONSUMER_TOO_SLOW})).app()
    ) as host:
        got = receive_until_closed(firehose(host))
    assert got.messages[:-1] == frames[:7]
    header, body = decode_dag_cbor_multi(got.messages[-1])
    assert (header, body["error"]) == ({"op": -1}, "ConsumerTooSlow")
    assert got.close_code == 1000


@pytest.mark.parametrize(("fault", "is_answered"), [(Fault.STALL, True), (Fault.SILENCE, False)])
def test_a_connection_goes_quiet(
    world: World, frames: list[bytes], fault: Fault, is_answered: bool
) -> None:
    relay = relay_of(world, faults=StreamFaults(at={20: fault}))
    with (
        served(relay.app()) as host,
        opened(firehose(host)) as socket,
    ):
        assert [socket.recv(60) for _ in range(20)] == frames[:20]
        assert socket.ping().wait(60 if is_answered else 0.2) == is_answered
        with pytest.raises(TimeoutError):
            socket.recv(0.1)


def test_a_message_comes_late(world: World, frames: list[bytes]) -> None:
    relay = relay_of(world, faults=StreamFaults(at={5: Strike(Fault.SLOW, 0.5)}))
    with served(relay.app()) as host, opened(firehose(host)) as socket:
        began = time.monotonic()
        assert [socket.recv(60) for _ in range(10)] == frames[:10]
        assert time.monotonic() - began >= 0.5
    (injected,) = relay.stream.injector.injected
    assert (injected.fault, injected.position) == (Fault.SLOW, 5)


@pytest.mark.parametrize("whole_follows", [False, True])
@pytest.mark.parametrize("fault", sorted(DAMAGE - {Fault.OVERSIZED}))
def test_a_message_is_damaged(
    world: World, frames: list[bytes], first: int, post: int, fault: Fault, whole_follows: bool
) -> None:
    faults = StreamFaults(at={post: fault}, whole_follows=whole_follows)
    relay = relay_of(world, faults=faults)
    with served(relay.app()) as host:
        got = receive(firehose(host), EVENTS + whole_follows).messages
        again = receive(firehose(host, first - 1), EVENTS).messages
    damaged = got.pop(post)
    if whole_follows:
        assert got == again == frames
    else:
        assert got == frames[:post] + frames[post + 1 :]
        # What is lost stays lost, and is told once.
        assert again == [*frames[:post], damaged, *frames[post + 1 :]]
    match fault:
        case Fault.GARBAGE:
            with pytest.raises(ValueError):
                decode_dag_cbor_multi(damaged)
        case Fault.TRUNCATED:
            assert frames[post].startswith(damaged)
            with pytest.raises(ValueError):
                decode_dag_cbor_multi(damaged)
        case _:
            blocks = blocks_of(decode_dag_cbor_multi(damaged)[1]["blocks"])[1]
            wrong = [
                cid for cid, block in blocks.items() if cid[4:] != hashlib.sha256(block).digest()
            ]
            ops = decode_dag_cbor_multi(frames[post])[1]["ops"]
            assert wrong == [next(op["cid"] for op in ops if op["cid"])]
    (injected,) = relay.stream.injector.injected
    lost = () if whole_follows else (first + post,)
    assert (injected.fault, injected.seq, injected.lost) == (fault, first + post, lost)


def test_a_message_is_too_large_until_the_consumer_comes_again(
    world: World, frames: list[bytes], first: int
) -> None:
    faults = StreamFaults(at={9: Strike(Fault.OVERSIZED, 2_000_000)})
    relay = relay_of(world, faults=faults)
    with served(relay.app()) as host:
        with opened(firehose(host), max_size=1_000_000) as socket:
            assert [socket.recv(60) for _ in range(9)] == frames[:9]
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(60)
            assert closed.value.sent is not None
            assert closed.value.sent.code == 1009
        assert receive(firehose(host, first + 8), 20).messages == frames[9:29]
    assert relay.stream.injector.injected == [Injected(Fault.OVERSIZED, 9, first + 9, 2_000_000)]


def test_a_commit_is_too_big(world: World, frames: list[bytes], first: int, post: int) -> None:
    relay = relay_of(world, faults=StreamFaults(at={post: Fault.TOO_BIG}))
    body = decode_dag_cbor_multi(read(relay, count=EVENTS).messages[post])[1]
    whole = decode_dag_cbor_multi(frames[post])[1]
    assert body == {**whole, "tooBig": True, "ops": [], "blocks": b""}
    (injected,) = relay.stream.injector.injected
    assert injected.lost == (first + post,)


def test_only_commits_can_be_corrupt_or_too_big(world: World, frames: list[bytes]) -> None:
    others = [place for place in range(EVENTS) if world.events[place].kind != "commit"]
    relay = relay_of(world)
    for fault in (Fault.CORRUPT, Fault.TOO_BIG):
        relay.stream.injector.faults = StreamFaults(at=dict.fromkeys(others, fault))
        with served(relay_of(world).app()) as host:
            assert receive(firehose(host), EVENTS).messages == frames
    assert relay.stream.injector.injected == []


def test_messages_come_again(world: World, frames: list[bytes], first: int) -> None:
    relay = relay_of(world, faults=StreamFaults(at={30: Strike(Fault.DUPLICATE, 10)}))
    got = read(relay, count=EVENTS + 10).messages
    assert got == frames[:30] + frames[20:30] + frames[30:]
    assert relay.stream.injector.injected == [Injected(Fault.DUPLICATE, 30, first + 30, 10)]


def test_two_messages_change_places(world: World, frames: list[bytes], first: int) -> None:
    relay = relay_of(world, faults=StreamFaults(at={30: Fault.SWAP, EVENTS - 1: Fault.SWAP}))
    got = read(relay, count=EVENTS).messages
    assert got == [*frames[:30], frames[31], frames[30], *frames[32:]]
    assert relay.stream.injector.injected == [Injected(Fault.SWAP, 30, first + 30, 0)]


def test_a_collector_tells_of_no_loss_where_messages_change_places(
    world: World, settings: Settings
) -> None:
    """All is stored, and nothing counts as missing or as come again."""
    swaps = dict.fromkeys(range(10, EVENTS - 10, 7), Fault.SWAP)
    relay = relay_of(world, faults=StreamFaults(at=swaps))
    with served(relay.app()) as host:
        there = settings.model_copy(update={"relay_url": host.replace("http", "ws", 1)})
        sync_firehose(there, Limits(EVENTS, EVENTS, 60))
    assert len(relay.stream.injector.injected) == len(swaps)
    landed = firehose_segments(there)
    footers = [found.footer() for day in landed.days() for found in landed.of_day(day)]
    assert sum(sum(footer.events.values()) for footer in footers) == EVENTS
    assert sum(footer.repeated for footer in footers) == 0
    completeness = Completeness()
    for footer in footers:
        completeness.add(footer)
    assert completeness.gaps == []
    assert completeness.missing_events == 0


def test_what_is_left_out_stays_left_out(world: World, frames: list[bytes], first: int) -> None:
    relay = relay_of(
        world, faults=StreamFaults(at={30: Strike(Fault.SKIP, 10), 45: Fault.DUPLICATE})
    )
    rest = frames[:30] + frames[40:45] + frames[42:45] + frames[45:]
    with served(relay.app()) as host:
        assert receive(firehose(host), len(rest)).messages == rest
        assert receive(firehose(host, first - 1), EVENTS - 10).messages == (
            frames[:30] + frames[40:]
        )
        assert receive(firehose(host, first + 33), 3).messages == frames[40:43]
    skip, _ = relay.stream.injector.injected
    assert skip.lost == tuple(range(first + 30, first + 40))


def test_the_end_of_a_stream_can_be_left_out(world: World, frames: list[bytes]) -> None:
    relay = relay_of(world, faults=StreamFaults(at={EVENTS - 2: Strike(Fault.SKIP, 10)}))
    assert read(relay).messages == frames[:-2]
    assert len(relay.stream.injector.injected[0].lost) == 2


@pytest.mark.parametrize("shift", [-1_000_000, 5_000])
def test_a_new_host_numbers_otherwise(
    world: World, frames: list[bytes], first: int, shift: int
) -> None:
    relay = relay_of(world, faults=StreamFaults(at={100: Strike(Fault.RENUMBER, shift)}))
    with served(relay.app()) as host:
        got = receive(firehose(host), EVENTS).messages
        assert numbers(got) == [
            *range(first, first + 100),
            *range(first + shift + 100, first + shift + EVENTS),
        ]
        header, body = decode_dag_cbor_multi(got[-1])
        body["seq"] -= shift
        assert (header, body) == tuple(decode_dag_cbor_multi(frames[-1]))
        # Later connections see all so numbered, and cursors are understood so.
        later = receive(firehose(host, first + shift + 49), 100).messages
        assert numbers(later) == list(range(first + shift + 50, first + shift + 150))
        stale = receive(firehose(host, first + 99), 1).messages[0]
        name = decode_dag_cbor_multi(stale)[1]
        assert (
            name.get("error") == "FutureCursor" if shift < 0 else name["name"] == ("OutdatedCursor")
        )
    assert relay.stream.injector.injected == [Injected(Fault.RENUMBER, 100, first + 100, shift)]


# Refused connections


def test_connections_are_refused_one_after_the_other(world: World, frames: list[bytes]) -> None:
    relay = relay_of(world, faults=StreamFaults(refusals=(503, 429)))
    with served(relay.app()) as host:
        for status in ("503", "429"):
            with pytest.raises(InvalidStatus, match=status):
                receive(firehose(host), 1)
        assert receive(firehose(host), 5).messages == frames[:5]


def test_connections_meet_faults_of_http(world: World) -> None:
    relay = relay_of(world, http_faults=HttpFaults(p429=1, retry_after=3))
    with served(relay.app()) as host:
        with pytest.raises(InvalidStatus) as refused:
            receive(firehose(host), 1)
        assert refused.value.response.headers["Retry-After"] == "3"
        relay.stream.upgrades.faults = HttpFaults()
        assert len(receive(firehose(host), 5).messages) == 5


# Many faults, by chance


def test_the_plan_is_as_the_seed_says(world: World, frames: list[bytes]) -> None:
    def injected(seed: int) -> tuple[list[bytes], list[Injected]]:
        shares = {Fault.GARBAGE: 0.05, Fault.DUPLICATE: 0.05, Fault.SKIP: 0.02}
        relay = relay_of(world, faults=StreamFaults(seed=seed, probability=shares))
        return read(relay).messages, relay.stream.injector.injected

    assert injected(1) == injected(1)
    assert injected(1) != injected(2)
    assert len({one.fault for one in injected(1)[1]}) == 3


@pytest.mark.parametrize("seed", range(3))
def test_a_consumer_comes_to_everything_but_what_is_lost(
    world: World, frames: list[bytes], first: int, seed: int
) -> None:
    lossy = {Fault.SKIP: 0.01, Fault.GARBAGE: 0.01, Fault.TRUNCATED: 0.01}
    shares = {**dict.fromkeys(LOSSLESS, 0.01), **lossy}
    relay = relay_of(world, faults=StreamFaults(seed=seed, probability=shares))
    with served(relay.app()) as host:
        got = [one for one in numbers(read_on(host)) if one is not None]
    lost = [one for injected in relay.stream.injector.injected for one in injected.lost]
    assert lost
    assert len(lost) == len(set(lost))
    assert set(got) == set(range(first, first + EVENTS)) - set(lost)


def test_nothing_is_lost_where_the_whole_follows(
    world: World, frames: list[bytes], first: int
) -> None:
    shares: Mapping[Fault, float] = {
        **dict.fromkeys(LOSSLESS, 0.01),
        **dict.fromkeys(DAMAGE - {Fault.OVERSIZED}, 0.02),
    }
    faults = StreamFaults(seed=3, probability=shares, whole_follows=True)
    relay = relay_of(world, faults=faults)
    with served(relay.app()) as host:
        got = Counter(read_on(host))
    assert {fault.fault for fault in relay.stream.injector.injected} >= DAMAGE - {Fault.OVERSIZED}
    assert all(one in got for one in frames)


@given(
    st.dictionaries(st.sampled_from(list(Fault)), st.floats(0, 0.09), min_size=1),
    st.integers(-(2**64), 2**64),
)
def test_chances_are_as_often_as_said(shares: dict[Fault, float], seed: int) -> None:
    injector = StreamInjector(StreamFaults(seed=seed, probability=shares))
    strikes = Counter(
        strike.fault for at in range(2000) if (strike := injector.strike(at)) is not None
    )
    assert set(strikes) <= {fault for fault, share in shares.items() if share}
    for fault, share in shares.items():
        assert abs(strikes[fault] - 2000 * share) < 90  # nearly seven standard deviations
    assert all(injector.strike(at) is None for at in range(2000))


@pytest.mark.parametrize("shares", [{Fault.SKIP: -0.1}, {Fault.SKIP: 0.6, Fault.SLOW: 0.6}])
def test_chances_that_are_none_are_refused(shares: dict[Fault, float]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        StreamFaults(probability=shares)


def test_faults_are_replaced_while_it_runs(world: World, frames: list[bytes], first: int) -> None:
    relay = relay_of(world)
    with served(relay.app()) as host:
        assert receive(firehose(host), 50).messages == frames[:50]
        relay.stream.injector.faults = StreamFaults(at={60: Fault.CLOSE})
        for _ in range(2):
            got: Any = receive_until_closed(firehose(host, first + 49))
            assert (got.messages, got.close_code) == (frames[50:60], 1000)
            relay.stream.injector.faults = StreamFaults(at={60: Fault.CLOSE})
    faults = [one.fault for one in relay.stream.injector.injected]
    assert faults == list(itertools.repeat(Fault.CLOSE, 2))
