"""Runs an aiohttp application of the sandbox in a thread, and stands in for its posts."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Known:
    """A post as the LLM endpoint looks at it."""

    text: str
    is_political: bool = False
    ideology: str | None = None

    @property
    def record(self) -> dict[str, Any]:
        return {"$type": "app.bsky.feed.post", "text": self.text}


@contextmanager
def served(app: web.Application) -> Iterator[str]:
    """The URL at which `app` is served meanwhile."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
