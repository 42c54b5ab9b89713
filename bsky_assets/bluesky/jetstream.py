"""The firehose as JSON, from a Jetstream: only the collections that we need, for less bandwidth.

Both versions are spoken: v1 (`/subscribe`, events known by an instant in microseconds) and v2
(`network.bsky.jetstream.subscribeEvents`, events known by a number, compressed with a dictionary
that the host hands out). Which one a host speaks is found out when it is first asked.
What differs from a relay: nothing is signed, records come without the blocks that their CIDs are
of, and numbers have holes where events were left out that we did not ask for.

Source: lexicons network.bsky.jetstream.*, and the README of bluesky-social/jetstream.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
import zstandard

from bsky_assets.bluesky.accounting import OUTDATED_CURSOR, UNREADABLE
from bsky_assets.bluesky.kinds import KINDS
from bsky_assets.bluesky.reader import NUMBER_BITS, EventReader
from bsky_assets.bluesky.records import PROBLEMS, Unreadable
from bsky_assets.bluesky.repositories import (
    PUTS,
    checked_did,
    take_account,
    take_record,
    unknown_action,
)
from bsky_assets.bluesky.rows import Deletion
from bsky_assets.bluesky.websocket import (
    LARGEST_FRAME,
    Disconnected,
    Socket,
    StreamError,
    connect,
    error_name,
)
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.settings import host_of

V1 = "subscribe"
_V2 = "xrpc/network.bsky.jetstream.subscribeEvents"
_DICTIONARY = "xrpc/network.bsky.jetstream.getZstdDictionary"
SUBPROTOCOL = "xrpc.v1.json"

_OLDEST_INSTANT = 10**15
"""Cursors from here on are instants, to v2 as to v1; this one is long before any event."""
_NO_SUCH_METHOD = frozenset((HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED))

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MICROSECONDS = 1_000_000


class JetstreamReader(EventReader):
    """Messages of a Jetstream of either version, read one after the other."""

    source = RawFirehosePost.asset
    usual_kind = "commit"

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.dictionary: int | None = None
        """The number of the dictionary in use, if there is one."""
        self._zstd = zstandard.ZstdDecompressor()

    def use_dictionary(self, dictionary: bytes) -> None:
        """Read compressed messages with `dictionary`; with an empty one, take none for granted."""
        loaded = zstandard.ZstdCompressionDict(dictionary)
        self.dictionary = loaded.dict_id() or None
        self._zstd = zstandard.ZstdDecompressor(dict_data=loaded)

    def read(self, message: bytes, received: int) -> None:
        """Take one message that arrived at `received`, in microseconds since the epoch.

        Raises:
            StreamError: it is an error, or says that our cursor is not one of this host's.
        """
        seq, time = UNREADABLE, None
        try:
            text = message
            if message.startswith(_ZSTD_MAGIC):
                text = self._zstd.decompress(message, max_output_size=LARGEST_FRAME)
            body, kind = _body(orjson.loads(text))
            if kind == "info":
                self._read_info(body)
                return
            number = body["time_us"] if "time_us" in body else body["seq"]
            if type(number) is not int or number >> NUMBER_BITS:
                raise Unreadable("bad_seq", "the event has no usable number")
            seq, time = number, _time(body, number)
            if self.passing_until is None or not self.is_passed_over(time):
                self._read_event(kind, body, seq, time, received)
        except (*PROBLEMS, zstandard.ZstdError) as error:
            self.quarantine(error, message, seq, received)
        self.note(seq, time)

    def _read_event(
        self, kind: str, body: dict[str, Any], seq: int, time: str, received: int
    ) -> None:
        if kind == "commit":
            self._read_commit(body.get("commit", body), body["did"], seq, time, received)
        elif kind in ("identity", "account", "sync"):
            self.note_kind(kind)
            if kind == "sync":
                sync = body["sync"]
                self.revisions.jumped(checked_did(body["did"]), sync.get("rev"), time, "sync")
            elif kind == "account":
                account = body["account"]
                take_account(self.rows, account, seq, account.get("time"), received)
        else:
            self.note_kind("unknown")
            raise Unreadable("unknown_event", "an event of a kind that is not in the lexicon")

    def _read_commit(
        self, commit: dict[str, Any], did: Any, seq: int, time: str, received: int
    ) -> None:
        self.revisions.unknown()
        kind = KINDS.get(commit["collection"])
        if kind is None:
            return
        path = f"{commit['collection']}/{commit['rkey']}"
        if commit["operation"] == "delete":
            deletion = Deletion(did, path, commit.get("rev"), seq, time, received)
            kind.take_deletion(self.rows, deletion)
            return
        action = commit["operation"]
        if action not in PUTS:
            raise unknown_action()
        did, cid, record = checked_did(did), commit["cid"], commit["record"]
        if type(cid) is not str:
            raise Unreadable("bad_cid", "the operation's CID is not a string")
        put = (did, path, cid, commit["rev"], action, seq, time, received, record)
        take_record(self.rows, kind, put)

    def _read_info(self, body: dict[str, Any]) -> None:
        self._kinds["info"] += 1
        if body["name"] == "FutureCursor":
            raise StreamError("FutureCursor", "")
        if body["name"] == "OutdatedCursor":
            self.note(OUTDATED_CURSOR, None)


class Jetstream:
    """A Jetstream that the firehose is read from."""

    variable = "BSKY_JETSTREAM_URL"
    without_holes = False
    may_rest = False
    sends_cursor_again = True
    is_rewound = True
    patience = 30.0

    def __init__(self, url: str) -> None:
        self.url = url
        self.host = host_of(url)
        self.reader = JetstreamReader(self.host)
        self._version: int | None = None
        self._wants_dictionary = True
        self._refused_dictionary: int | None = None

    async def connect(self, client: aiohttp.ClientSession, cursor: int | None) -> Socket:
        """Go on from `cursor`, which is sent again, or begin with what happens now."""
        if self._version is None:
            return await self._connect_to_either(client, cursor)
        if self._version == 1:
            return await connect(client, self._url_v1(cursor))
        return await self._connect_v2(client, cursor)

    async def _connect_to_either(self, client: aiohttp.ClientSession, cursor: int | None) -> Socket:
        try:
            socket = await self._connect_v2(client, cursor)
        except Disconnected as error:
            if error.status not in _NO_SUCH_METHOD:
                raise
            socket = await connect(client, self._url_v1(cursor))
            self._version = 1
        else:
            self._version = 2
        return socket

    async def _connect_v2(self, client: aiohttp.ClientSession, cursor: int | None) -> Socket:
        if self._wants_dictionary:
            await self._fetch_dictionary(client)
        url = self._url_v2(_OLDEST_INSTANT if cursor == 0 else cursor)
        try:
            return await connect(client, url, protocols=(SUBPROTOCOL,))
        except Disconnected as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            name = await error_name(client, url)
            if name == "UnknownZstdDictionary":
                self._wants_dictionary = True
                self._refused_dictionary = self.reader.dictionary
                raise Disconnected("its zstd dictionary is another now", was_open=False) from error
            if name == "CursorTooOld":
                raise StreamError("CursorTooOld", "") from error
            raise

    async def _fetch_dictionary(self, client: aiohttp.ClientSession) -> None:
        """Get the dictionary, if there is one: without it the stream is not compressed."""
        dictionary = b""
        try:
            async with client.get(f"{_http(self.url)}/{_DICTIONARY}") as response:
                if response.status == HTTPStatus.OK:
                    dictionary = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return
        self.reader.use_dictionary(dictionary)
        if self.reader.dictionary == self._refused_dictionary:
            self.reader.use_dictionary(b"")
        self._wants_dictionary = False

    def _url_v1(self, cursor: int | None) -> str:
        query = [("wantedCollections", name) for name in KINDS]
        return f"{self.url}/{V1}?{_encoded(query, cursor)}"

    def _url_v2(self, cursor: int | None) -> str:
        query = [("collections", name) for name in KINDS]
        query += [("kinds", kind) for kind in ("commit", "account", "sync")]
        if (dictionary := self.reader.dictionary) is not None:
            query.append(("zstdDictionary", str(dictionary)))
        return f"{self.url}/{_V2}?{_encoded(query, cursor)}"


def _body(content: Any) -> tuple[dict[str, Any], str]:
    """The event in a message, and its kind.

    Raises:
        StreamError: it is an error.
    """
    envelope = content.get("$type")
    if envelope is None:
        return content, content["kind"]
    if envelope == "error":
        raise StreamError(str(content["error"]), str(content.get("message") or ""))
    body = content["payload"]
    return body, body["$type"].partition("#")[2]


def _time(body: dict[str, Any], number: int) -> str:
    """When the host witnessed an event: v1 tells it by the number alone."""
    if "time_us" not in body:
        time: str = body.get("witnessedAt") or body["time"]
        return time
    try:
        return datetime.fromtimestamp(number / _MICROSECONDS, UTC).isoformat()
    except (OverflowError, OSError, ValueError):
        raise Unreadable("bad_seq", "the event's number is not an instant") from None


def _encoded(query: list[tuple[str, str]], cursor: int | None) -> str:
    return urlencode(query if cursor is None else [*query, ("cursor", str(cursor))])


def _http(url: str) -> str:
    return url.replace("ws", "http", 1)
