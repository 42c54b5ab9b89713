"""What the statuses of accounts mean, and what any change of a repository must have.

What does not belong here: what a record of any one kind means, which its file in `kinds` says.

Source: lexicon com.atproto.sync.subscribeRepos#account.
"""

from typing import Any

from bsky_assets.bluesky.records import JsonObject, Unreadable
from bsky_assets.bluesky.rows import Kind, Put, Rows
from bsky_assets.bluesky.syntax import is_did, is_record_key, is_tid
from bsky_assets.contracts.raw import ACTIVE

PUTS = frozenset(("create", "update"))
"""What may be done to a record besides deleting it."""

_ACCOUNT_STATUSES = frozenset(
    ("deleted", "takendown", "suspended", "deactivated", "desynchronized", "throttled")
)
_UNEXPLAINED_STATUS = "deactivated"
"""Taken for an account that is not active and for which the host gives no reason we know."""


def take_record(rows: Rows, kind: Kind, put: Put) -> None:
    """Take a record of `kind`, decoded, that was put at its path.

    Raises:
        Unreadable: it is not what it should be there.
    """
    did, path, _, rev, *_, record = put
    if type(record) is not dict:
        raise Unreadable("undecodable_record", "the record is not a map")
    if not is_tid(rev) or not is_did(did):
        raise Unreadable("bad_commit", "the commit's rev is not a TID, or its repo no DID")
    check_path(path)
    kind.take(rows, put)


def take_account(rows: Rows, body: JsonObject, seq: int, time: Any, received: int) -> None:
    """Take an account's status from an `#account` event."""
    status, odd = ACTIVE, None
    if body["active"] is not True:
        given = body.get("status")
        status = given if given in _ACCOUNT_STATUSES else _UNEXPLAINED_STATUS
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
