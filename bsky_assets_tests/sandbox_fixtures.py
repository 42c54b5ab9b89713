"""Runs an aiohttp application of the sandbox in a thread, and stands in for its posts."""

import asyncio
import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
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


@dataclass(frozen=True)
class Shown:
    """A post as the AppView looks at it."""

    number: int
    record: dict[str, Any]
    author: int = 0
    is_deleted: bool = False
    account_status: str = "active"
    display_name: str | None = "Sand Dune 🏖"
    indexed_at: datetime = datetime(2026, 11, 20, 12, 30, 1, 250_000, UTC)
    like_count: int = 7
    reply_count: int = 6
    repost_count: int = 5
    quote_count: int = 4

    @property
    def did(self) -> str:
        return f"did:plc:{base32(self.author)}"

    @property
    def handle(self) -> str:
        return f"dune{self.author}.sandbox.test"

    @property
    def uri(self) -> str:
        return f"at://{self.did}/app.bsky.feed.post/3l{self.number:011d}"

    @property
    def cid(self) -> str:
        return cid_of(self.uri)


def base32(number: int) -> str:
    return "".join("abcdefghijklmnopqrstuvwxyz234567"[number >> 5 * i & 31] for i in range(24))


def cid_of(name: str) -> str:
    binary = b"\x01\x71\x12\x20" + hashlib.sha256(name.encode()).digest()
    return "b" + base64.b32encode(binary).decode().lower().rstrip("=")
