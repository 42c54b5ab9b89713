"""When what an archive holds happened, and how that is known.

What the archive saw live happened when it was witnessed. What it took in with a whole repository,
when it began or after a #sync, was witnessed on that day whenever it was written, and has the
revision that the repository had then. So neither tells: the instant that was imported for a record
does, or else the clock in its key.
What does not belong here: whether an author's `createdAt` agrees, for which a record is decoded.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from bsky_assets.bluesky.archive.blocks import CREATE, UPDATE

MINUTE = 60 * 10**6
LIVE = 10 * MINUTE
"""Microseconds: what happened live was witnessed this soon after its revision, and its key was made
this soon before it."""
FIRST = 32
"""Records that tell whether a block begins with whole repositories."""
AHEAD = 5 * MINUTE
"""How far a clock may be ahead."""
EARLIEST = 1_667_260_800 * 10**6
"""The protocol's first record keys with a clock, November 2022; earlier ones tell no time."""

WITNESSED, IMPORTED, KEY = "witnessed_at", "indexed_at", "record_key"
"""How a row is dated."""
NOT_DATED = -1

_NO_DIGIT = 0xFF
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
_DIGITS[np.frombuffer(b"234567abcdefghijklmnopqrstuvwxyz", np.uint8)] = np.arange(32)
_TID_BYTES = 13
_CLOCK_DIGITS = 11
"""The two after them number the clock."""


def clocks(tids: pa.StringArray) -> Any:
    """The microseconds since the epoch in each TID; `NOT_DATED` for what is none."""
    found = np.full(len(tids), NOT_DATED, np.int64)
    _, offsets_buffer, data = tids.buffers()
    if not len(tids) or data is None:
        return found
    offsets = np.frombuffer(offsets_buffer, np.int32)[tids.offset : tids.offset + len(tids) + 1]
    (fitting,) = np.nonzero(np.diff(offsets) == _TID_BYTES)
    # A digit at a time, of all of them: what is none sets bits that no digit has, and so does a
    # first digit that is too large.
    characters, starts = np.frombuffer(data, np.uint8), offsets[fitting]
    clock, seen = np.zeros(len(fitting), np.int64), np.zeros(len(fitting), np.uint8)
    for place in range(_TID_BYTES):
        digits = _DIGITS[characters[starts + place]]
        seen |= digits if place else digits << 1 | digits
        if place < _CLOCK_DIGITS:
            clock = clock << 5 | digits
    is_tid = seen < 32
    found[fitting[is_tid]] = clock[is_tid]
    return found


@dataclass(frozen=True)
class Dated:
    """When each row of a block happened, in microseconds, `NOT_DATED` where that is not known."""

    at: Any
    how: pa.StringArray
    """Null where it is not known."""
    if_again: pa.Int64Array
    """Of a row whose key is older than its revision, and that is live unless its account came again
    before it: when it happened if it did. Null for others."""


def dated(block: pa.RecordBatch) -> Dated:
    """Date the rows of a block, as if no account came again."""
    kind = block["kind"].to_numpy()
    witnessed = block["witnessed_at"].to_numpy()
    imported = block["indexed_at"].to_numpy()
    is_put = (kind == CREATE) | (kind == UPDATE)
    rev, key = clocks(block["rev"]), clocks(block["rkey"])
    is_prompt = (rev != NOT_DATED) & (np.abs(witnessed - rev) <= LIVE)
    is_fresh = is_prompt & ((key == NOT_DATED) | (np.abs(rev - key) <= LIVE))
    puts = is_put.sum()
    is_live_block = puts == 0 or (is_put & is_fresh).sum() * 2 > puts
    # An old key in a commit of the day: somebody brought older posts along, or a repository was
    # taken in whole just after it had changed.
    is_brought = is_put & is_prompt & ~is_fresh & is_live_block
    is_live = ~is_put | is_fresh | is_brought
    by_key = np.where((key >= EARLIEST) & (key <= witnessed + AHEAD), key, NOT_DATED)
    at = np.where(imported > 0, imported, np.where(is_live, witnessed, by_key))
    names = pa.array([WITNESSED, IMPORTED, KEY])
    which = np.where(imported > 0, 1, np.where(is_live, 0, 2))
    how = names.take(pa.array(which, mask=at == NOT_DATED))
    return Dated(at, how, pa.array(by_key, mask=~is_brought | (imported > 0)))


def is_backfilled(block: pa.RecordBatch) -> bool:
    """Whether most of the first records of `block` came with whole repositories.

    So is it if there are none: all may have been compacted away.
    """
    kind = block["kind"].to_numpy()
    (puts,) = np.nonzero((kind == CREATE) | (kind == UPDATE))
    first = block.take(pa.array(puts[:FIRST]))
    rev, key = clocks(first["rev"]), clocks(first["rkey"])
    is_prompt = np.abs(first["witnessed_at"].to_numpy() - rev) <= LIVE
    is_live = is_prompt & ((key == NOT_DATED) | (np.abs(rev - key) <= LIVE))
    return bool(is_live.sum() * 2 <= len(first))
