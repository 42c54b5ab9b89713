"""A small XRPC host on loopback that answers as a test tells it to."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Asked:
    """A request that arrived."""

    method: str
    params: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    at: float

    def one(self, name: str) -> str | None:
        return self.params.get(name, [None])[0]


@dataclass
class Answer:
    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Respond = Callable[[Asked], Answer]


@dataclass
class Host:
    url: str
    asked: list[Asked]

    @property
    def name(self) -> str:
        return self.url.removeprefix("http://")


@contextmanager
def serve(respond: Respond) -> Iterator[Host]:
    """Serve XRPC methods under /xrpc/ from a thread of its own, on a free port of loopback."""
    asked: list[Asked] = []
    loop = asyncio.new_event_loop()
    started = threading.Event()
    port: list[int] = []

    async def handle(request: web.Request) -> web.Response:
        arrived = Asked(
            request.match_info["method"],
            {name: request.query.getall(name) for name in request.query},
            dict(request.headers),
            await request.read(),
            time.monotonic(),
        )
        asked.append(arrived)
        answer = respond(arrived)
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        return web.Response(
            body=body,
            status=answer.status,
            headers={"content-type": "application/json", **answer.headers},
        )

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/xrpc/{method}", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.append(runner.addresses[0][1])
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(100)
    try:
        yield Host(f"http://127.0.0.1:{port[0]}", asked)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(100)
