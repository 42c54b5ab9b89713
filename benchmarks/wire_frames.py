"""Frames as a relay sends them, for the benchmarks of the wire; the same every time.

A fifth of the events create posts; a commit's CAR has its tree nodes first, then the records,
then the commit, and is between 4 and 5 KB long, as captured ones are or longer.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

from testbed.wire import POST, Link, car, cbor, cid_of, message

FIRST_SEQ = 2**33
"""Numbers from here on are eight bytes long, so that a frame can be numbered anew in place."""

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_SORTED = "234567abcdefghijklmnopqrstuvwxyz"
_SEQ = b"cseq\x1b"
_WORDS = ("and", "because", "the", "morning", "rain", "nobody", "town", "said", "bread", "of", "is")
_TREE = (4, 8, 13, 10, 8, 7)
"""Entries in the tree nodes that a commit brings."""


def frames(count: int, seed: int = 7) -> list[bytes]:
    """`count` frames, numbered from `FIRST_SEQ` without holes."""
    return list(_Frames(random.Random(seed)).make(count))


def place_of_seq(frame: bytes) -> int:
    """Where the eight bytes of the frame's number are."""
    return frame.index(_SEQ) + len(_SEQ)


def _tid(number: int) -> str:
    """A revision; those of larger numbers are later."""
    digits = []
    for _ in range(12):
        number, digit = divmod(number, 32)
        digits.append(_SORTED[digit])
    return "3" + "".join(reversed(digits))


class _Frames:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._dids = [f"did:plc:{self._letters(24)}" for _ in range(2000)]
        self._revs: dict[str, str] = {}
        """The last revision of each repository: commits go on from it."""

    def make(self, count: int) -> Iterator[bytes]:
        for number in range(count):
            yield self._frame(
                FIRST_SEQ + number,
                f"2026-03-08T18:{number // 60_000 % 60:02}:"
                f"{number // 1000 % 60:02}.{number % 1000:03}Z",
            )

    def _frame(self, seq: int, time: str) -> bytes:
        did = self._rng.choice(self._dids)
        dice = self._rng.random()
        if dice < 0.04:
            return message("#identity", {"did": did, "seq": seq, "time": time})
        ops, records = self._changes(dice, time)
        since, rev = self._revs.get(did, "3" + 12 * "2"), _tid(seq)
        self._revs[did] = rev
        node, others = self._tree(records)
        commit = cbor(
            {
                "did": did,
                "rev": rev,
                "data": Link(cid_of(node)),
                "version": 3,
                "sig": self._rng.randbytes(64),
            }
        )
        blocks = [(cid_of(block), block) for block in (*others, node, *records, commit)]
        body = {
            "ops": ops,
            "rev": rev,
            "seq": seq,
            "repo": did,
            "time": time,
            "blobs": [],
            "since": since,
            "blocks": car(cid_of(commit), blocks),
            "commit": Link(cid_of(commit)),
            "rebase": False,
            "tooBig": False,
            "prevData": Link(cid_of(node)),
        }
        return message("#commit", body)

    def _changes(self, dice: float, time: str) -> tuple[list[Any], list[bytes]]:
        """The operations of a commit, and the records that they put."""
        if dice < 0.24:
            put = [(POST, self._post(time))]
            if self._rng.random() < 0.1:
                put.append(("app.bsky.feed.threadgate", {"createdAt": time}))
            if self._rng.random() < 0.03:
                put.append((POST, self._post(time)))
        elif dice < 0.29:
            collection = POST if dice < 0.26 else "app.bsky.feed.like"
            path = f"{collection}/{self._tid()}"
            op = {"action": "delete", "path": path, "cid": None, "prev": Link(cid_of(b"gone"))}
            return [op], []
        else:
            put = [self._other(dice, time)]
        records = [cbor({"$type": collection, **record}) for collection, record in put]
        ops = [
            {"action": "create", "path": f"{collection}/{self._tid()}", "cid": Link(cid_of(record))}
            for (collection, _), record in zip(put, records, strict=True)
        ]
        return ops, records

    def _other(self, dice: float, time: str) -> tuple[str, dict[str, Any]]:
        if dice < 0.8:
            return "app.bsky.feed.like", {"subject": self._reference(), "createdAt": time}
        if dice < 0.9:
            return "app.bsky.feed.repost", {"subject": self._reference(), "createdAt": time}
        return "app.bsky.graph.follow", {"subject": self._rng.choice(self._dids), "createdAt": time}

    def _post(self, time: str) -> dict[str, Any]:
        words = self._rng.choices(_WORDS, k=self._rng.randrange(5, 50))
        post: dict[str, Any] = {"text": " ".join(words), "createdAt": time}
        if self._rng.random() < 0.9:
            post["langs"] = ["en"]
        if self._rng.random() < 0.5:
            post["reply"] = {"root": self._reference(), "parent": self._reference()}
        if self._rng.random() < 0.3:
            tag = {"$type": "app.bsky.richtext.facet#tag", "tag": words[0]}
            post["facets"] = [{"index": {"byteStart": 0, "byteEnd": 3}, "features": [tag]}]
        if embed := self._embed(self._rng.random()):
            post["embed"] = embed
        return post

    def _embed(self, dice: float) -> dict[str, Any] | None:
        if dice < 0.2:
            picture = {
                "$type": "blob",
                "ref": Link(cid_of(b"picture")),
                "size": 250_000,
                "mimeType": "image/jpeg",
            }
            image = {"alt": "a picture", "image": picture}
            return {"$type": "app.bsky.embed.images", "images": [image]}
        if dice < 0.35:
            card = {"uri": "https://example.org/page", "title": "A page", "description": "of it"}
            return {"$type": "app.bsky.embed.external", "external": card}
        if dice < 0.45:
            return {"$type": "app.bsky.embed.record", "record": self._reference()}
        return None

    def _tree(self, records: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
        """The node that links to the records, and those above it."""
        links = [cid_of(record) for record in records]
        *sizes, last = _TREE
        return self._node([*links, *self._cids(last)]), [
            self._node(list(self._cids(size))) for size in sizes
        ]

    def _node(self, links: Sequence[bytes]) -> bytes:
        entries = [
            {"k": self._rng.randbytes(20), "p": 12, "t": None, "v": Link(link)} for link in links
        ]
        return cbor({"e": entries, "l": None})

    def _cids(self, count: int) -> Iterator[bytes]:
        return (cid_of(self._rng.randbytes(8)) for _ in range(count))

    def _reference(self) -> dict[str, str]:
        uri = f"at://{self._rng.choice(self._dids)}/{POST}/{self._tid()}"
        return {"uri": uri, "cid": "bafyrei" + self._letters(52)}

    def _tid(self) -> str:
        return "3" + self._letters(12)

    def _letters(self, count: int) -> str:
        return "".join(self._rng.choices(_BASE32, k=count))
