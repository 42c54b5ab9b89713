"""Reading the firehose's frames: the posts, deletions and self-labels that they bring.

The paths of a commit's operations are looked at first; of its blocks only those that a wanted
operation names are looked up, checked against their CID and decoded. An operation that cannot
be read costs nothing but itself.
What does not belong here: connections, and what sequence numbers mean.

Source: lexicon com.atproto.sync.subscribeRepos.
"""

from typing import Any

from libipld import decode_dag_cbor, encode_cid

from bsky_assets.bluesky.cars import find_block
from bsky_assets.bluesky.frames import FrameReader, kind_of
from bsky_assets.bluesky.records import POST, Unreadable, post_values, self_labels
from bsky_assets.bluesky.rows import instant
from bsky_assets.contracts import RawFirehosePost

PROFILE = "app.bsky.actor.profile"
ACCOUNT_STATUSES = frozenset(
    ("deleted", "takendown", "suspended", "deactivated", "desynchronized", "throttled")
)
UNEXPLAINED_STATUS = "deactivated"
"""Taken for an account that is not active and for which the host gives no reason we know."""

_POSTS = f"{POST}/"
_WANTED = (_POSTS, f"{PROFILE}/")
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
                if op["path"].startswith(_WANTED):
                    self._read_operation(op, body, received)
            except Unreadable as problem:
                self.quarantine(problem, frame, body["seq"], received)
            except (KeyError, TypeError, AttributeError) as error:
                odd = Unreadable("bad_operation", f"it cannot be read ({kind_of(error)})")
                self.quarantine(odd, frame, body["seq"], received)
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
        if kind not in _KINDS:
            self.note_kind("unknown")
            raise Unreadable("unknown_event", "an event of a kind that is not in the lexicon")
        self.note_kind(kind[1:])
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


def _did(body: dict[str, Any]) -> str:
    did: str = body["did"]
    if not did.startswith("did:"):
        raise Unreadable("bad_did", "the event is not about a DID")
    return did
