"""The sandbox's repositories and who holds them: com.atproto.sync.getRepo, and a PLC directory.

One server is the directory and every account's PDS. Commits are truly signed, with a key that is
made from the DID and is in its document; half of the keys are of either curve.
What does not belong here: commits as the stream has them (`frames`).
Source: lexicon com.atproto.sync.getRepo; atproto.com/specs/repository, cryptography and did.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from libipld import encode_multibase

from bsky_sandbox.posts import Json, encoded, micros_of, tid
from bsky_sandbox.repo import Cid, Node, Tree, car, cid_of, signed_commit
from bsky_sandbox.stream import Event
from bsky_sandbox.xrpc import XrpcError, XrpcServer, required

METHOD = "com.atproto.sync.getRepo"
_CAR_TYPE = "application/vnd.ipld.car"
_REFUSALS = {
    "deleted": "RepoNotFound",
    "takendown": "RepoTakendown",
    "suspended": "RepoSuspended",
    "deactivated": "RepoDeactivated",
}
_CURVES: tuple[tuple[ec.EllipticCurve, bytes, int], ...] = (
    (
        ec.SECP256K1(),
        b"\xe7\x01",
        0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141,
    ),
    (
        ec.SECP256R1(),
        b"\x80\x24",
        0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551,
    ),
)
"""Each curve with the prefix of its keys in a multikey, and its order."""


class Tampering(StrEnum):
    """What can be wrong with a repository as it is served."""

    SIGNATURE = "signature"
    """Another key signed it."""
    BLOCK = "block"
    """A record is not what its CID says."""
    TREE = "tree"
    """A node of its tree is missing."""
    OTHER = "other"
    """It is another account's."""
    STALE = "stale"
    """It is as it was before the stream began."""


@dataclass
class Key:
    """The key that an account signs with."""

    did: str
    _place: int = field(init=False)
    _private: ec.EllipticCurvePrivateKey = field(init=False)

    def __post_init__(self) -> None:
        number = int.from_bytes(hashlib.sha256(self.did.encode()).digest())
        self._place = number % len(_CURVES)
        curve, _, order = _CURVES[self._place]
        self._private = ec.derive_private_key(number % (order - 1) + 1, curve)

    @property
    def multikey(self) -> str:
        """The public one, as a DID document has it."""
        point = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return str(encode_multibase("z", _CURVES[self._place][1] + point))

    def sign(self, content: bytes) -> bytes:
        """64 bytes, whose second half is the lower of the two that would do."""
        first, second = decode_dss_signature(self._private.sign(content, ec.ECDSA(hashes.SHA256())))
        second = min(second, _CURVES[self._place][2] - second)
        return first.to_bytes(32) + second.to_bytes(32)


@dataclass
class Held:
    """What an account's repository holds."""

    rev: str
    records: dict[str, bytes] = field(default_factory=dict)

    def file(self, did: str, key: Key, *, with_root: bool = True) -> bytes:
        """It as a CAR, signed; without the root of its tree, if that is asked for."""
        tree = Tree()
        for path, block in self.records.items():
            tree = tree.put(path.encode(), cid_of(block))
        block = signed_commit(did, self.rev, tree.root.cid, key.sign)
        blocks = {cid_of(block): block, **_nodes(tree.root)}
        if not with_root:
            del blocks[tree.root.cid]
        blocks |= {cid_of(record): record for record in self.records.values()}
        return car(cid_of(block), blocks)


class Repositories:
    """Serves what repositories hold after all events. `tampering` can be changed, by DID."""

    def __init__(
        self,
        records: Callable[[], Iterable[tuple[str, str, Json]]],
        events: Iterable[Event],
        *,
        begun: datetime,
        statuses: Mapping[str, str] | None = None,
    ) -> None:
        """Hold `records`, DID, path and record of each, from before `begun`, then `events`.

        `statuses`: by DID, of accounts that are not active. All is made when it is first asked for.
        """
        self._records = records
        self._events = events
        self._first_rev = tid(micros_of(begun) << 10)
        self._statuses = statuses or {}
        self._making = asyncio.Lock()
        self.tampering: dict[str, Tampering] = {}
        self.served = 0
        """Bytes of repositories that were sent."""
        self.server = XrpcServer()
        self.server.query(METHOD, self._repository)

    def app(self) -> web.Application:
        """Directory and PDS as an application, to be run where the caller pleases."""
        app = self.server.app()
        app.add_routes([web.get("/{did:did:.*}", self._document)])
        return app

    @cached_property
    def before(self) -> dict[str, Held]:
        """What each account's repository held before the events."""
        held: dict[str, Held] = {}
        for did, path, record in self._records():
            repo = held.setdefault(did, Held(self._first_rev))
            repo.records[path] = encoded(record)
        return held

    @cached_property
    def held(self) -> dict[str, Held]:
        """What each account's repository holds."""
        held = {did: Held(repo.rev, dict(repo.records)) for did, repo in self.before.items()}
        for event in self._events:
            if event.kind == "account" and event.status == "deleted":
                held.pop(event.did, None)
            elif event.rev:
                repo = held.setdefault(event.did, Held(event.rev))
                repo.rev = event.rev
                for op in event.ops:
                    repo.records.pop(op.path, None)
                    if op.record is not None:
                        repo.records[op.path] = encoded(op.record)
        return held

    async def _document(self, request: web.Request) -> web.Response:
        did = request.match_info["did"]
        await self._make()
        if did not in self.held:
            return web.json_response({"message": f"DID not registered: {did}"}, status=404)
        return web.json_response(
            {
                "@context": ["https://www.w3.org/ns/did/v1"],
                "id": did,
                "verificationMethod": [
                    {
                        "id": f"{did}#atproto",
                        "type": "Multikey",
                        "controller": did,
                        "publicKeyMultibase": Key(did).multikey,
                    }
                ],
                "service": [
                    {
                        "id": "#atproto_pds",
                        "type": "AtprotoPersonalDataServer",
                        "serviceEndpoint": f"http://{request.host}",
                    }
                ],
            }
        )

    async def _repository(self, request: web.Request) -> web.Response:
        did = required(request, "did")
        await self._make()
        status = self._statuses.get(did, "active")
        if status in _REFUSALS or did not in self.held:
            raise XrpcError(400, _REFUSALS.get(status, "RepoNotFound"), "no such repository")
        content = self._tampered(did)
        self.served += len(content)
        return web.Response(body=content, content_type=_CAR_TYPE)

    def _tampered(self, did: str) -> bytes:
        """A repository, with what is to be wrong with it."""
        repo, key = self.held[did], Key(did)
        match self.tampering.get(did):
            case Tampering.SIGNATURE:
                return repo.file(did, Key(f"{did}x"))
            case Tampering.OTHER:
                other = next(other for other in self.held if other != did)
                return self.held[other].file(other, Key(other))
            case Tampering.STALE:
                return self.before.get(did, Held(self._first_rev)).file(did, key)
            case Tampering.BLOCK:
                content = repo.file(did, key)
                return content[:-1] + bytes([content[-1] ^ 1])
            case Tampering.TREE:
                return repo.file(did, key, with_root=False)
            case _:
                return repo.file(did, key)

    async def _make(self) -> None:
        async with self._making:  # other servers go on meanwhile
            await asyncio.to_thread(getattr, self, "held")


def _nodes(node: Node | None) -> dict[Cid, bytes]:
    """The blocks of a tree."""
    found: dict[Cid, bytes] = {}
    waiting = [node]
    while waiting:
        if (one := waiting.pop()) is not None:
            found[one.cid] = one.block()
            waiting += one.children
    return found
