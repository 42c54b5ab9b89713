"""Reading the firehose's frames: the posts, deletions and self-labels that they bring.

The paths of a commit's operations are looked at first; of its blocks only those that a wanted
operation names are looked up and checked against their CID; most become
records when the rows do. An operation that cannot be read costs nothing but itself.
What does not belong here: connections, and what sequence numbers mean.

Source: lexicon com.atproto.sync.subscribeRepos.
"""

from typing import Any

from libipld import decode_dag_cbor, decode_dag_cbor_multi

from bsky_assets.bluesky.cars import blocks_by_cid, find_block
from bsky_assets.bluesky.frames import FrameReader
from bsky_assets.bluesky.kinds import KINDS, WANTED_PATHS, TableKind
from bsky_assets.bluesky.reader import NUMBER_BITS
from bsky_assets.bluesky.records import PROBLEMS, Unreadable
from bsky_assets.bluesky.repositories import (
    PUTS,
    checked_did,
    take_account,
    take_record,
    take_tombstone,
    unknown_action,
)
from bsky_assets.bluesky.rows import Deletion
from bsky_assets.bluesky.syntax import is_did, is_tid
from bsky_assets.contracts import RawFirehosePost

_KINDS = frozenset(("#identity", "#account", "#sync", "#handle", "#tombstone", "#migrate"))


class FirehoseReader(FrameReader):
    """Frames of a host's `subscribeRepos`, read one after the other."""

    source = RawFirehosePost.asset
    usual_kind = "commit"

    def read(self, frame: bytes, received: int) -> None:
        """Take one frame that arrived at `received`, in microseconds since the epoch.

        Nearly all are commits in good order; what else there is goes the long way.

        Raises:
            StreamError: it is an error frame.
        """
        try:
            header, body = decode_dag_cbor_multi(frame)
            if header["t"] == "#commit" and self.passing_until is None:
                seq, time, ops = body["seq"], body["time"], body["ops"]
                if ops and not seq >> NUMBER_BITS and not body["tooBig"]:
                    is_wanted = False
                    for op in ops:
                        if op["path"].startswith(WANTED_PATHS):
                            is_wanted = True
                            break
                    did, since, rev = body["repo"], body["since"], body["rev"]
                    revisions = self.revisions
                    last = revisions.last
                    had = last.get(did)
                    if had == since if had else did not in revisions.older:
                        last[did] = rev
                    else:
                        revisions.follow(did, since, rev, time)
                    if is_wanted:
                        self._read_ops(body, frame, received)
                    self.note_number(seq)
                    self.note_time(time)
                    return
        except PROBLEMS:
            super().read(frame, received)
            return
        self._read_message(header, body, frame, received)

    def _read_event(self, kind: Any, body: dict[str, Any], frame: bytes, received: int) -> None:
        if kind == "#commit":
            self._read_commit(body, frame, received)
        else:
            self._read_other(kind, body, received)

    def _read_commit(self, body: dict[str, Any], frame: bytes, received: int) -> None:
        self._read_ops(body, frame, received)
        did, rev, time = body["repo"], body.get("rev"), body.get("time")
        if body.get("tooBig"):
            if is_did(did):
                self.revisions.jumped(did, rev, time, "too big")
            raise Unreadable("too_big", "the host left out what the commit changed")
        if is_did(did):
            self.revisions.follow(did, body.get("since"), rev, time)

    def _read_ops(self, body: dict[str, Any], frame: bytes, received: int) -> None:
        """Take the wanted operations. With the first that cannot be read the frame is kept.

        Of each further one its block is: a frame may have 200, and 2 MB.
        """
        failed: list[tuple[Exception, Any]] = []
        for op in body["ops"]:
            try:
                if op["path"].startswith(WANTED_PATHS):
                    self._read_op(op, body, received)
            except PROBLEMS as error:
                failed.append((error, op))
        blocks = blocks_by_cid(body.get("blocks")) if len(failed) > 1 else {}
        for number, (problem, op) in enumerate(failed):
            cid = op.get("cid") if type(op) is dict else None
            block = blocks.get(cid, b"") if type(cid) is bytes else b""
            self.quarantine(problem, block if number else frame, body["seq"], received)

    def _read_op(self, op: dict[str, Any], body: dict[str, Any], received: int) -> None:
        did, path, seq, rev, time = (
            body["repo"],
            op["path"],
            body["seq"],
            body["rev"],
            body.get("time"),
        )
        action, kind = op["action"], KINDS[path.partition("/")[0]]
        if action == "delete":
            kind.take_deletion(self.rows, Deletion(did, path, rev, seq, time, received))
            return
        if action not in PUTS:
            raise unknown_action()
        cid = op["cid"]
        block = find_block(body["blocks"], cid)
        if isinstance(kind, TableKind) and kind.is_path(path) and is_tid(rev) and is_did(did):
            self.rows.puts[kind].append((did, path, cid, rev, action, seq, time, received, block))
        else:  # it has no table, or this says what is wrong
            record = decode_dag_cbor(block)
            put = (did, path, cid, rev, action, seq, time, received, record)
            take_record(self.rows, kind, put)

    def _read_other(self, kind: Any, body: dict[str, Any], received: int) -> None:
        if kind not in _KINDS:
            self.note_kind("unknown")
            raise Unreadable("unknown_event", "an event of a kind that is not in the lexicon")
        self.note_kind(kind[1:])
        if kind == "#sync":
            did = checked_did(body["did"])
            self.revisions.jumped(did, body.get("rev"), body.get("time"), "sync")
        elif kind == "#account":
            take_account(self.rows, body, body["seq"], body.get("time"), received)
        elif kind == "#tombstone":
            take_tombstone(self.rows, body, received)
