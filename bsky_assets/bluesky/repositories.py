"""What the changes of repositories and the statuses of accounts mean, whichever stream tells.

Source: lexicons app.bsky.feed.post, app.bsky.actor.profile and
com.atproto.sync.subscribeRepos#account.
"""

import re
from typing import Any

from libipld import encode_cid

from bsky_assets.bluesky.records import POST, JsonObject, Unreadable, check_post, self_labels
from bsky_assets.bluesky.rows import Rows, instant
from bsky_assets.bluesky.syntax import RECORD_KEY_PATTERN, is_did, is_record_key, is_tid

PROFILE = "app.bsky.actor.profile"
WANTED_COLLECTIONS = (POST, PROFILE)
WANTED_PATHS = tuple(f"{collection}/" for collection in WANTED_COLLECTIONS)
"""How the paths of records begin that we want."""
PUTS = frozenset(("create", "update"))
"""What may be done to a record besides deleting it."""

_POSTS = f"{POST}/"

ACCOUNT_STATUSES = frozenset(
    ("deleted", "takendown", "suspended", "deactivated", "desynchronized", "throttled")
)
UNEXPLAINED_STATUS = "deactivated"
"""Taken for an account that is not active and for which the host gives no reason we know."""

is_post_path = re.compile(rf"{re.escape(_POSTS)}(?!\.\.?\Z){RECORD_KEY_PATTERN}").fullmatch
"""Whether a path is that of a post."""


def take_record(
    rows: Rows,
    did: str,
    path: str,
    cid: bytes | str,
    record: Any,
    rev: Any,
    action: Any,
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
    if not is_tid(rev) or not is_did(did):
        raise Unreadable("bad_commit", "the commit's rev is not a TID, or its repo no DID")
    check_path(path)
    if path.startswith(_POSTS):
        check_post(record)
        rows.posts.append((did, path, cid, rev, action, seq, time, received, record))
    else:
        _take_profile(rows, did, path, cid, record, seq, time, received)


def take_deletion(
    rows: Rows, did: Any, path: str, rev: Any, seq: int, time: Any, received: int
) -> None:
    """Take the deletion of what was at a wanted `path`.

    Raises:
        Unreadable: the account is not a DID, or the path no record's.
    """
    if path.startswith(_POSTS):
        checked_did(did)
        check_path(path)
        known_rev, odd = (rev, None) if is_tid(rev) or rev is None else (None, {"rev": rev})
        rows.add_deletion(did, path, "deleted", known_rev, seq, time, received, odd)


def take_account(rows: Rows, body: JsonObject, seq: int, time: Any, received: int) -> None:
    """Take an account's status from an `#account` event."""
    status, odd = "active", None
    if body["active"] is not True:
        given = body.get("status")
        status = given if given in ACCOUNT_STATUSES else UNEXPLAINED_STATUS
        odd = {"status": given} if given and given != status else None
    rows.add_deletion(checked_did(body["did"]), None, status, None, seq, time, received, odd)


def take_tombstone(rows: Rows, body: JsonObject, received: int) -> None:
    """Take the end of an account as hosts told of it before there were `#account` events."""
    did, seq, time = checked_did(body["did"]), body["seq"], body.get("time")
    rows.add_deletion(did, None, "deleted", None, seq, time, received)


def unknown_action() -> Unreadable:
    """What to raise where something else than one of `PUTS` was done to a record."""
    return Unreadable("unknown_action", "what was done to the record is not in the lexicon")


def checked_did(did: Any) -> str:
    """`did`, if it is one.

    Raises:
        Unreadable: it is not.
    """
    if not is_did(did):
        raise Unreadable("bad_did", "the event is not about a DID")
    checked: str = did
    return checked


def check_path(path: str) -> None:
    """See that the path of a record ends in a record key.

    Raises:
        Unreadable: it does not.
    """
    if not is_record_key(path.partition("/")[2]):
        raise Unreadable("bad_record_key", "the record's key is not one")


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
