"""Reading the frames of `subscribeRepos`: what posts, deletions and self-labels they bring.

The paths of a commit's operations are looked at first; of its blocks only those that a wanted
operation names are looked up, checked against their CID and decoded. What cannot be read is
quarantined, one operation or one frame at a time, and the stream goes on.
What does not belong here: connections, and what sequence numbers mean.

Source: lexicon com.atproto.sync.subscribeRepos, and the event stream, CAR v1 and DAG-CBOR
specifications.
"""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from libipld import decode_dag_cbor, decode_dag_cbor_multi, encode_cid

from bsky_assets.bluesky.records import POST, Unreadable, post_values, self_labels
from bsky_assets.bluesky.rows import Rows, instant
from bsky_assets.contracts import RawFirehosePost

PROFILE = "app.bsky.actor.profile"
ACCOUNT_STATUSES = frozenset(
    ("deleted", "takendown", "suspended", "deactivated", "desynchronized", "throttled")
)
UNEXPLAINED_STATUS = "deactivated"
"""Taken for an account that is not active and for which the host gives no reason we know."""
UNREADABLE = -1
"""Stands for the sequence number of an event whose own could not be read."""
OUTDATED_CURSOR = -2
"""Stands where the host said that it no longer has everything after our cursor."""

_POSTS = f"{POST}/"
_WANTED = (_POSTS, f"{PROFILE}/")
_CID_BYTES = 36
_CID_PREFIX = b"\x01\x71\x12\x20"
_LARGEST = 2**63 - 1
_OTHER_KINDS = frozenset(("#identity", "#account", "#sync", "#handle", "#tombstone", "#migrate"))


class StreamError(Exception):
    """An error frame: the host is about to close the stream."""

    def __init__(self, name: str, message: str) -> None:
        """Keep the error's name, e.g. ConsumerTooSlow, and the host's words."""
        super().__init__(f"{name}: {message}" if message else name)
        self.name = name


class FirehoseReader:
    """Frames of one host, read one after the other.

    `rows` gathers what they bring; `seqs` and `times` their numbers and the host's clock, an
    entry an event in the order of arrival; `kinds` how many there were of each kind but commits.
    """

    def __init__(self, host: str) -> None:
        """Read what `host` sends."""
        self.rows = Rows(host, RawFirehosePost.asset)
        self.seqs: list[int] = []
        self.times: list[Any] = []
        self.kinds: Counter[str] = Counter()

    def read(self, frame: bytes, received: int) -> None:
        """Take one frame that arrived at `received`, in microseconds since the epoch.

        Raises:
            StreamError: it is an error frame.
        """
        seq, time = UNREADABLE, None
        try:
            header, body = decode_dag_cbor_multi(frame)
            if header["op"] != 1:
                raise _error(header, body)
            kind = header["t"]
            if kind == "#info":
                self._read_info(body)
                return
            number = body["seq"]
            if type(number) is not int or not 0 < number <= _LARGEST:
                raise Unreadable("bad_seq", "the event has no usable sequence number")
            seq, time = number, body.get("time")
            if kind == "#commit":
                self._read_commit(body, frame, received)
            else:
                self._read_other(kind, body, received)
        except Unreadable as problem:
            self._quarantine(problem, frame, seq, received)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            odd = Unreadable("undecodable", f"the frame cannot be read ({_kind_of(error)})")
            self._quarantine(odd, frame, seq, received)
        self.seqs.append(seq)
        self.times.append(time)

    def _read_commit(self, body: dict[str, Any], frame: bytes, received: int) -> None:
        for op in body["ops"]:
            try:
                if op["path"].startswith(_WANTED):
                    self._read_operation(op, body, received)
            except Unreadable as problem:
                self._quarantine(problem, frame, body["seq"], received)
            except (KeyError, TypeError, AttributeError) as error:
                odd = Unreadable("bad_operation", f"it cannot be read ({_kind_of(error)})")
                self._quarantine(odd, frame, body["seq"], received)
        if body.get("tooBig"):
            raise Unreadable("too_big", "the host left out what the commit changed")

    def _read_operation(self, op: dict[str, Any], body: dict[str, Any], received: int) -> None:
        path, cid, did = op["path"], op["cid"], body["repo"]
        if not did.startswith("did:"):
            raise Unreadable("bad_did", "the commit's repo is not a DID")
        if op["action"] == "delete":
            if path.startswith(_POSTS):
                self.rows.add_deletion("post", did, path, "deleted", body["seq"], received)
            return
        try:
            record = decode_dag_cbor(find_block(body["blocks"], cid))
        except (ValueError, RecursionError):
            raise Unreadable("undecodable_record", "the record is not DAG-CBOR") from None
        if not isinstance(record, dict):
            raise Unreadable("undecodable_record", "the record is not a map")
        if path.startswith(_POSTS):
            rev = body["rev"]
            if type(rev) is not str:
                raise Unreadable("bad_rev", "the commit's rev is not a string")
            self.rows.add_post(
                did, path, cid, rev, body["seq"], body.get("time"), received, post_values(record)
            )
        else:
            self._read_profile(record, op, body, received)

    def _read_profile(
        self, record: dict[str, Any], op: dict[str, Any], body: dict[str, Any], received: int
    ) -> None:
        for value in self_labels(record) or ():
            label = {
                "src": body["repo"],
                "uri": f"at://{body['repo']}/{op['path']}",
                "cid": encode_cid(op["cid"]),
                "val": value,
                "neg": False,
                "cts": instant(body.get("time")) or received,
                "exp": None,
            }
            self.rows.add_label(label, body["seq"], received)

    def _read_other(self, kind: Any, body: dict[str, Any], received: int) -> None:
        if kind not in _OTHER_KINDS:
            raise Unreadable("unknown_event", "an event of a kind that is not in the lexicon")
        self.kinds[kind[1:]] += 1
        if kind == "#account":
            self._read_account(body, received)
        elif kind == "#tombstone":
            self.rows.add_deletion("account", _did(body), None, "deleted", body["seq"], received)

    def _read_account(self, body: dict[str, Any], received: int) -> None:
        status = "active"
        if body["active"] is not True:
            status = body.get("status") or UNEXPLAINED_STATUS
            if status not in ACCOUNT_STATUSES:
                status = UNEXPLAINED_STATUS
        self.rows.add_deletion("account", _did(body), None, status, body["seq"], received)

    def _read_info(self, body: dict[str, Any]) -> None:
        self.kinds["info"] += 1
        if body.get("name") == "OutdatedCursor":
            self.seqs.append(OUTDATED_CURSOR)
            self.times.append(None)

    def _quarantine(self, problem: Unreadable, frame: bytes, seq: int, received: int) -> None:
        position = str(seq)
        if seq == UNREADABLE:
            position = f"after {next((s for s in reversed(self.seqs) if s > 0), 'the start')}"
        self.rows.quarantine(problem, frame, position, received)


def find_block(blocks: bytes, cid: bytes) -> bytes:
    """The bytes of the block `cid` in the CAR file `blocks`, checked against the CID.

    The CID is looked for as it stands: where it is a section's, the bytes before it are the
    section's length, and the hash tells whether they were.

    Raises:
        Unreadable: there is no such block, or its bytes are not what the CID says.
    """
    if type(cid) is not bytes or len(cid) != _CID_BYTES or not cid.startswith(_CID_PREFIX):
        raise Unreadable("bad_cid", "the operation's CID is not that of a record")
    if type(blocks) is not bytes or not blocks:
        raise Unreadable("no_blocks", "the commit has no blocks")
    digest = cid[len(_CID_PREFIX) :]
    at = blocks.find(cid)
    while at > 0 and blocks[at - 1] == 0:  # a link in a tree node, not the head of a section
        at = blocks.find(cid, at + _CID_BYTES)
    if at > 1:
        high, low = blocks[at - 1], blocks[at - 2]
        if low > 127:
            data = blocks[at + _CID_BYTES : at + (high << 7 | low & 127)]
            if sha256(data).digest() == digest:
                return data
        data = blocks[at + _CID_BYTES : at + high]
        if sha256(data).digest() == digest:
            return data
    return _walk_to_block(blocks, cid)


def _walk_to_block(blocks: bytes, cid: bytes) -> bytes:
    """The slow way, for blocks of odd sizes and to tell what is wrong."""
    for start, end in _sections(blocks):
        if blocks.startswith(cid, start):
            data = blocks[start + _CID_BYTES : end]
            if sha256(data).digest() != cid[len(_CID_PREFIX) :]:
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


def _error(header: dict[str, Any], body: dict[str, Any]) -> Exception:
    if header["op"] != -1:
        return Unreadable("unknown_frame", "a frame of a kind that is not in the specification")
    return StreamError(str(body["error"])[:100], str(body.get("message") or "")[:500])


def _did(body: dict[str, Any]) -> str:
    did: str = body["did"]
    if not did.startswith("did:"):
        raise Unreadable("bad_did", "the event is not about a DID")
    return did


def _kind_of(error: Exception) -> str:
    return type(error).__name__
