"""Reads the sandbox's streams with a client that shares nothing with what serves them."""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import Any

from libipld import decode_dag_cbor, encode_dag_cbor
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from bsky_sandbox.posts import to_dag
from bsky_sandbox.relay import METHOD, Relay
from bsky_sandbox.world import World

Blocks = dict[bytes, bytes]

LONG_ENOUGH = 100.0
CID_BYTES = 36
_RECORD = b"\x01\x71\x12\x20"


@dataclass
class Received:
    """What a consumer got."""

    messages: list[Any]
    close_code: int | None
    """How the connection ended; None if it was the consumer who had enough."""


def receive(url: str, count: int | None = None) -> Received:
    """The first `count` messages, or all: until the server closes or answers a ping, which it does
    when it has sent everything."""
    with opened(url) as socket:
        is_done = Event()
        if count is None:
            with suppress(ConnectionClosed):
                is_done = socket.ping()
        return _received(socket, is_done, count)


def receive_until_closed(url: str) -> Received:
    """All messages, from a server that will close the connection."""
    with opened(url) as socket:
        return _received(socket, Event(), None)


def opened(url: str, max_size: int | None = None) -> ClientConnection:
    """A connection to a stream."""
    return connect(url.replace("http", "ws", 1), max_size=max_size, close_timeout=0.1)


def _received(socket: ClientConnection, is_done: Event, count: int | None) -> Received:
    messages: list[Any] = []
    try:
        while len(messages) != count:
            message = _next(socket, is_done)
            if message is None:
                break
            messages.append(message)
    except ConnectionClosed:
        return Received(messages, socket.protocol.close_code)
    return Received(messages, None)


def _next(socket: ClientConnection, is_done: Event) -> Any:
    """The next message; None if the server was done before and there is none."""
    deadline = time.monotonic() + LONG_ENOUGH
    while time.monotonic() < deadline:
        was_done = is_done.is_set()
        with suppress(TimeoutError):
            return socket.recv(0 if was_done else 0.02)
        if was_done:
            return None
    raise TimeoutError(f"nothing came for {LONG_ENOUGH:.0f} s")


def firehose(host: str, cursor: int | None = None) -> str:
    """The URL of the firehose of a host."""
    query = "" if cursor is None else f"?cursor={cursor}"
    return f"{host}/xrpc/{METHOD}{query}"


def cid_of_record(record: Mapping[str, Any]) -> bytes:
    """The CID of a record as JSON."""
    return _RECORD + hashlib.sha256(encode_dag_cbor(to_dag(record))).digest()


def relay_of(world: World, **options: Any) -> Relay:
    """A relay of all that happens in `world`."""
    before = [(did, path, cid_of_record(record)) for did, path, record in world.records_before()]
    return Relay(world.events, before, **options)


def blocks_of(car: bytes) -> tuple[list[bytes], Blocks]:
    """The roots and the blocks of a CAR, section by section as its specification says."""
    sections = list(_sections(car))
    header = decode_dag_cbor(sections[0])
    assert header["version"] == 1
    blocks = {section[:CID_BYTES]: section[CID_BYTES:] for section in sections[1:]}
    return header["roots"], blocks


def _sections(car: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(car):
        length = shift = 0
        while True:
            length |= (car[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if car[at - 1] < 0x80:
                break
        yield car[at : at + length]
        at += length
    assert at == len(car)


def value_in_tree(blocks: Blocks, root: bytes, key: bytes) -> bytes | None:
    """What a Merkle search tree has at `key`, by the blocks of a proof alone.

    Raises:
        KeyError: the proof lacks a block.
    """
    at: bytes | None = root
    while at is not None:
        node = decode_dag_cbor(blocks[at])
        at, before = node["l"], b""
        for entry in node["e"]:
            before = before[: entry["p"]] + entry["k"]
            if before == key:
                value: bytes = entry["v"]
                return value
            if before > key:
                break
            at = entry["t"]
    return None


def root_of(records: Mapping[bytes, bytes]) -> bytes:
    """The root of the tree of `records`, built at one go from the sorted keys."""
    layers = {key: _layer(key) for key in records}
    root = _built(sorted(records), max(layers.values(), default=0), layers, records)
    return root or _hashed({"l": None, "e": []})


def _built(
    keys: list[bytes], layer: int, layers: Mapping[bytes, int], records: Mapping[bytes, bytes]
) -> bytes | None:
    if not keys:
        return None
    runs: list[list[bytes]] = [[]]
    own = [key for key in keys if layers[key] == layer]
    for key in keys:
        if layers[key] == layer:
            runs.append([])
        else:
            runs[-1].append(key)
    children = [_built(run, layer - 1, layers, records) for run in runs]
    entries, before = [], b""
    for key, child in zip(own, children[1:], strict=True):
        shared = 0
        while key[: shared + 1] == before[: shared + 1]:
            shared += 1
        entries.append({"p": shared, "k": key[shared:], "v": records[key], "t": child})
        before = key
    return _hashed({"l": children[0], "e": entries})


def _layer(key: bytes) -> int:
    bits = "".join(f"{byte:08b}" for byte in hashlib.sha256(key).digest())
    return (len(bits) - len(bits.lstrip("0"))) // 2


def _hashed(node: dict[str, Any]) -> bytes:
    return _RECORD + hashlib.sha256(encode_dag_cbor(node)).digest()
