"""Runs an aiohttp application of the sandbox in a thread, and makes posts for it to know."""

import asyncio
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields as fields_of
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from bsky_sandbox.accounts import SandboxAccount
from bsky_sandbox.posts import SandboxPost, cid_of, tid

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_POST_FIELDS = {field.name for field in fields_of(SandboxPost)}


@contextmanager
def served(app: web.Application, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The URL at which `app` is served meanwhile, over TLS where there is a certificate."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        return int(runner.addresses[0][1])

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        port = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


def account(number: int, labels: Sequence[str] = ()) -> SandboxAccount:
    """An account; the same number, the same account."""
    name = f"Sand Dune {number} 🏖"
    return SandboxAccount(
        did="did:plc:" + "".join(_BASE32[number >> 5 * place & 31] for place in range(24)),
        handle=f"dune{number}.sandbox.test",
        display_name=name,
        avatar=cid_of({"picture": number}),
        status="active",
        self_labels=tuple(labels),
        profile={
            "$type": "app.bsky.actor.profile",
            "displayName": name,
            "labels": {
                "$type": "com.atproto.label.defs#selfLabels",
                "values": [{"val": label} for label in labels],
            },
            "createdAt": "2026-01-02T03:04:05.000Z",
        },
        is_bot=False,
    )


_SOMEBODY = account(0)


def post(number: int, author: SandboxAccount = _SOMEBODY, **changes: Any) -> SandboxPost:
    """A post. Changes go to the post where it has such a field, else to the record."""
    own = {name: changes.pop(name) for name in list(changes) if name in _POST_FIELDS}
    record = {
        "$type": "app.bsky.feed.post",
        "text": f"Post {number} ⛱\nwith a second line",
        "createdAt": "2026-11-20T12:30:00.000Z",
        "langs": ["en"],
        **changes,
    }
    fields: dict[str, Any] = {
        "uri": f"at://{author.did}/app.bsky.feed.post/{tid(number)}",
        "cid": cid_of(record),
        "rkey": tid(number),
        "did": author.did,
        "handle": author.handle,
        "display_name": author.display_name,
        "record": record,
        "language": "en",
        "ideology": None,
        "account_status": "active",
        "in_firehose": True,
        "in_feed": True,
        "like_count": 7,
        "reply_count": 6,
        "repost_count": 5,
        "quote_count": 4,
        "created_at": datetime(2026, 11, 20, 12, 30, tzinfo=UTC),
        "indexed_at": datetime(2026, 11, 20, 12, 30, 1, 250_000, UTC),
    }
    others = dict.fromkeys(_POST_FIELDS - fields.keys(), False)
    return SandboxPost(**others | fields | own)
