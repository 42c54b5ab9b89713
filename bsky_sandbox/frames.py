"""Frames of the AT Protocol's event streams: a header and a body, both in DAG-CBOR.

Encoding goes in the order of the stream, because a commit rests on the ones before it.
What does not belong here: who gets which frame, and what goes wrong with it (`faults`).
Source: the event stream specification; lexicons com.atproto.sync.subscribeRepos and
com.atproto.label.subscribeLabels.
"""

import asyncio
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any, Generic, TypeVar

from libipld import decode_dag_cbor_multi, encode_dag_cbor

from bsky_sandbox.posts import Json, encoded, timestamp
from bsky_sandbox.repo import Cid, Repo, Tree, car, cid_of, signed_commit
from bsky_sandbox.stream import Event, Op

IN_MEMORY = 192 * 2**20
"""Bytes of frames that are kept in memory; beyond, they are in a file without a name."""

_ENCODED_AT_ONCE = 16
_MESSAGE, _ERROR = 1, -1

T = TypeVar("T")


def message(name: str, body: Mapping[str, Any]) -> bytes:
    """A frame with a message, whose name begins with `#`."""
    return bytes(encode_dag_cbor({"op": _MESSAGE, "t": name}) + encode_dag_cbor(body))


def error(name: str, text: str) -> bytes:
    """A frame with an error, after which a stream is closed."""
    body = {"error": name, "message": text}
    return bytes(encode_dag_cbor({"op": _ERROR}) + encode_dag_cbor(body))


def info(name: str, text: str) -> bytes:
    """A frame with a notice."""
    return message("#info", {"name": name, "message": text})


def renumbered(frame: bytes, shift: int) -> bytes:
    """The frame of a message with `shift` added to its sequence number."""
    header, body = decode_dag_cbor_multi(frame)
    body["seq"] += shift
    return bytes(encode_dag_cbor(header) + encode_dag_cbor(body))


def too_big(frame: bytes) -> bytes:
    """The frame of a commit as older hosts sent it when it was too big: without what it did."""
    header, body = decode_dag_cbor_multi(frame)
    body.update(tooBig=True, ops=[], blocks=b"")
    return bytes(encode_dag_cbor(header) + encode_dag_cbor(body))


class FrameEncoder:
    """Encodes events, each once and in order, and keeps the repositories that they change."""

    def __init__(self, records: Iterable[tuple[str, str, Cid]] = ()) -> None:
        """Begin with repositories that have `records`: DID, path and CID of each."""
        self._repos: dict[str, Repo] = {}
        for did, path, cid in records:
            tree = self._repos.get(did, Repo()).tree.put(path.encode(), cid)
            self._repos[did] = Repo(tree)

    def encode(self, event: Event) -> bytes:
        match event.kind:
            case "commit":
                return self._commit(event)
            case "sync":
                return self._sync(event)
            case "account":
                body: Json = {"active": event.active}
                if not event.active:
                    body["status"] = event.status
            case "identity":
                body = {} if event.handle is None else {"handle": event.handle}
        time = timestamp(event.time)
        body.update(did=event.did, seq=event.seq, time=time)
        return message(f"#{event.kind}", body)

    def _commit(self, event: Event) -> bytes:
        before = self._repos.get(event.did)
        tree = before.tree if before else Tree()
        records: dict[Cid, bytes] = {}
        ops = []
        for op in event.ops:
            tree, described = _applied(op, tree, records)
            ops.append(described)
        rev = event.rev or ""
        self._repos[event.did] = Repo(tree, rev)
        commit = signed_commit(event.did, rev, tree.root.cid)
        cid = cid_of(commit)
        nodes = tree.proof(op.path.encode() for op in event.ops) or _root_of(tree)
        body = {
            "seq": event.seq,
            "time": timestamp(event.time),
            "repo": event.did,
            "rev": rev,
            "since": event.since,
            "commit": cid,
            "blocks": car(cid, {cid: commit, **nodes, **records}),
            "ops": ops,
            "blobs": [],
            "rebase": False,
            "tooBig": False,
        }
        if before is not None:
            body["prevData"] = before.tree.root.cid
        return message("#commit", body)

    def _sync(self, event: Event) -> bytes:
        repo = Repo(self._repos.get(event.did, Repo()).tree, event.rev)
        self._repos[event.did] = repo
        commit = signed_commit(event.did, event.rev or "", repo.tree.root.cid)
        cid = cid_of(commit)
        body = {
            "seq": event.seq,
            "time": timestamp(event.time),
            "did": event.did,
            "rev": event.rev,
            "blocks": car(cid, {cid: commit}),
        }
        return message("#sync", body)


class FrameLog(Generic[T]):
    """All frames of a stream: encoded when first asked for, in order, and kept."""

    def __init__(self, events: Sequence[T], encode: Callable[[T], bytes]) -> None:
        self._events = events
        self._encode = encode
        self._ends = array("q", [0])
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - it goes with the log

    async def read(self, start: int, stop: int) -> list[bytes]:
        """The frames of the events from `start` to `stop`, exclusive."""
        await self.encode_up_to(stop)
        ends, first = self._ends, self._ends[start]
        self._file.seek(first)
        data = self._file.read(ends[stop] - first)
        return [data[ends[at] - first : ends[at + 1] - first] for at in range(start, stop)]

    @property
    def encoded(self) -> int:
        """How many frames there are by now."""
        return len(self._ends) - 1

    async def encode_up_to(self, stop: int) -> None:
        """Encode the frames of the events before `stop`, unless they are; others get their turn."""
        while self.encoded < stop:
            self._encode_to(min(stop, self.encoded + _ENCODED_AT_ONCE))
            await asyncio.sleep(0)

    def _encode_to(self, stop: int) -> None:
        frames = [self._encode(self._events[place]) for place in range(self.encoded, stop)]
        self._file.seek(self._ends[-1])
        self._file.write(b"".join(frames))
        for frame in frames:
            self._ends.append(self._ends[-1] + len(frame))


def _applied(op: Op, tree: Tree, records: dict[Cid, bytes]) -> tuple[Tree, Json]:
    """The tree after `op`, and how a commit tells of it; its record goes to `records`."""
    key = op.path.encode()
    described: Json = {"action": op.action, "path": op.path, "cid": None}
    if (prev := tree.get(key)) is not None:
        described["prev"] = prev
    if op.record is None:
        return tree.delete(key), described
    block = encoded(op.record)
    described["cid"] = cid = cid_of(block)
    records[cid] = block
    return tree.put(key, cid), described


def _root_of(tree: Tree) -> dict[Cid, bytes]:
    return {tree.root.cid: tree.root.block()}
