"""Blocks of rows as they are wanted, and what may become of them on the way."""

from collections.abc import Sequence

import zstandard

from bsky_sandbox.archive_segments import ArchiveRow, Block


def block_of(content: Sequence[ArchiveRow]) -> Block:
    return Block(tuple(content), 1, 2, 3, 4)


def compressed(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(body)


def damaged(body: bytes, place: int, value: int, cut: int, added: bytes) -> bytes:
    changed = bytearray(body)
    if changed:
        changed[place % len(changed)] ^= value
    return bytes(changed[: len(changed) - cut]) + added
