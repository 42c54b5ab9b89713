"""Reading the firehose's frames: the posts, deletions and self-labels that they bring.

The paths of a commit's operations are looked at first; of its blocks only those that a wanted
operation names are looked up, checked against their CID and decoded. An operation that cannot
be read costs nothing but itself.
What does not belong here: connections, and what sequence numbers mean.

Source: lexicon com.atproto.sync.subscribeRepos.
"""

from typing import Any

from libipld import decode_dag_cbor, decode_dag_cbor_multi

from bsky_assets.bluesky.cars import find_block
from bsky_assets.bluesky.frames import FrameReader
from bsky_assets.bluesky.reader import NUMBER_BITS, PROBLEMS
from bsky_assets.bluesky.records import POST, Unreadable
from bsky_assets.bluesky.repositories import (
    POST_PATHS,
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
                if ops and not seq >> NUMBER_BITS:
                    for op in ops:
                        if op["path"].startswith(WANTED_PATHS):
                            self._read_commit(body, seq, frame, received)
                            break
                    self.note_number(seq)
                    self.note_time(time)
                    return
        except PROBLEMS:
            super().read(frame, received)
            return
        self._read_message(header, body, frame, received)

    def _read_event(self, kind: Any, body: dict[str, Any], frame: bytes, received: int) -> None:
        if kind == "#commit":
            self._read_commit(body, body["seq"], frame, received)
        else:
            self._read_other(kind, body, received)

    def _read_commit(self, body: dict[str, Any], seq: int, frame: bytes, received: int) -> None:
        did, rev, time = body["repo"], body["rev"], body.get("time")
        posts = self.rows.posts
        for op in body["ops"]:
            try:
                path = op["path"]
                if not path.startswith(WANTED_PATHS):
                    continue
                if op["action"] == "delete":
                    take_deletion(self.rows, did, path, seq, received)
                    continue
                cid = op["cid"]
                record = decode_dag_cbor(find_block(body["blocks"], cid))
                if (  # a post in good order, as most are
                    path.startswith(POST_PATHS)
                    and type(rev) is str
                    and did.startswith("did:")
                    and record.get("$type") == POST
                    and type(record.get("text")) is str
                    and type(record.get("createdAt")) is str
                ):
                    posts.append((did, path, cid, rev, seq, time, received, record))
                else:  # a profile, or this says what is wrong
                    take_record(self.rows, did, path, cid, record, rev, seq, time, received)
            except PROBLEMS as error:
                self.quarantine(error, frame, seq, received)
        if body.get("tooBig"):
            problem = Unreadable("too_big", "the host left out what the commit changed")
            self.quarantine(problem, frame, seq, received)

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
