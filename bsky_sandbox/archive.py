"""The sandbox's archive: network.bsky.jetstream.listSegments, planSnapshot, getSegment, getBlock.

What does not belong here: which rows there are (`archive_rows`) and how they are stored
(`archive_segments`).
Source: docs/README.md and lexicons network.bsky.jetstream.* of bluesky-social/jetstream at
9a30defd224e.
"""

import asyncio
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
from aiohttp import web

from bsky_sandbox.archive_rows import superseded
from bsky_sandbox.archive_segments import SENTINELS, ArchiveRow, Block, SealedSegment
from bsky_sandbox.http_faults import HttpFaults, reset
from bsky_sandbox.xrpc import XrpcError, XrpcServer, bounded, required

LIST = "network.bsky.jetstream.listSegments"
PLAN = "network.bsky.jetstream.planSnapshot"
SEGMENT = "network.bsky.jetstream.getSegment"
BLOCK = "network.bsky.jetstream.getBlock"

_WHOLE_FROM = 0.75
"""A segment of whose blocks a larger share is wanted is named whole."""
_KINDS = frozenset(("commit", *(name.removeprefix("$") for name in SENTINELS.values())))
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_QUOTA_SECONDS = 1
_MOST_DIDS = 10_000

_Unit = tuple[SealedSegment, int | None, int | None, int]
"""Of a plan: a segment, the first and last block of a range or neither, and its last number."""


@dataclass(frozen=True)
class _Wanted:
    """What a plan is asked for; what is empty is not restricted."""

    after: int
    before: int
    dids: frozenset[str]
    collections: frozenset[str]
    kinds: frozenset[str]

    def has(self, block: Block) -> bool:
        """Whether a block may have some of it."""
        if block.max_seq <= self.after or block.min_seq > self.before:
            return False
        if self.dids and not self.dids & {row.did for row in block.rows}:
            return False
        return any(map(self._has_collection, block.collections))

    def _has_collection(self, name: str) -> bool:
        if name.startswith("$"):
            return not self.kinds or name.removeprefix("$") in self.kinds
        if self.kinds and "commit" not in self.kinds:
            return False
        return not self.collections or any(
            name == wanted or (wanted.endswith(".*") and name.startswith(wanted[:-1]))
            for wanted in self.collections
        )


class Archive:
    """Serves what it witnessed. `server.injector.faults`, `api_key` and `quota` can be changed."""

    def __init__(
        self,
        rows: Callable[[], Iterable[ArchiveRow]],
        *,
        api_key: str | None = None,
        quota: int | None = None,
        faults: HttpFaults | None = None,
        events_a_block: int = 4_096,
        blocks_a_segment: int = 64,
        plan_entries: int = 1_000,
        is_compacted: bool = True,
    ) -> None:
        """Serve `rows`, which are made when they are first asked for.

        `quota`: bytes of segments and blocks that may be fetched before it says 429.
        `plan_entries`: work units on a page of a plan.
        """
        self.api_key = api_key
        self.quota = quota
        self.served = 0
        """Bytes of segments and blocks that were sent."""
        self._rows = rows
        self._making = asyncio.Lock()
        self._events_a_block = events_a_block
        self._blocks_a_segment = blocks_a_segment
        self._plan_entries = plan_entries
        self._is_compacted = is_compacted
        self.server = XrpcServer(faults)
        self.server.query(LIST, self._list)
        self.server.procedure(PLAN, self._plan)
        self.server.query(SEGMENT, self._segment)
        self.server.query(BLOCK, self._block)

    def app(self) -> web.Application:
        """The archive as an application, to be run where the caller pleases."""
        return self.server.app()

    @cached_property
    def segments(self) -> list[SealedSegment]:
        """All that are sealed, in order."""
        rows = list(self._rows())
        sealed = [
            SealedSegment.seal(index, map(Block.of, _parts(part, self._events_a_block)))
            for index, part in enumerate(
                _parts(rows, self._events_a_block * self._blocks_a_segment)
            )
        ]
        gone = superseded(rows) if self._is_compacted else set()
        return [_without(segment, gone) for segment in sealed]

    def compact(self) -> int:
        """Remove what is superseded; the number of segments that are others now."""
        rows = [row for one in self.segments for block in one.blocks for row in block.rows]
        gone = superseded(rows)
        before = self.segments
        self.segments = [_without(segment, gone) for segment in before]
        return sum(old is not new for old, new in zip(before, self.segments, strict=True))

    async def _list(self, request: web.Request) -> dict[str, Any]:
        await self._admit(request)
        limit = bounded(request, "limit", 100, 1, 1_000)
        start = bounded(request, "cursor", 0, 0, 2**31)
        page = self.segments[start : start + limit]
        answer: dict[str, Any] = {"segments": [_listed(segment) for segment in page]}
        if start + limit < len(self.segments):
            answer["cursor"] = str(start + limit)
        return answer

    async def _plan(self, request: web.Request) -> dict[str, Any]:
        await self._admit(request)
        wanted = _wanted(await _body(request))
        tip = max((_bounds(segment)[1] for segment in self.segments), default=0)
        units = list(self._units(wanted))
        page, rest = units[: self._plan_entries], units[self._plan_entries :]
        through = page[-1][3] if rest else min(tip, wanted.before)
        return {
            "sealedTipSeq": min(tip, wanted.before),
            "plannedThroughSeq": through,
            "segments": list(_planned(page)),
            "stats": {
                "segmentsExamined": len(self.segments),
                "segmentsMatched": len({segment.index for segment, *_ in page}),
                "blocksMatched": len(page),
                "entries": len(page),
            },
        }

    def _units(self, wanted: _Wanted) -> Iterator[_Unit]:
        """Whole segments, or ranges of blocks, in order."""
        for segment in self.segments:
            places = [at for at, block in enumerate(segment.blocks) if wanted.has(block)]
            if not places:
                continue
            if len(places) >= _WHOLE_FROM * len(segment.blocks):
                yield segment, None, None, _bounds(segment)[1]
                continue
            for first, last in _ranges(places):
                yield segment, first, last, segment.blocks[last].max_seq

    async def _segment(self, request: web.Request) -> web.StreamResponse:
        await self._admit(request)
        segment = self._named(required(request, "name"))
        return await self._send(request, segment.data, segment.checksum)

    async def _block(self, request: web.Request) -> web.StreamResponse:
        await self._admit(request)
        segment = self._named(required(request, "segment"))
        place = bounded(request, "blockIndex", -1, 0, 2**31)
        if place >= len(segment.frames):
            raise XrpcError(404, "BlockNotFound", "block index out of range")
        return await self._send(request, segment.frames[place], f"{segment.checksum}:{place}")

    async def _admit(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.api_key is not None and not hmac.compare_digest(given, self.api_key):
            raise XrpcError(401, "AuthenticationRequired", "invalid or missing API key")
        async with self._making:  # other servers go on meanwhile
            await asyncio.to_thread(getattr, self, "segments")

    def _named(self, name: str) -> SealedSegment:
        for segment in self.segments:
            if segment.name == name:
                return segment
        raise XrpcError(404, "SegmentNotFound", "segment not found")

    async def _send(self, request: web.Request, data: bytes, tag: str) -> web.StreamResponse:
        """Send `data`, or the range of it that is asked for; faults may cut or change it."""
        part, headers = _range_of(request, data, f'"{tag}"')
        if self.quota is not None and self.served + len(part) > self.quota:
            headers = {"Retry-After": str(_QUOTA_SECONDS)}
            raise XrpcError(429, "RateLimitExceeded", "byte quota exceeded", headers)
        injector = self.server.injector
        if injector.strikes(injector.faults.p_flip) and part:
            place = len(part) // 2
            part = part[:place] + bytes([part[place] ^ 0xFF]) + part[place + 1 :]
        response = web.StreamResponse(status=206 if "Content-Range" in headers else 200)
        response.headers.update(headers)
        response.content_type = "application/octet-stream"
        response.content_length = len(part)
        await response.prepare(request)
        is_cut = injector.strikes(injector.faults.p_cut)
        sent = part[: len(part) // 2] if is_cut else part
        self.served += len(sent)
        await response.write(sent)
        if is_cut:
            reset(request)
        else:
            await response.write_eof()
        return response


def _parts(rows: Sequence[ArchiveRow], size: int) -> Iterator[Sequence[ArchiveRow]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _without(segment: SealedSegment, gone: set[int]) -> SealedSegment:
    """The segment sealed anew, if any of its rows is `gone`."""
    if not any(row.seq in gone for block in segment.blocks for row in block.rows):
        return segment
    return SealedSegment.seal(segment.index, (block.without(gone) for block in segment.blocks))


def _bounds(segment: SealedSegment) -> tuple[int, int]:
    return segment.blocks[0].min_seq, segment.blocks[-1].max_seq


def _listed(segment: SealedSegment) -> dict[str, Any]:
    first, last = _bounds(segment)
    return {
        "name": segment.name,
        "index": segment.index,
        "sizeBytes": len(segment.data),
        "checksum": segment.checksum,
        "eventCount": segment.events,
        "minSeq": first,
        "maxSeq": last,
        "minWitnessedAt": min(block.min_witnessed_at for block in segment.blocks),
        "maxWitnessedAt": max(block.max_witnessed_at for block in segment.blocks),
    }


def _ranges(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of places next to each other: the first and the last of each."""
    first = last = places[0]
    for place in places[1:]:
        if place != last + 1:
            yield first, last
            first = place
        last = place
    yield first, last


def _planned(
    units: Iterable[_Unit],
) -> Iterator[dict[str, Any]]:
    told: dict[int, dict[str, Any]] = {}
    for segment, first, last, _ in units:
        low, high = _bounds(segment)
        row = told.setdefault(
            segment.index,
            {
                "name": segment.name,
                "index": segment.index,
                "checksum": segment.checksum,
                "minSeq": low,
                "maxSeq": high,
                "mode": "segment",
            },
        )
        if first is not None:
            row["mode"] = "blocks"
            row.setdefault("blocks", []).append({"first": first, "last": last})
    yield from told.values()


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError:
        raise XrpcError.invalid_request("Unable to parse request body as JSON") from None
    if not isinstance(body, dict):
        raise XrpcError.invalid_request("Error: Input must be an object")
    return body


def _wanted(body: Mapping[str, Any]) -> _Wanted:
    after, before = body.get("afterSeq", 0), body.get("beforeSeq", 2**63 - 1)
    if not isinstance(after, int) or not isinstance(before, int) or after < 0:
        raise XrpcError.invalid_request("afterSeq and beforeSeq must be integers >= 0")
    if before <= after:
        raise XrpcError.invalid_request("beforeSeq must be greater than afterSeq")
    wanted = _Wanted(
        after,
        before,
        *(frozenset(body.get(name) or ()) for name in ("dids", "collections", "kinds")),
    )
    if len(wanted.dids) > _MOST_DIDS:
        raise XrpcError.invalid_request(f"dids must have at most {_MOST_DIDS} elements")
    if wanted.kinds - _KINDS:
        raise XrpcError.invalid_request(f"unknown kind: {min(wanted.kinds - _KINDS)}")
    return wanted


def _range_of(request: web.Request, data: bytes, tag: str) -> tuple[bytes, dict[str, str]]:
    """The bytes that a request asks for, and the headers for them."""
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "public, no-cache"}
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or request.headers.get("If-Range", tag) != tag:
        return data, headers
    first, last = int(asked[1]), int(asked[2] or len(data) - 1)
    if first >= len(data) or last < first:
        headers["Content-Range"] = f"bytes */{len(data)}"
        raise XrpcError(416, "InvalidRequest", "invalid range", headers)
    last = min(last, len(data) - 1)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return data[first : last + 1], headers
