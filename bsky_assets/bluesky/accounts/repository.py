"""A repository as it was exported, believed only as far as it proves itself.

The commit is signed by the account's key and names the tree; each node and each record is what its
CID says; the tree's keys are in order and in the layers of their hashes. So nothing that the
account has committed by that revision can be missing, but what it has deleted.
What does not belong here: asking for it, and what becomes of its posts.

Source: https://atproto.com/specs/repository; the CAR v1 specification.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any

import pyarrow as pa
from atproto_crypto.verify import verify_signature
from libipld import decode_dag_cbor, encode_dag_cbor

from bsky_assets.bluesky.accounts.identity import Identity, NoRepository
from bsky_assets.bluesky.archive.blocks import CREATE
from bsky_assets.bluesky.archive.dating import clocks
from bsky_assets.bluesky.archive.sheets import SHEET
from bsky_assets.bluesky.cars import read_car
from bsky_assets.bluesky.records import POST, PROBLEMS
from bsky_assets.bluesky.syntax import is_record_key, is_tid

_VERSION = 3
_DEEPEST = 128
"""Layers that a tree of SHA-256 can have."""
_BITS = 256


@dataclass(frozen=True)
class Repository:
    """What an account had committed by a revision, and not deleted."""

    did: str
    rev: str
    records: Mapping[str, bytes]
    """DAG-CBOR by record key, of the one collection that was asked for."""


def read_repository(content: bytes, identity: Identity, collection: str) -> Repository:
    """The records of one collection in an exported repository.

    Raises:
        NoRepository: it is not whole, not signed by the account's key, or another's.
    """
    try:
        root, blocks = read_car(content)
        commit = decode_dag_cbor(blocks[root])
        _check_commit(commit, identity)
        prefix = f"{collection}/"
        links = {
            key.removeprefix(prefix): cid
            for key, cid in _links(blocks, commit["data"])
            if key.startswith(prefix)
        }
        if not all(map(is_record_key, links)):
            raise NoRepository("its repository has a key that is none")
        return Repository(
            identity.did, commit["rev"], {key: blocks[cid] for key, cid in links.items()}
        )
    except NoRepository:
        raise
    except KeyError:
        raise NoRepository("its repository is not whole") from None
    except (*PROBLEMS, IndexError):
        raise NoRepository("its repository cannot be read") from None


def rows_of(
    repository: Repository, keys: Sequence[str], numbers: Iterator[int], dated_by: str
) -> pa.Table:
    """Records of a repository, as a sheet has them; a number for each is made up."""
    size = len(keys)
    at = clocks(pa.array(keys, pa.string()))
    columns = {
        "seq": [*islice(numbers, size)],
        "witnessed_at": at,
        "indexed_at": [0] * size,
        "kind": [CREATE] * size,
        "collection": [POST] * size,
        "did": [repository.did] * size,
        "rkey": keys,
        "rev": [repository.rev] * size,
        "payload": [repository.records[key] for key in keys],
        "at": at,
        "dated_by": [dated_by] * size,
    }
    return pa.table(columns, schema=SHEET)


def _check_commit(commit: Any, identity: Identity) -> None:
    if commit["did"] != identity.did:
        raise NoRepository("what came is another account's repository")
    if commit["version"] != _VERSION or not is_tid(commit["rev"]):
        raise NoRepository("its repository is of an unknown version")
    unsigned = {name: value for name, value in commit.items() if name != "sig"}
    try:
        is_signed = verify_signature(identity.key, encode_dag_cbor(unsigned), commit["sig"])
    except Exception:  # a key or a signature of any odd shape
        is_signed = False
    if not is_signed:
        raise NoRepository("its repository is not signed by the account's key")


def _links(blocks: Mapping[bytes, bytes], root: bytes) -> Iterator[tuple[str, bytes]]:
    """Keys and CIDs of the tree, checked to be in order."""
    before = b""
    for key, cid in _walk(blocks, root, None):
        if key <= before:
            raise NoRepository("its repository's tree is out of order")
        before = key
        yield key.decode("ascii"), cid


def _walk(
    blocks: Mapping[bytes, bytes], cid: bytes, layer: int | None
) -> Iterator[tuple[bytes, bytes]]:
    """What is below the node `cid`, which is to be of `layer`; None: of that of its keys."""
    node = decode_dag_cbor(blocks[cid])
    keys, before = [], b""
    for entry in node["e"]:
        before = before[: entry["p"]] + entry["k"]
        keys.append(before)
    own = {_layer(key) for key in keys}
    layer = next(iter(own), 0) if layer is None else layer
    if own - {layer} or not 0 <= layer <= _DEEPEST:
        raise NoRepository("its repository's tree is not as its keys say")
    if node["l"] is not None:
        yield from _walk(blocks, node["l"], layer - 1)
    for key, entry in zip(keys, node["e"], strict=True):
        yield key, entry["v"]
        if entry["t"] is not None:
            yield from _walk(blocks, entry["t"], layer - 1)


def _layer(key: bytes) -> int:
    """Pairs of zero bits that the hash of a key begins with."""
    return (_BITS - int.from_bytes(sha256(key).digest()).bit_length()) // 2
