"""The sandbox's labeler: com.atproto.label.subscribeLabels and com.atproto.label.queryLabels.

The signatures of labels are not real, as those of commits are not (`repo`).
What does not belong here: which labels there are (`world`), frames and cursors.
Source: the label specification (atproto.com/specs/label) and lexicon com.atproto.label.defs.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter

from aiohttp import web
from libipld import encode_dag_cbor

from bsky_sandbox.event_stream import EventStream
from bsky_sandbox.faults import StreamFaults
from bsky_sandbox.frames import FrameLog, message
from bsky_sandbox.http_faults import HttpFaults
from bsky_sandbox.moderation import SandboxLabel
from bsky_sandbox.posts import Json
from bsky_sandbox.xrpc import XrpcError, XrpcServer, bounded, required

SUBSCRIBE = "com.atproto.label.subscribeLabels"
QUERY = "com.atproto.label.queryLabels"

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 250

_VERSION = 1


class Labeler:
    """Serves labels as they are made, and those that stand.

    `stream.injector.faults` and `server.injector.faults` can be replaced while it runs.
    """

    def __init__(
        self,
        labels: Sequence[SandboxLabel],
        *,
        backlog: int | None = None,
        faults: StreamFaults | None = None,
        http_faults: HttpFaults | None = None,
    ) -> None:
        """Serve `labels`, in the order in which they were made.

        `backlog`: how many of the messages that happened the stream keeps; None is all.
        """
        batches = [list(batch) for _, batch in groupby(labels, attrgetter("seq"))]
        self.stream = EventStream(
            FrameLog(batches, _frame),
            [batch[0].seq for batch in batches],
            backlog=backlog,
            faults=faults,
            http_faults=http_faults,
        )
        self._standing = _standing(labels)
        self.server = XrpcServer(http_faults)
        self.server.query(QUERY, self._query)

    def app(self) -> web.Application:
        """The labeler as an application, to be run where the caller pleases."""
        app = self.server.app()
        app.add_routes([web.get(f"/xrpc/{SUBSCRIBE}", self.stream.handle)])
        app.on_shutdown.append(self.stream.shut_down)
        return app

    async def _query(self, request: web.Request) -> Json:
        required(request, "uriPatterns")
        exact, prefixes = _patterns(request.query.getall("uriPatterns"))
        sources = frozenset(request.query.getall("sources", ()))
        limit = bounded(request, "limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
        place = _place(request.query.get("cursor"))
        now = datetime.now(UTC)
        found: list[Json] = []
        for next_place, label in enumerate(self._standing[place:], place + 1):
            is_asked_for = label.uri in exact or label.uri.startswith(prefixes)
            if is_asked_for and (not sources or label.src in sources) and _holds(label, now):
                found.append(_as_json(label))
            if len(found) == limit:
                return {"cursor": str(next_place), "labels": found}
        return {"labels": found}


def _frame(batch: Sequence[SandboxLabel]) -> bytes:
    body = {"seq": batch[0].seq, "labels": [_signed(label) for label in batch]}
    return message("#labels", body)


def _signed(label: SandboxLabel) -> Json:
    fields: Json = {
        "ver": _VERSION,
        "src": label.src,
        "uri": label.uri,
        "val": label.val,
        "cts": label.cts,
    }
    if label.cid is not None:
        fields["cid"] = label.cid
    if label.neg:
        fields["neg"] = True
    if label.exp is not None:
        fields["exp"] = label.exp
    fields["sig"] = hashlib.sha512(encode_dag_cbor(fields)).digest()
    return fields


def _as_json(label: SandboxLabel) -> Json:
    fields = _signed(label)
    fields["sig"] = {"$bytes": base64.b64encode(fields["sig"]).decode().rstrip("=")}
    return fields


def _standing(labels: Iterable[SandboxLabel]) -> list[SandboxLabel]:
    """The labels that have not been taken back, in the order in which they were made."""
    standing: dict[tuple[str, str, str], SandboxLabel] = {}
    for label in labels:
        key = label.src, label.uri, label.val
        standing.pop(key, None)
        if not label.neg:
            standing[key] = label
    return list(standing.values())


def _holds(label: SandboxLabel, now: datetime) -> bool:
    return label.exp is None or datetime.fromisoformat(label.exp) > now


def _patterns(patterns: Iterable[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The URIs asked for, and the beginnings of URIs."""
    exact, prefixes = set(), []
    for pattern in patterns:
        beginning, star, rest = pattern.partition("*")
        if rest:
            raise XrpcError.invalid_request(f"invalid pattern: {pattern}")
        if star:
            prefixes.append(beginning)
        else:
            exact.add(pattern)
    return frozenset(exact), tuple(prefixes)


def _place(cursor: str | None) -> int:
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdecimal()):
        raise XrpcError.invalid_request("Malformed cursor")
    return int(cursor[:12])
