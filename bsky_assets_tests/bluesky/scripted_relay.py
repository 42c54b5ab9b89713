"""A relay on loopback that does exactly what a test says, connection by connection."""

import asyncio
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Refuse:
    """Answer the upgrade with an HTTP status."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


CLOSE = "close"
ABORT = "abort"
STALL = "stall"
HELD_UP = "held up"
HELD_UP_SECONDS = 0.2
Step = bytes | str | threading.Event
Script = Sequence[Step] | Refuse


@dataclass
class ScriptedRelay:
    """Plays one script a connection, the last one again and again; a script ends in a stall.

    Pings are answered when a script has been played, so that silence is never taken for its end
    before."""

    scripts: Sequence[Script]
    cursors: list[str | None] = field(default_factory=list)
    """The cursor that each connection asked for."""
    url: str = ""
    sent: int = 0
    """Frames that were handed to the socket."""

    labels: Script = ()
    """What each connection to the labels' stream plays."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("subscribeLabels"):
            return await self._play(request, self.labels)
        script = self.scripts[min(len(self.cursors), len(self.scripts) - 1)]
        self.cursors.append(request.query.get("cursor"))
        return await self._play(request, script)

    async def _play(self, request: web.Request, script: Script) -> web.StreamResponse:
        if isinstance(script, Refuse):
            reason = HTTPStatus(script.status).phrase
            return web.Response(status=script.status, headers=script.headers, text=reason)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        for step in script:
            match step:
                case bytes():
                    await socket.send_bytes(step)
                    self.sent += 1
                case "close":
                    await socket.close()
                case "abort":
                    assert request.transport is not None
                    request.transport.abort()
                case "stall":
                    break
                case "held up":
                    await asyncio.sleep(HELD_UP_SECONDS)
                case threading.Event():
                    await asyncio.to_thread(step.wait, 100)
                case _:
                    await socket.send_str(step)
        async for _ in socket:  # answers pings until the client goes away
            pass
        return socket


@contextmanager
def serve(relay: Any, context: ssl.SSLContext | None = None) -> Iterator[Any]:
    """Have `relay` (with `handle` and `url`) served on a port of its own while the block runs."""
    started, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/xrpc/{method}", relay.handle)
        app.router.add_get("/subscribe", relay.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        relay.url = f"wss://localhost:{port}" if context else f"ws://127.0.0.1:{port}"
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert started.wait(60)
    try:
        yield relay
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
