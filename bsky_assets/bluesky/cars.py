"""Blocks of a CAR file, checked against their CIDs.

Source: the CAR v1 specification (https://ipld.io/specs/transport/car/carv1/).
"""

from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256

from libipld import decode_dag_cbor

from bsky_assets.bluesky.records import Unreadable

CID_BYTES = 36
CID_PREFIX = b"\x01\x71\x12\x20"
"""CIDv1, DAG-CBOR, SHA-256 of 32 bytes: the only kind that the protocol uses for records."""


def find_block(blocks: bytes, cid: bytes) -> bytes:
    """The bytes of the block `cid` in the CAR file `blocks`, checked against the CID.

    The CID is looked for as it stands, from the end, as records come after the tree that links
    to them: where it begins a section, the bytes before it are the section's length, and the
    hash tells whether they were.

    Raises:
        Unreadable: there is no such block, or its bytes are not what the CID says.
    """
    try:
        at = blocks.rfind(cid)
        length = blocks[at - 1]
        if blocks[at - 2] > 127:
            length = length << 7 | blocks[at - 2] & 127
        data = blocks[at + CID_BYTES : at + length]
        if CID_PREFIX + sha256(data).digest() == cid:
            return data
    except (TypeError, AttributeError, IndexError):
        pass
    return _walk_to_block(blocks, cid)


def blocks_by_cid(blocks: object) -> dict[bytes, bytes]:
    """The blocks of the CAR file `blocks` as they came, up to where it cannot be read."""
    found: dict[bytes, bytes] = {}
    if type(blocks) is bytes:
        with suppress(Unreadable):
            for start, end in _sections(blocks):
                found.setdefault(blocks[start : start + CID_BYTES], blocks[start + CID_BYTES : end])
    return found


def read_car(car: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The root of a CAR file and all its blocks, each checked against its CID.

    Raises:
        Unreadable: it is not whole, has no root, or a block is not what its CID says.
    """
    length, at = _varint(car, 0)
    header = decode_dag_cbor(car[at : at + length])
    found: dict[bytes, bytes] = {}
    for start, end in _sections(car):
        cid, data = car[start : start + CID_BYTES], car[start + CID_BYTES : end]
        if CID_PREFIX + sha256(data).digest() != cid:
            raise Unreadable("cid_mismatch", "a block's bytes are not those of its CID")
        found[cid] = data
    return header["roots"][0], found


def _walk_to_block(blocks: bytes, cid: bytes) -> bytes:
    """The slow way, for blocks of odd sizes and to tell what is wrong."""
    if type(cid) is not bytes or len(cid) != CID_BYTES or not cid.startswith(CID_PREFIX):
        raise Unreadable("bad_cid", "the operation's CID is not that of a record")
    if type(blocks) is not bytes or not blocks:
        raise Unreadable("no_blocks", "the commit has no blocks")
    for start, end in _sections(blocks):
        if blocks.startswith(cid, start):
            data = blocks[start + CID_BYTES : end]
            if CID_PREFIX + sha256(data).digest() != cid:
                raise Unreadable("cid_mismatch", "a block's bytes are not those of its CID")
            return data
    raise Unreadable("missing_block", "the commit does not have the operation's block")


def _sections(car: bytes) -> Iterator[tuple[int, int]]:
    """Where each section after the header begins and ends."""
    at, is_header = 0, True
    while at < len(car):
        length, at = _varint(car, at)
        if not 0 < length <= len(car) - at:
            raise Unreadable("bad_car", "the commit's blocks are not a whole CAR file")
        if not is_header:
            yield at, at + length
        at, is_header = at + length, False


def _varint(car: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 63, 7):
        if at == len(car):
            break
        byte = car[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise Unreadable("bad_car", "the commit's blocks are not a whole CAR file")
