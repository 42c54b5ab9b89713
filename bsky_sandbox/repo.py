"""An account's repository: a Merkle search tree over its records, and signed commits on it.

Trees are immutable and share what they have in common, so that a commit costs what it changes.
The signature is not real: its 64 bytes are made from the commit's hash, because nobody could
look up a key of accounts that do not exist. All else is as in a true repository.

What does not belong here: messages about commits (`frames`).
Source: the repository and data model specifications of the AT Protocol.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from libipld import encode_dag_cbor

Cid = bytes
"""A CID in binary form."""

_DAG_CBOR = b"\x01\x71\x12\x20"
"""CIDv1, codec dag-cbor, and a sha-256 hash of 32 bytes follows."""
_BITS_A_LAYER = 2


def cid_of(block: bytes) -> Cid:
    """The CID of a DAG-CBOR block."""
    return _DAG_CBOR + hashlib.sha256(block).digest()


def layer_of(key: bytes) -> int:
    """The layer of the tree in which `key` is: pairs of zero bits that its hash begins with."""
    digest = hashlib.sha256(key).digest()
    return (256 - int.from_bytes(digest).bit_length()) // _BITS_A_LAYER


class Node:
    """A node of the tree: keys in order with their values, and the subtrees around them."""

    __slots__ = ("_cid", "children", "keys", "values")

    def __init__(
        self,
        keys: tuple[bytes, ...],
        values: tuple[Cid, ...],
        children: tuple["Node | None", ...],
    ) -> None:
        """Put together a node; `children[i]` is before `keys[i]`, the last one after all."""
        self.keys = keys
        self.values = values
        self.children = children
        self._cid: Cid | None = None

    @property
    def cid(self) -> Cid:
        """The CID of its block."""
        if self._cid is None:
            self._cid = cid_of(self.block())
        return self._cid

    def block(self) -> bytes:
        """Its block: each key without what it shares with the key before."""
        entries, before = [], b""
        for key, value, child in zip(self.keys, self.values, self.children[1:], strict=True):
            shared = _shared(before, key)
            entries.append({"p": shared, "k": key[shared:], "v": value, "t": _link(child)})
            before = key
        return bytes(encode_dag_cbor({"l": _link(self.children[0]), "e": entries}))

    def replace(self, index: int, child: "Node | None") -> "Node":
        """The same node with another subtree at `index`."""
        children = (*self.children[:index], child, *self.children[index + 1 :])
        return Node(self.keys, self.values, children)

    def find(self, key: bytes) -> tuple[int, bool]:
        """Where `key` is, or would be, and whether it is there."""
        index = bisect_left(self.keys, key)
        return index, index < len(self.keys) and self.keys[index] == key


_EMPTY = Node((), (), (None,))


@dataclass(frozen=True, slots=True)
class Tree:
    """A Merkle search tree from the paths of records to their CIDs."""

    root: Node = _EMPTY
    layer: int = 0
    """The layer of the root; 0 when the tree is empty."""

    def get(self, key: bytes) -> Cid | None:
        """The value at `key`."""
        node: Node | None = self.root
        while node is not None:
            index, found = node.find(key)
            if found:
                return node.values[index]
            node = node.children[index]
        return None

    def put(self, key: bytes, value: Cid) -> "Tree":
        """The tree with `value` at `key`."""
        layer = layer_of(key)
        if self.root is _EMPTY:
            return Tree(Node((key,), (value,), (None, None)), layer)
        if layer <= self.layer:
            return Tree(_put(self.root, self.layer, key, value, layer), self.layer)
        left, right = _split(self.root, key)
        for _ in range(self.layer + 1, layer):
            left, right = _above(left), _above(right)
        return Tree(Node((key,), (value,), (left, right)), layer)

    def delete(self, key: bytes) -> "Tree":
        """The tree without `key`.

        Raises:
            KeyError: it is not there.
        """
        root, layer = _delete(self.root, key), self.layer
        while root is not None and not root.keys:
            root, layer = root.children[0], layer - 1
        return Tree() if root is None else Tree(root, layer)

    def proof(self, keys: Iterable[bytes]) -> dict[Cid, bytes]:
        """The blocks that show that `keys` are in the tree, or are not, and what is next to them.

        With them a consumer can undo the operations on the keys and arrive at the tree before.
        """
        nodes = {node.cid: node for key in keys for node in _around(self.root, key)}
        return {cid: node.block() for cid, node in nodes.items()}


@dataclass(frozen=True, slots=True)
class Repo:
    """The state of an account's repository after a commit."""

    tree: Tree = Tree()
    rev: str | None = None
    """The revision of its last commit; none before the first."""


def _made_up(content: bytes) -> bytes:
    return hashlib.sha512(content).digest()


def signed_commit(
    did: str, rev: str, data: Cid, sign: Callable[[bytes], bytes] = _made_up
) -> bytes:
    """The block of a commit of version 3 on the tree `data`, signed with `sign`."""
    commit = {"did": did, "version": 3, "data": data, "rev": rev, "prev": None}
    return bytes(encode_dag_cbor({**commit, "sig": sign(bytes(encode_dag_cbor(commit)))}))


def car(root: Cid, blocks: Mapping[Cid, bytes]) -> bytes:
    """A CAR of version 1 with `blocks` and the one root `root`."""
    header = encode_dag_cbor({"version": 1, "roots": [root]})
    parts = [_varint(len(header)), header]
    for cid, block in blocks.items():
        parts += (_varint(len(cid) + len(block)), cid, block)
    return b"".join(parts)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _shared(before: bytes, key: bytes) -> int:
    for index, (one, other) in enumerate(zip(before, key, strict=False)):
        if one != other:
            return index
    return min(len(before), len(key))


def _link(node: Node | None) -> Cid | None:
    return None if node is None else node.cid


def _above(node: Node | None) -> Node | None:
    """A node of the next layer without keys, as there must be one in each layer."""
    return None if node is None else Node((), (), (node,))


def _put(node: Node | None, layer: int, key: bytes, value: Cid, key_layer: int) -> Node:
    node = node or _EMPTY
    index, found = node.find(key)
    if found:
        values = (*node.values[:index], value, *node.values[index + 1 :])
        return Node(node.keys, values, node.children)
    child = node.children[index]
    if key_layer < layer:
        return node.replace(index, _put(child, layer - 1, key, value, key_layer))
    return Node(
        (*node.keys[:index], key, *node.keys[index:]),
        (*node.values[:index], value, *node.values[index:]),
        (*node.children[:index], *_split(child, key), *node.children[index + 1 :]),
    )


def _split(node: Node | None, key: bytes) -> tuple[Node | None, Node | None]:
    """What is before `key`, and what is after it."""
    if node is None:
        return None, None
    index, _ = node.find(key)
    left, right = _split(node.children[index], key)
    return (
        _kept(Node(node.keys[:index], node.values[:index], (*node.children[:index], left))),
        _kept(Node(node.keys[index:], node.values[index:], (right, *node.children[index + 1 :]))),
    )


def _delete(node: Node | None, key: bytes) -> Node | None:
    if node is None:
        raise KeyError(key)
    index, found = node.find(key)
    if not found:
        return _kept(node.replace(index, _delete(node.children[index], key)))
    merged = _merge(node.children[index], node.children[index + 1])
    return _kept(
        Node(
            node.keys[:index] + node.keys[index + 1 :],
            node.values[:index] + node.values[index + 1 :],
            (*node.children[:index], merged, *node.children[index + 2 :]),
        )
    )


def _merge(left: Node | None, right: Node | None) -> Node | None:
    if left is None or right is None:
        return left or right
    middle = _merge(left.children[-1], right.children[0])
    return Node(
        left.keys + right.keys,
        left.values + right.values,
        (*left.children[:-1], middle, *right.children[1:]),
    )


def _kept(node: Node) -> Node | None:
    """The node, unless there is nothing in it nor below."""
    return node if node.keys or node.children[0] is not None else None


def _around(node: Node | None, key: bytes) -> Iterator[Node]:
    """The nodes on the way to `key`, and from there to the keys next to it."""
    while node is not None:
        yield node
        index, found = node.find(key)
        if found:
            yield from _edge(node.children[index], -1)
            yield from _edge(node.children[index + 1], 0)
            return
        node = node.children[index]


def _edge(node: Node | None, side: int) -> Iterator[Node]:
    while node is not None:
        yield node
        node = node.children[side]
