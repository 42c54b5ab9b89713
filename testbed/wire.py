"""Frames for tests and benchmarks, by an encoder that shares nothing with what reads them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

POST = "app.bsky.feed.post"
DID = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
TIME = "2026-03-08T18:00:00.000Z"


@dataclass(frozen=True)
class Link:
    """A CID that stands as a link."""

    cid: bytes


def cbor(value: Any) -> bytes:
    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case bytes():
            return _head(2, len(value)) + value
        case Link():
            return b"\xd8\x2a" + cbor(b"\0" + value.cid)
        case Mapping():
            keys = sorted(value, key=lambda key: (len(key), key))
            return _head(5, len(keys)) + b"".join(cbor(key) + cbor(value[key]) for key in keys)
        case Sequence():
            return _head(4, len(value)) + b"".join(map(cbor, value))
    raise TypeError(type(value))


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes([major << 5 | value])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << 8 * size:
            return bytes([major << 5 | code]) + value.to_bytes(size, "big")
    raise OverflowError


def cid_of(block: bytes) -> bytes:
    return b"\x01\x71\x12\x20" + hashlib.sha256(block).digest()


def car(root: bytes, blocks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A CAR file of (CID, bytes) pairs, whether or not they belong together."""
    header = cbor({"roots": [Link(root)], "version": 1})
    return _section(header) + b"".join(_section(cid + block) for cid, block in blocks)


def _section(content: bytes) -> bytes:
    length, prefix = len(content), b""
    while length > 127:
        prefix += bytes([length & 127 | 128])
        length >>= 7
    return prefix + bytes([length]) + content


def post(text: str = "hello", **fields: Any) -> dict[str, Any]:
    return {"$type": POST, "text": text, "createdAt": TIME, **fields}


def blob(content: bytes = b"picture", mime_type: str = "image/jpeg") -> dict[str, Any]:
    """What stands in a record for a file."""
    cid = b"\x01\x55" + cid_of(content)[2:]
    return {"$type": "blob", "ref": Link(cid), "mimeType": mime_type, "size": len(content)}


@dataclass
class Op:
    """An operation, and the record that it puts where it stands."""

    path: str
    record: Any = None
    action: str = "create"
    block: bytes | None = None
    """The block's bytes, where they are not those of the record."""

    @property
    def cid(self) -> bytes:
        return cid_of(cbor(self.record))

    def encoded(self) -> dict[str, Any]:
        cid = None if self.action == "delete" else Link(self.cid)
        return {"action": self.action, "path": self.path, "cid": cid}


@dataclass
class Commit:
    """A #commit; `fields` are put over what it would have."""

    seq: int
    ops: Sequence[Op] = ()
    did: str = DID
    rev: str = "3mnbxxxxxxx2a"
    time: Any = TIME
    fields: Mapping[str, Any] = field(default_factory=dict)

    def frame(self) -> bytes:
        body = {
            "ops": [op.encoded() for op in self.ops],
            "rev": self.rev,
            "seq": self.seq,
            "repo": self.did,
            "time": self.time,
            "blobs": [],
            "since": None,
            "blocks": self.blocks(),
            "commit": Link(cid_of(b"commit")),
            "rebase": False,
            "tooBig": False,
        }
        return message("#commit", {**body, **self.fields})

    def blocks(self) -> bytes:
        """A CAR with a tree node that links to every record, the records, and a commit."""
        records = [(op, cbor(op.record)) for op in self.ops if op.action != "delete"]
        node = cbor({"e": [{"k": op.path.encode(), "v": Link(op.cid)} for op, _ in records]})
        commit = cbor({"did": self.did, "rev": self.rev, "data": Link(cid_of(node))})
        blocks = [(cid_of(node), node)]
        blocks += [(op.cid, record if op.block is None else op.block) for op, record in records]
        return car(cid_of(commit), [*blocks, (cid_of(commit), commit)])


def message(kind: str, body: Mapping[str, Any]) -> bytes:
    return cbor({"op": 1, "t": kind}) + cbor(body)


def error(name: str, text: str = "") -> bytes:
    return cbor({"op": -1}) + cbor({"error": name, "message": text})


def info(name: str) -> bytes:
    return message("#info", {"name": name})


def account(seq: int, active: bool, status: str | None = None, did: str = DID) -> bytes:
    body = {"seq": seq, "did": did, "time": TIME, "active": active}
    return message("#account", body if status is None else {**body, "status": status})


def create(seq: int, rkey: str, text: str = "hello", **fields: Any) -> bytes:
    """A commit that creates one post."""
    return Commit(seq, [Op(f"{POST}/{rkey}", post(text))], **fields).frame()
