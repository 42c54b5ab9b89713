"""Receiving over TLS on loopback: which client costs how much, alone and with decoding.

Each way reads the same events from the same relay in a process of its own; CPU time of that
process counts, without its start. `decode` is our reader on top, as the collector uses it. The
two ways of a client run one after the other, as what they cost varies with what else runs here:
the median of what they cost in each turn counts, and of how much more decoding cost in it.
Usage: python -m benchmarks.wire_receive [EVENTS]
"""

import asyncio
import os
import resource
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median

import aiohttp
import picows
import websockets

from benchmarks.measuring import peak_mb, report
from benchmarks.wire_server import Server, serving
from bsky_assets.bluesky.firehose import FirehoseReader
from bsky_assets.bluesky.spool import few_collections
from bsky_assets.bluesky.websocket import connect, session

TURNS = 5
RECEIVED = 1_772_992_800_000_000
METHOD = "/xrpc/com.atproto.sync.subscribeRepos"

Take = Callable[[bytes], None]


def take_nothing(_: bytes) -> None:
    pass


def decoder() -> Take:
    """What reads a frame; its rows stay where they are, as until a commit."""
    read = FirehoseReader("relay.test").read
    return lambda frame: read(frame, RECEIVED)


async def with_aiohttp(url: str, events: int, take: Take) -> None:
    async with session() as client:
        socket = await connect(client, url)
        receive = socket.receive
        for _ in range(events):
            message = await receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                raise RuntimeError(message)
            take(message.data)
        await socket.close()


async def with_websockets(url: str, events: int, take: Take) -> None:
    async with websockets.connect(url, max_size=None, compression=None) as socket:
        receive = socket.recv
        for _ in range(events):
            frame = await receive()
            take(frame if isinstance(frame, bytes) else frame.encode())


async def with_picows(url: str, events: int, take: Take) -> None:
    done = asyncio.get_running_loop().create_future()
    left = events

    class Listener(picows.WSListener):  # type: ignore[misc]  # picows has no types
        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            nonlocal left
            if left:
                take(frame.get_payload_as_bytes())
                left -= 1
                if not left:
                    done.set_result(None)

    transport, _ = await picows.ws_connect(Listener, url, ssl_context=ssl.create_default_context())
    await done
    transport.disconnect()


CLIENTS: dict[str, Callable[[str, int, Take], Awaitable[None]]] = {
    "aiohttp": with_aiohttp,
    "picows": with_picows,
    "websockets": with_websockets,
}


async def measure(client: str, way: str, url: str, events: int) -> float:
    """Microseconds of CPU an event."""
    take = decoder() if way == "decode" else take_nothing
    with few_collections():
        began = time.process_time()
        await CLIENTS[client](url + METHOD, events, take)
        return (time.process_time() - began) / events * 1e6


def run(client: str, way: str, relay: Server, events: int) -> float:
    """`measure` in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--one", client, way, relay.url, str(events)]
    ran = subprocess.run(
        command,
        env={**os.environ, "SSL_CERT_FILE": str(relay.authority)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=300,
    )
    return float(ran.stdout)


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
    spent: dict[str, list[tuple[float, float]]] = {client: [] for client in CLIENTS}
    with serving(events, tls=True) as relay:
        for _ in range(TURNS):
            for client in CLIENTS:
                bare, decode = (run(client, way, relay, events) for way in ("bare", "decode"))
                spent[client].append((bare, decode))
    figures: dict[str, float] = {}
    for client, turns in spent.items():
        bare, decode = (round(median(way), 2) for way in zip(*turns, strict=True))
        ratio = round(median(more / less for less, more in turns), 2)
        print(f"{client:10} bare {bare:6.2f}, with decoding {decode:6.2f} us: {ratio:.2f} times")
        figures |= {f"{client}_ratio": ratio, f"{client}_us": bare, f"{client}_decode_us": decode}
    figures["peak_memory_mb"] = peak_mb(resource.RUSAGE_CHILDREN)
    report("wire_receive", ratio=figures["aiohttp_ratio"], **figures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _, _, client, way, url, events = sys.argv
        print(asyncio.run(measure(client, way, url, int(events))))
    else:
        main()
