"""Asking an archive: what it has, what of that to fetch, and the bytes.

What does not belong here: what is fetched in which order, and what the bytes say.

Source: lexicons network.bsky.jetstream.listSegments, planSnapshot, getSegment and getBlock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal, Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from bsky_assets.bluesky.archive.blocks import MOST_BYTES, UnreadableArchive
from bsky_assets.bluesky.shapes import Count
from bsky_assets.bluesky.xrpc import Refused, XrpcHost
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings

PREFIX = "network.bsky.jetstream"
_PART_BYTES = 8 * 2**20
"""A segment is fetched in parts of this size."""
MOST_DIDS = 10_000
"""As many accounts may one plan be asked for."""
KINDS = ("commit", "account", "sync")
"""Of events, those that something is made of; a #sync tells that a repository came again."""
_LISTED_AT_ONCE = 1_000
_MOST_PAGES = 100_000
_MOST_BLOCKS = 1_000_000
"""In a segment; more are not believed."""
_MOST_SEGMENT_BYTES = 2**30
_VARIABLE = "BSKY_ARCHIVE_URL"

Name = Annotated[str, Field(pattern=r"^seg_[0-9a-z]{10}\.jss$")]
Checksum = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class NoArchive(UserError):
    """There is no archive in the settings, or it does not let us in."""


class Rewritten(Exception):
    """The host has another version of a segment by now."""


class _Told(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class Listed(_Told):
    """A sealed segment as the host lists it. Instants are microseconds since the epoch."""

    name: Name
    index: Count
    size_bytes: Count
    checksum: Checksum
    event_count: Count
    min_seq: Count
    max_seq: Count
    min_witnessed_at: int
    max_witnessed_at: int


class _Range(_Told):
    first: Annotated[Count, Field(lt=_MOST_BLOCKS)]
    last: Annotated[Count, Field(lt=_MOST_BLOCKS)]


class _Planned(_Told):
    name: Name
    checksum: Checksum
    mode: Literal["segment", "blocks"]
    blocks: list[_Range] = []


class _Page(_Told):
    planned_through_seq: Count
    sealed_tip_seq: Count
    segments: list[_Planned]


@dataclass(frozen=True)
class Unit:
    """A part of a plan: some blocks of a segment, or all of it."""

    segment: str
    checksum: str
    blocks: tuple[int, ...] | None = field(repr=False)
    """None: all of it, fetched as one file."""


class ArchiveHost:
    """The archive of the settings; safe to use from several threads."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        """Ask the archive at `url`; the key goes to it and nowhere else."""
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._host = XrpcHost(url, _VARIABLE, headers)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The one of the settings.

        Raises:
            NoArchive: there is none.
        """
        if settings.archive_url is None:
            raise NoArchive(
                "there is no archive to read: set BSKY_ARCHIVE_URL, and BSKY_ARCHIVE_API_KEY where "
                "the host wants a key"
            )
        key = settings.archive_api_key
        return cls(settings.archive_url, key.get_secret_value() if key else None)

    def __enter__(self) -> Self:
        """Keep connections open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        self._host.__exit__()

    @property
    def name(self) -> str:
        """Host and port."""
        return self._host.name

    def segments(self) -> list[Listed]:
        """All sealed segments, in order.

        Raises:
            NoArchive, Refused, Unanswered, UnreadableArchive: the host does not tell.
        """
        found: list[Listed] = []
        method = f"{PREFIX}.listSegments"
        params: dict[str, str | int] = {"limit": _LISTED_AT_ONCE}
        for _ in range(_MOST_PAGES):
            page = self._asked(partial(self._host.query, method, params, holding="segments"))
            found += [self._believed(Listed, one) for one in page["segments"]]
            if not page["segments"] or not isinstance(page.get("cursor"), str):
                break
            params = {**params, "cursor": page["cursor"]}
        return sorted(found, key=lambda one: one.index)

    def plan(
        self, after: int, before: int, collections: Sequence[str], dids: Sequence[str] = ()
    ) -> list[Unit]:
        """What to fetch to have all events numbered from `after` (exclusive) to `before`.

        Of records those of `collections`, and of `dids` (`MOST_DIDS`) if there are any; markers
        of accounts
        come with them. More may be named than is asked for, never less.

        Raises:
            NoArchive, Refused, Unanswered, UnreadableArchive: the host does not tell.
        """
        units: list[Unit] = []
        tip = before
        for _ in range(_MOST_PAGES):
            asked: dict[str, Any] = {"afterSeq": after, "beforeSeq": tip, "kinds": KINDS}
            asked["collections"] = list(collections)
            if dids:
                asked["dids"] = list(dids)
            method = f"{PREFIX}.planSnapshot"
            answer = self._asked(partial(self._host.procedure, method, asked, holding="segments"))
            page: _Page = self._believed(_Page, answer)
            units += map(_unit, page.segments)
            tip = min(tip, page.sealed_tip_seq)
            if page.planned_through_seq >= tip:
                return units
            if page.planned_through_seq <= after:
                raise UnreadableArchive(f"{self.name} gives a plan that does not go on; ask again")
            after = page.planned_through_seq
        return units

    def block(self, segment: str, checksum: str, block: int) -> bytes:
        """The frame of a block of that version of a segment.

        Raises:
            Rewritten: the host has another version.
            NoArchive, Refused, Unanswered: the host does not send it.
        """
        answer = self._file("getBlock", {"segment": segment, "blockIndex": block}, {}, MOST_BYTES)
        if answer.headers.get("ETag", f'"{checksum}:{block}"') != f'"{checksum}:{block}"':
            raise Rewritten(segment)
        return bytes(answer.content)

    def part(self, segment: str, checksum: str, start: int) -> tuple[bytes, bool]:
        """Bytes of that version of a segment from `start` on, and whether they are the last.

        Raises:
            Rewritten: the host has another version.
            NoArchive, Refused, Unanswered: the host does not send them.
        """
        tag = f'"{checksum}"'
        asked = {"Range": f"bytes={start}-{start + _PART_BYTES - 1}", "If-Range": tag}
        try:
            answer = self._file("getSegment", {"name": segment}, asked, _MOST_SEGMENT_BYTES)
        except Refused as refusal:
            if refusal.status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return b"", True  # all of it came before
            raise
        if answer.headers.get("ETag", tag) != tag:
            raise Rewritten(segment)
        content = bytes(answer.content)
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            return content[start:], True
        _, _, total = answer.headers.get("Content-Range", "").rpartition("/")
        end = start + len(content)
        return content, end >= int(total) if total.isdecimal() else len(content) < _PART_BYTES

    def _file(
        self, method: str, params: dict[str, str | int], headers: dict[str, str], most: int
    ) -> httpx.Response:
        ask = partial(self._host.file, f"{PREFIX}.{method}", params, headers, most=most)
        answer: httpx.Response = self._asked(ask)
        return answer

    def _asked(self, ask: Any) -> Any:
        try:
            return ask()
        except Refused as refusal:
            if refusal.needs_session:
                raise NoArchive(
                    f"{self.name} does not let us read its archive: set BSKY_ARCHIVE_API_KEY to a "
                    "key that it takes"
                ) from None
            if refusal.code in ("SegmentNotFound", "BlockNotFound"):
                raise Rewritten(refusal.code) from None
            raise

    def _believed(self, shape: Any, answer: Any) -> Any:
        try:
            return shape.model_validate(answer)
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise UnreadableArchive(
                f"{self.name} answers with something that is no list of segments, at "
                f"{place[:80]!r}; check BSKY_ARCHIVE_URL"
            ) from None


def _unit(planned: _Planned) -> Unit:
    if planned.mode == "segment":
        return Unit(planned.name, planned.checksum, None)
    blocks = {at for one in planned.blocks for at in range(one.first, one.last + 1)}
    return Unit(planned.name, planned.checksum, tuple(sorted(blocks)))
