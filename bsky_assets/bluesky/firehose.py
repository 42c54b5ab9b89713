"""Reading the firehose's frames: the posts, deletions and self-labels that they bring.

The paths of a commit's operations are looked at first; of its blocks only those that a wanted
operation names are looked up, checked against their CID and decoded. An operation that cannot
be read costs nothing but itself.
What does not belong here: connections, and what sequence numbers mean.

Source: lexicon com.atproto.sync.subscribeRepos.
"""

from typing import Any

from libipld import decode_dag_cbor

from bsky_assets.bluesky.cars import find_block
from bsky_assets.bluesky.frames import FrameReader
from bsky_assets.bluesky.reader import PROBLEMS
from bsky_assets.bluesky.records import Unreadable
from bsky_assets.bluesky.repositories import (
    WANTED_PATHS,
    checked_did,
    take_account,
    take_deletion,
    take_record,
)
from bsky_assets.contracts import RawFirehosePost

_KINDS = frozenset(("#identity", "#account", "#sync", "#handle", "#tombstone", "#migrate"))


class FirehoseReader(FrameReader):
    """Frames of a host's `subscribeRepos`, read one after the other."""

    source = RawFirehosePost.asset
    usual_kind = "commit"

    def _read_event(self, kind: Any, body: dict[str, Any], frame: bytes, received: int) -> None:
        if kind != "#commit":
            self._read_other(kind, body, received)
            return
        for op in body["ops"]:
            try:
                if op["path"].startswith(WANTED_PATHS):
                    self._read_operation(op, body, received)
            except PROBLEMS as error:
                self.quarantine(error, frame, body["seq"], received)
        if body.get("tooBig"):
            raise Unreadable("too_big", "the host left out what the commit changed")

    def _read_operation(self, op: dict[str, Any], body: dict[str, Any], received: int) -> None:
        did, path, seq = checked_did(body["repo"]), op["path"], body["seq"]
        if op["action"] == "delete":
            take_deletion(self.rows, did, path, seq, received)
            return
        cid = op["cid"]
        try:
            record = decode_dag_cbor(find_block(body["blocks"], cid))
        except (ValueError, RecursionError):
            raise Unreadable("undecodable_record", "the record is not DAG-CBOR") from None
        time = body.get("time")
        take_record(self.rows, did, path, cid, record, body["rev"], seq, time, received)

    def _read_other(self, kind: Any, body: dict[str, Any], received: int) -> None:
        if kind not in _KINDS:
            self.note_kind("unknown")
            raise Unreadable("unknown_event", "an event of a kind that is not in the lexicon")
        self.note_kind(kind[1:])
        if kind == "#account":
            take_account(self.rows, body, body["seq"], received)
        elif kind == "#tombstone":
            did = checked_did(body["did"])
            self.rows.add_deletion("account", did, None, "deleted", body["seq"], received)
