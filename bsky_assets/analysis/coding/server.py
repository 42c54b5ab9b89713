"""The room on loopback: a page for each coder, and what its keys do.

Each coder has an address with a secret in it, so that coders do not meet each other's pages and no
other page in the browser can answer for them. A coder is told the codebook, the item, and what
they said themselves: nothing that a model or another coder said is read to make an answer, but
for an adjudicator, who is shown which answers were given and not by whom.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

import orjson

from bsky_assets.analysis.coding.items import Shown, version, words
from bsky_assets.analysis.coding.journal import ANSWER, DECISION, MEMO, UNDO, Journal
from bsky_assets.analysis.coding.room import CannotBeCoded, Room, check_coders, coded, disputed
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings

_LARGEST = 64_000
"""Bytes of a request; a memo may be long."""
_LONGEST_MEMO = 10_000
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class CannotOpen(UserError):
    """The port for the room is taken."""


class Refused(Exception):
    """What a page asked for cannot be done; the message says why."""


class Desk:
    """What one coder sees and does."""

    def __init__(
        self, room: Room, coder: str, journal: Journal, present: "Present", *, adjudicates: bool
    ) -> None:
        """Of `coder`, whose items are those assigned to them, or else what coders disagree on."""
        self._room, self._coder, self._journal, self._present = room, coder, journal, present
        self._choices = disputed(room) if adjudicates else {}
        self._mine = tuple(self._choices) if adjudicates else room.assigned.get(coder, ())
        self._did = DECISION if adjudicates else ANSWER

    def state(self) -> dict[str, Any]:
        """The next item without an answer, and how far the coder is."""
        shown = self._present.shown()
        said = self._journal.of(self._coder)
        there = [item for item in self._mine if item in shown]
        left = [item for item in there if item not in said.answers]
        state: dict[str, Any] = {
            "coder": self._coder,
            "total": len(there),
            "done": len(there) - len(left),
            "answers": self._room.codebook.answers,
            "codebook": self._room.codebook.text,
            "can_undo": said.last is not None,
        }
        if left:
            given = sorted({*self._choices.get(left[0], {}).values()})
            memo = said.memos.get(left[0], "")
            state["item"] = {"number": left[0], "shown": shown[left[0]], "memo": memo}
            state["disputed"] = given
        return state

    def act(self, did: str, asked: Mapping[str, Any]) -> None:
        """Save what a key means.

        Raises:
            Refused: the item is not the coder's or is gone, or the answer is none of the codebook.
        """
        item, value = asked.get("item"), asked.get("value", "")
        if did == UNDO:
            self._undo()
        elif not isinstance(item, int) or item not in self._mine:
            raise Refused("this item is not yours")
        elif item not in self._present.shown():
            raise Refused("this post has been deleted")
        elif did == ANSWER and value not in self._room.codebook.answers:
            raise Refused("the codebook has no such answer")
        elif not isinstance(value, str) or len(value) > _LONGEST_MEMO:
            raise Refused("this memo is too long")
        else:
            self._journal.add(self._coder, item, self._did if did == ANSWER else did, value)

    def _undo(self) -> None:
        last = self._journal.of(self._coder).last
        if last is None:
            raise Refused("there is nothing to undo")
        self._journal.add(self._coder, last, UNDO)


class Present:
    """What can be shown, read again when posts may have left."""

    def __init__(self, room: Room, settings: Settings) -> None:
        self._room, self._settings = room, settings
        self._version: tuple[str, ...] | None = None
        self._shown: dict[int, Shown] = {}
        self._turn = threading.Lock()

    def shown(self) -> dict[int, Shown]:
        """Of each item that is there, by number."""
        days, asset = self._room.days, self._room.codebook.asset
        with self._turn:
            if (now := version(self._settings, days, asset)) != self._version:
                items = self._room.items.values()
                self._shown = words(self._settings, days, items, asset)
                self._version = now
            return self._shown


class RoomServer:
    """A room that is open; `addresses` has each coder's page."""

    def __init__(
        self,
        room: Room,
        settings: Settings,
        journal: Journal,
        port: int = 0,
        *,
        adjudicator: str | None = None,
    ) -> None:
        """Listen on 127.0.0.1, for the room's coders or one adjudicator; port 0 is any free one.

        Raises:
            CannotBeCoded: the adjudicator is one of the coders.
            CannotOpen: the port is taken.
        """
        coders = list(room.assigned)
        if adjudicator is not None:
            _check_adjudicator(room, adjudicator)
            coders = [adjudicator]
        present, decides = Present(room, settings), adjudicator is not None
        desks = {
            secrets.token_urlsafe(16): Desk(room, coder, journal, present, adjudicates=decides)
            for coder in coders
        }
        try:
            self._server = _Server(("127.0.0.1", port), desks)
        except OSError as error:
            raise CannotOpen(f"cannot listen on port {port}: {error.strerror}") from None
        host = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.addresses = {
            coder: f"{host}/{secret}/" for coder, secret in zip(coders, desks, strict=True)
        }

    def serve(self) -> None:
        """Answer until the process is interrupted."""
        try:
            self._server.serve_forever(poll_interval=0.1)
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """End `serve`, which runs in another thread."""
        self._server.shutdown()


def _check_adjudicator(room: Room, name: str) -> None:
    check_coders([name])
    known = {coder.casefold() for coder in (*room.assigned, *coded(room))}
    if name.casefold() in known:
        raise CannotBeCoded(f"{name!r} is a coder of this room; another person has to adjudicate")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], desks: Mapping[str, Desk]) -> None:
        handler = partial(_Handler, desks)
        super().__init__(address, handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = 60

    def __init__(self, desks: Mapping[str, Desk], *arguments: Any) -> None:
        self._desks = desks
        super().__init__(*arguments)

    def do_GET(self) -> None:
        desk, page = self._find()
        if desk is None or page not in ("", "state"):
            self._send(HTTPStatus.NOT_FOUND, b"no such page", "text/plain")
        elif page == "":
            self._send(HTTPStatus.OK, _page_of_room(), "text/html; charset=utf-8")
        else:
            self._answer(desk.state)

    def do_POST(self) -> None:
        desk, did = self._find()
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 <= length <= _LARGEST:
            self.close_connection = True
            self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"too long", "text/plain")
            return
        body = self.rfile.read(length)
        is_json = self.headers.get("Content-Type") == "application/json"
        if desk is None or did not in (ANSWER, UNDO, MEMO) or not is_json:
            self._send(HTTPStatus.NOT_FOUND, b"no such page", "text/plain")
            return
        self._answer(lambda: _acted(desk, did, body))

    def _find(self) -> tuple[Desk | None, str]:
        """The desk that the address has the secret of; none for a name that is not loopback's."""
        host = (self.headers.get("Host") or "").partition(":")[0]
        _, _, rest = self.path.partition("/")
        secret, _, page = rest.partition("/")
        found = None
        for known, desk in self._desks.items():
            if secrets.compare_digest(known.encode(), secret.encode()):
                found = desk
        return (found if host in ("127.0.0.1", "localhost") else None), page

    def _answer(self, make: Callable[[], object]) -> None:
        try:
            status, value = HTTPStatus.OK, make()
        except Refused as refusal:
            status, value = HTTPStatus.BAD_REQUEST, {"refused": str(refusal)}
        except UserError as error:
            status, value = HTTPStatus.INTERNAL_SERVER_ERROR, {"refused": str(error)}
        self._send(status, orjson.dumps(value), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": _POLICY,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's
        """Say nothing: addresses are secret."""


def _acted(desk: Desk, did: str, body: bytes) -> dict[str, Any]:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refused("this is not JSON") from None
    if not isinstance(asked, dict):
        raise Refused("this is not an object")
    desk.act(did, asked)
    return desk.state()


def _page_of_room() -> bytes:
    """The page, one file without anything from elsewhere."""
    return files("bsky_assets.analysis.coding").joinpath("room.html").read_bytes()
