"""A sealed segment of the archive: its header, and the frames of its blocks one by one.

What does not belong here: what is in a frame (`blocks`).

Source: docs/README.md of bluesky-social/jetstream, section 3.1.2.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import xxhash

from bsky_assets.bluesky.archive.blocks import UnreadableArchive

_HEADER_BYTES = 256
_MAGIC = b"jss0"
_VERSION = 1
_CHECKED_FROM = 12
"""The checksum is of the header from here on, and of the footer."""
_FIELDS = struct.Struct("<QHIIIQQqqQ")
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class Header:
    """What a sealed segment says of itself. Instants are microseconds since the epoch."""

    checksum: str
    """Of header and footer, as 16 hex digits: what the host calls this version of the segment."""
    blocks: int
    events: int
    accounts: int
    min_seq: int
    max_seq: int
    min_witnessed_at: int
    max_witnessed_at: int
    footer_at: int

    @classmethod
    def read(cls, start: bytes, name: str) -> Self:
        """The header of the segment `name`, from its first bytes.

        Raises:
            UnreadableArchive: it is no sealed segment, or of a version that is not known here.
        """
        if len(start) < _HEADER_BYTES or start[: len(_MAGIC)] != _MAGIC:
            raise UnreadableArchive.of(name, "it does not begin as a segment does")
        checksum, version, *numbers = _FIELDS.unpack_from(start, 4)
        if checksum == 0:
            raise UnreadableArchive.of(name, "it is not sealed yet")
        if version != _VERSION:
            raise UnreadableArchive.of(
                name, f"it is of version {version}, and only {_VERSION} is known"
            )
        return cls(f"{checksum:016x}", *numbers)


def read_frames(segment: bytes | memoryview, name: str) -> Iterator[bytes]:
    """The frames of all blocks of a segment, in order; the checksum is held first.

    Raises:
        UnreadableArchive: it is damaged, or no segment that is known here.
    """
    view = memoryview(segment)
    header = Header.read(bytes(view[:_HEADER_BYTES]), name)
    if not _HEADER_BYTES <= header.footer_at <= len(view):
        raise UnreadableArchive.of(name, "it is cut off")
    digest = xxhash.xxh3_64(view[_CHECKED_FROM:_HEADER_BYTES])
    digest.update(view[header.footer_at :])
    if digest.hexdigest() != header.checksum:
        raise UnreadableArchive.of(name, "its checksum does not hold")
    at = _HEADER_BYTES
    for block in range(header.blocks):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(view[at:start], "little")
        if start > header.footer_at or at > header.footer_at:
            raise UnreadableArchive.of(name, f"block {block} reaches into its footer")
        yield bytes(view[start:at])
    if at != header.footer_at:
        raise UnreadableArchive.of(name, "there are bytes between its last block and its footer")
