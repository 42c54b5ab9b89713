"""What the changes of repositories and the statuses of accounts mean, whichever stream tells.

Source: lexicons app.bsky.feed.post, app.bsky.actor.profile and
com.atproto.sync.subscribeRepos#account.
"""

from typing import Any

from libipld import encode_cid

from bsky_assets.bluesky.records import POST, JsonObject, Unreadable, check_post, self_labels
from bsky_assets.bluesky.rows import Rows, instant

PROFILE = "app.bsky.actor.profile"
WANTED_COLLECTIONS = (POST, PROFILE)
POST_PATHS = f"{POST}/"
WANTED_PATHS = tuple(f"{collection}/" for collection in WANTED_COLLECTIONS)
"""How the paths of records begin that we want."""

ACCOUNT_STATUSES = frozenset(
    ("deleted", "takendown", "suspended", "deactivated", "desynchronized", "throttled")
)
UNEXPLAINED_STATUS = "deactivated"
"""Taken for an account that is not active and for which the host gives no reason we know."""


def take_record(
    rows: Rows,
    did: str,
    path: str,
    cid: bytes | str,
    record: Any,
    rev: Any,
    seq: int,
    time: Any,
    received: int,
) -> None:
    """Take a record that was put at a wanted `path`: a post, or a profile's own labels.

    Raises:
        Unreadable: it is not what it should be there.
    """
    if type(record) is not dict:
        raise Unreadable("undecodable_record", "the record is not a map")
    if type(rev) is not str or not did.startswith("did:"):
        raise Unreadable("bad_commit", "the commit's rev is not a string, or its repo no DID")
    if path.startswith(POST_PATHS):
        check_post(record)
        rows.posts.append((did, path, cid, rev, seq, time, received, record))
    else:
        _take_profile(rows, did, path, cid, record, seq, time, received)


def take_deletion(
    rows: Rows, did: Any, path: str, rev: Any, seq: int, time: Any, received: int
) -> None:
    """Take the deletion of what was at a wanted `path`.

    Raises:
        Unreadable: the account is not a DID.
    """
    if path.startswith(POST_PATHS):
        known_rev = rev if type(rev) is str else None
        rows.add_deletion(checked_did(did), path, "deleted", known_rev, seq, time, received)


def take_account(rows: Rows, body: JsonObject, seq: int, time: Any, received: int) -> None:
    """Take an account's status from an `#account` event."""
    status = "active"
    if body["active"] is not True:
        status = body.get("status") or UNEXPLAINED_STATUS
        if status not in ACCOUNT_STATUSES:
            status = UNEXPLAINED_STATUS
    rows.add_deletion(checked_did(body["did"]), None, status, None, seq, time, received)


def checked_did(did: Any) -> str:
    """`did`, if it is one.

    Raises:
        Unreadable: it is not.
    """
    if type(did) is not str or not did.startswith("did:"):
        raise Unreadable("bad_did", "the event is not about a DID")
    return did


def _take_profile(
    rows: Rows,
    did: str,
    path: str,
    cid: bytes | str,
    record: JsonObject,
    seq: int,
    time: Any,
    received: int,
) -> None:
    for value in self_labels(record) or ():
        label = {
            "src": did,
            "uri": f"at://{did}/{path}",
            "cid": cid if isinstance(cid, str) else encode_cid(cid),
            "val": value,
            "neg": False,
            "cts": instant(time) or received,
            "exp": None,
        }
        rows.add_label(label, seq, received)
