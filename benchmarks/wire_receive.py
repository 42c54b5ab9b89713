"""Receiving over TLS on loopback: which client costs how much, alone and with decoding.

Each way reads the same events from the same relay in a process of its own; CPU time of that
process counts, without its start. `decode` is our reader on top, as the collector uses it.
Usage: python -m benchmarks.wire_receive [EVENTS]
"""

import asyncio
import json
import os
import resource
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import picows
import websockets

from benchmarks.wire_server import serving
from bsky_assets.bluesky.firehose import FirehoseReader
from bsky_assets.bluesky.spool import COMMIT_ROWS, few_collections
from bsky_assets.bluesky.websocket import connect, session

TURNS = 3
METHOD = "/xrpc/com.atproto.sync.subscribeRepos"

Take = Callable[[bytes], None]


def take_nothing(_: bytes) -> None:
    pass


def decoder() -> Take:
    """What reads a frame, and lets go of the rows now and then, as a commit would."""
    reader = FirehoseReader("relay.test")
    read = reader.read

    def take(frame: bytes) -> None:
        read(frame, 1_772_992_800_000_000)
        if len(reader.rows.posts) >= COMMIT_ROWS:
            reader.rows.take()
            reader.take_events()

    return take


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

    class Listener(picows.WSListener):  # type: ignore[misc]
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


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    best: dict[str, float] = {}
    with serving(events, tls=True) as relay:
        environment = {**os.environ, "SSL_CERT_FILE": str(relay.authority)}
        for _ in range(TURNS):
            for client in CLIENTS:
                for way in ("bare", "decode"):
                    command = [sys.executable, "-m", __spec__.name, "--one", client, way]
                    ran = subprocess.run(
                        [*command, relay.url, str(events)],
                        env=environment,
                        stdout=subprocess.PIPE,
                        check=True,
                        timeout=300,
                    )
                    name = f"{client}_{way}_us"
                    best[name] = round(min(best.get(name, float("inf")), float(ran.stdout)), 2)
    for name, spent in best.items():
        print(f"{name:24} {spent:6.2f}")
    ratios = {
        f"{client}_ratio": round(best[f"{client}_decode_us"] / best[f"{client}_bare_us"], 2)
        for client in CLIENTS
    }
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "name": "wire_receive",
                "ratio": ratios["aiohttp_ratio"],
                **ratios,
                **best,
                "peak_memory_mb": round(peak),
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _, _, client, way, url, events = sys.argv
        print(asyncio.run(measure(client, way, url, int(events))))
    else:
        main()
