"""One WebSocket connection of a stream, and why it came to an end.

What does not belong here: what is in a message, and whether to connect again.
"""

import ssl
from collections.abc import Coroutine, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from importlib.metadata import version

import aiohttp

from bsky_assets.bluesky.records import Unreadable
from bsky_assets.settings import without_credentials
from bsky_assets.sync_day import now

LARGEST_FRAME = 16 * 2**20
"""Bytes; the specification's largest commit is a fraction of it."""
HEARTBEAT_SECONDS = 15.0
"""A host that does not answer a ping for half as long again is gone."""
CONNECT_SECONDS = 20.0
LONGEST_WAIT = 300.0
"""Seconds that a host's Retry-After is heeded for."""

Socket = aiohttp.ClientWebSocketResponse[bool]

_ARE_YOU_THERE = b"more?"
_USER_AGENT = f"bsky_assets/{version('bsky_assets')}"
_CLOSE_SECONDS = 2.0
_TOO_BIG = aiohttp.WSCloseCode.MESSAGE_TOO_BIG
_WORDS = 200


class Disconnected(Exception):
    """A connection that could not be made or came to an end; its message says why.

    `was_open`: whether the host had taken it. `is_final`: asking again would not help, as far as
    one can tell. `wait`: the seconds that the host asks us to stay away. `status`: the HTTP status
    with which it refused.
    """

    def __init__(
        self,
        reason: str,
        *,
        was_open: bool = True,
        is_final: bool = False,
        wait: float | None = None,
        status: int | None = None,
    ) -> None:
        """Say why; what the host said is made printable and cut short."""
        super().__init__("".join(c for c in reason[:_WORDS] if c.isprintable()))
        self.was_open = was_open
        self.is_final = is_final
        self.wait = wait
        self.status = status


class Silent(Disconnected):
    """Nothing came for longer than we were ready to wait."""


class StreamError(Disconnected):
    """The host sent an error frame and is about to close the stream."""

    def __init__(self, name: str, message: str) -> None:
        """Keep the error's name, e.g. ConsumerTooSlow, and the host's words."""
        super().__init__(f"{name}: {message}" if message else name)
        self.name = name


class FrameTooLarge(Disconnected):
    """The host sent a frame over our limit."""

    problem = Unreadable("frame_too_large", f"a frame of more than {LARGEST_FRAME} bytes")


def session() -> aiohttp.ClientSession:
    """A session for connections to one host; heeds the environment's proxies and authorities."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl.create_default_context()),
        headers={"User-Agent": _USER_AGENT},
        timeout=aiohttp.ClientTimeout(connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS),
        trust_env=True,
    )


async def connect(client: aiohttp.ClientSession, url: str, protocols: Sequence[str] = ()) -> Socket:
    """Connect to `url`. All messages come as bytes, whatever their kind, pings and pongs too.

    Raises:
        Disconnected: the host cannot be reached or does not want us.
    """
    address, credentials = without_credentials(url)
    try:
        return await client.ws_connect(
            address,
            headers=credentials,
            protocols=protocols,
            decode_text=False,
            autoping=False,
            heartbeat=HEARTBEAT_SECONDS,
            max_msg_size=LARGEST_FRAME,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
        )
    except aiohttp.WSServerHandshakeError as error:
        raise _refused(error) from error
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
        reason = f"TLS: {_words(error)}"
        raise Disconnected(reason, was_open=False) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Disconnected(f"cannot connect: {_words(error)}", was_open=False) from error


async def ask(socket: Socket) -> None:
    """Ask the host whether it is there; it answers with what `is_answer` knows.

    Raises:
        Disconnected: the connection is no longer there.
    """
    await _sent(socket.ping(_ARE_YOU_THERE))


def is_answer(kind: aiohttp.WSMsgType, data: object) -> bool:
    """Whether a message of this kind is the answer to `ask`."""
    return kind is aiohttp.WSMsgType.PONG and data == _ARE_YOU_THERE


async def answer(socket: Socket, kind: aiohttp.WSMsgType, data: bytes) -> None:
    """Answer the host, if it asks whether we are there.

    Raises:
        Disconnected: the connection is no longer there.
    """
    if kind is aiohttp.WSMsgType.PING:
        await _sent(socket.pong(data))


async def _sent(sending: Coroutine[None, None, None]) -> None:
    try:
        await sending
    except ConnectionError as error:
        raise Disconnected("connection lost (1006)") from error


async def error_name(client: aiohttp.ClientSession, url: str) -> str | None:
    """The XRPC error with which a host refuses `url`, asked without the wish to upgrade."""
    try:
        async with client.get(url.replace("ws", "http", 1)) as response:
            content = await response.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None
    return str(content.get("error")) if isinstance(content, dict) else None


def end_of(socket: Socket, kind: aiohttp.WSMsgType, data: object, extra: object) -> Disconnected:
    """Why a connection ended; `kind`, `data` and `extra` are of the last thing it gave."""
    if kind is aiohttp.WSMsgType.ERROR and socket.close_code == _TOO_BIG:
        return FrameTooLarge("a frame was too large")
    if kind is aiohttp.WSMsgType.ERROR:
        return Disconnected(f"protocol error: {data}")
    if kind is aiohttp.WSMsgType.CLOSE:
        return Disconnected(f"closed by the host ({data}{f' {extra}' if extra else ''})")
    return Disconnected("connection lost (1006)")


def _refused(error: aiohttp.WSServerHandshakeError) -> Disconnected:
    status = error.status
    return Disconnected(
        f"HTTP {status} {error.message}".strip(),
        was_open=False,
        is_final=400 <= status < 500 and status not in (408, 425, 429),
        status=status,
        wait=_retry_after(error.headers.get("Retry-After") if error.headers else None),
    )


def _retry_after(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        wait = float(value) if value.strip().isdigit() else _until(value)
    except (TypeError, ValueError):
        return None
    return min(max(wait, 0.0), LONGEST_WAIT)


def _until(date: str) -> float:
    return (parsedate_to_datetime(date).astimezone(UTC) - now()).total_seconds()


def _words(error: BaseException) -> str:
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(inner, ssl.SSLError):
        return inner.reason or str(inner)
    return str(inner) or type(inner).__name__
