"""Segments of the sandbox's archive, as bytes: the format that a Jetstream of version 2 seals.

Nothing here is shared with what reads them. The filters by DID in a footer are left empty: they are
for the server alone, and ours plans by what it knows.
What does not belong here: which rows there are (`archive_rows`), and serving them (`archive`).
Source: docs/README.md of bluesky-social/jetstream at 9a30defd224e, section 3.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import xxhash
import zstandard

CREATE, UPDATE, DELETE, IDENTITY, ACCOUNT, SYNC = range(1, 7)
SENTINELS = {IDENTITY: "$identity", ACCOUNT: "$account", SYNC: "$sync"}
"""By what the index of collections knows that a block has such events."""

_HEADER_BYTES = 256
_VERSION = 1
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class ArchiveRow:
    """One event of the archive. Instants are microseconds since 1970."""

    seq: int
    witnessed_at: int
    kind: int
    did: str
    indexed_at: int = 0
    """0: nothing was imported for it."""
    collection: str = ""
    rkey: str = ""
    rev: str = ""
    payload: bytes = b""


@dataclass(frozen=True)
class Block:
    """Rows, and the span that they had before any was compacted away."""

    rows: tuple[ArchiveRow, ...]
    min_seq: int
    max_seq: int
    min_witnessed_at: int
    max_witnessed_at: int

    @classmethod
    def of(cls, rows: Sequence[ArchiveRow]) -> "Block":
        """The block of `rows`, at least one, in order."""
        times = [row.witnessed_at for row in rows]
        return cls(tuple(rows), rows[0].seq, rows[-1].seq, min(times), max(times))

    def without(self, gone: set[int]) -> "Block":
        """The same block without the rows of these numbers."""
        return replace(self, rows=tuple(row for row in self.rows if row.seq not in gone))

    @property
    def collections(self) -> list[str]:
        """Collections of its records, and the sentinels of its markers."""
        return sorted({SENTINELS.get(row.kind, row.collection) for row in self.rows})

    def body(self) -> bytes:
        """Its columns, one after the other."""
        rows, count = self.rows, len(self.rows)
        texts = [
            [row.collection.encode() for row in rows],
            [row.did.encode() for row in rows],
            [row.rkey.encode() for row in rows],
            [row.rev.encode() for row in rows],
            [row.payload for row in rows],
        ]
        numbers = [
            struct.pack(f"<{count}Q", *(row.seq for row in rows)),
            struct.pack(f"<{count}q", *(row.witnessed_at for row in rows)),
            struct.pack(f"<{count}q", *(row.indexed_at for row in rows)),
            bytes(row.kind for row in rows),
        ]
        lengths = [
            struct.pack(f"<{count}{code}", *map(len, column))
            for code, column in zip("BHBBI", texts, strict=True)
        ]
        joined = [b"".join(column) for column in texts]
        return b"".join([struct.pack("<I", count), *numbers, *lengths, *joined])

    def frame(self) -> bytes:
        """Its columns compressed, as they are stored and served."""
        return zstandard.ZstdCompressor(write_checksum=True).compress(self.body())


@dataclass(frozen=True)
class SealedSegment:
    """A segment, whole."""

    index: int
    blocks: tuple[Block, ...]
    frames: tuple[bytes, ...]
    data: bytes
    checksum: str

    @classmethod
    def seal(cls, index: int, blocks: Iterable[Block]) -> "SealedSegment":
        """The segment of `blocks`, at least one."""
        blocks = tuple(blocks)
        frames = tuple(block.frame() for block in blocks)
        sizes = [8 + len(frame) for frame in frames]
        offsets = list(accumulate(sizes, initial=_HEADER_BYTES))
        stored = b"".join(struct.pack("<Q", len(frame)) + frame for frame in frames)
        footer, places = _footer(blocks, frames, offsets)
        header = _header(blocks, places)
        checksum = xxhash.xxh3_64_intdigest(header + footer)
        data = b"jss0" + struct.pack("<Q", checksum) + header + stored + footer
        return cls(index, blocks, frames, data, f"{checksum:016x}")

    @property
    def name(self) -> str:
        """Its file name: its index in ten digits of base 36."""
        digits, rest = "", self.index
        while rest:
            rest, digit = divmod(rest, 36)
            digits = _BASE36[digit] + digits
        return f"seg_{digits:0>10}.jss"

    @property
    def events(self) -> int:
        """How many there are."""
        return sum(len(block.rows) for block in self.blocks)


def _footer(
    blocks: Sequence[Block], frames: Sequence[bytes], offsets: Sequence[int]
) -> tuple[bytes, tuple[int, ...]]:
    """The footer, and where it and its parts begin, in the order of the header's fields."""
    index = b"".join(
        struct.pack(
            "<QIIIQQqq",
            offset,
            len(frame),
            len(block.body()),
            len(block.rows),
            block.min_seq,
            block.max_seq,
            block.min_witnessed_at,
            block.max_witnessed_at,
        )
        for block, frame, offset in zip(blocks, frames, offsets, strict=False)
    )
    filters = struct.pack("<II", len(blocks), 0)
    start = offsets[-1]
    filters_at = start + len(index)
    collections_at = filters_at + len(filters)
    footer = index + filters + _collections(blocks)
    return footer, (start, filters_at, filters_at, collections_at, start)


def _collections(blocks: Sequence[Block]) -> bytes:
    names = sorted({name for block in blocks for name in block.collections})
    width = (len(names) + 7) // 8
    table = b"".join(
        struct.pack("<BI", len(name), sum(name in block.collections for block in blocks))
        + name.encode()
        for name in names
    )
    masks = b"".join(
        sum(1 << names.index(name) for name in block.collections).to_bytes(width, "little")
        for block in blocks
    )
    body = table + masks
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(body)
    return struct.pack("<IIII", len(names), len(blocks), width, len(body)) + packed


def _header(blocks: Sequence[Block], places: Sequence[int]) -> bytes:
    """The header from its version on."""
    fields = struct.pack(
        "<HIIIQQqqQQQQQ",
        _VERSION,
        len(blocks),
        sum(len(block.rows) for block in blocks),
        len({row.did for block in blocks for row in block.rows}),
        min(block.min_seq for block in blocks),
        max(block.max_seq for block in blocks),
        min(block.min_witnessed_at for block in blocks),
        max(block.max_witnessed_at for block in blocks),
        *places,
    )
    return fields.ljust(_HEADER_BYTES - 12, b"\0")
