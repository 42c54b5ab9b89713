"""The events of the network, in stream order.

They are kept in columns and made when they are looked at, so that a million of them are small.
What belongs here: what an event is, and its records that nobody has to write (likes, follows).
What does not: which events there are (`world`), and frames (`relay`).
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, overload

from bsky_sandbox.accounts import SandboxAccount
from bsky_sandbox.posts import (
    POST,
    AccountStatus,
    Json,
    SandboxPost,
    at_micros,
    tid,
    timestamp,
)

Kind = Literal["commit", "identity", "account", "sync"]
Action = Literal["create", "update", "delete"]

KINDS: tuple[Kind, ...] = ("commit", "identity", "account", "sync")
_ACTIONS: tuple[Action, ...] = ("create", "update", "delete")

LIKE = "app.bsky.feed.like"
REPOST = "app.bsky.feed.repost"
FOLLOW = "app.bsky.graph.follow"
BLOCK = "app.bsky.graph.block"
PROFILE = "app.bsky.actor.profile"
THREADGATE = "app.bsky.feed.threadgate"
BLOG = "com.whtwnd.blog.entry"
BOOKMARK = "community.sandbox.bookmark"
_COLLECTIONS = (POST, LIKE, REPOST, FOLLOW, BLOCK, PROFILE, THREADGATE, BLOG, BOOKMARK)

_SELF = 0
_NONE = -1


@dataclass(frozen=True, slots=True)
class Op:
    """One change of a repository."""

    action: Action
    collection: str
    rkey: str
    record: Json | None
    """The record as JSON; None for a deletion."""
    post: int | None
    """Its place in `World.posts`, where it is a post."""

    @property
    def path(self) -> str:
        return f"{self.collection}/{self.rkey}"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream."""

    seq: int
    time: datetime
    """UTC: the relay's time."""
    kind: Kind
    did: str
    rev: str | None = None
    """A commit's or sync's revision, a TID that grows with each of a repository's."""
    since: str | None = None
    """The revision before it in this stream; None for a commit that is the first here."""
    ops: tuple[Op, ...] = ()
    active: bool = True
    status: AccountStatus = "active"
    """For an account event; `active` says the same in brief."""
    handle: str | None = None
    """The new handle, for an identity event."""


@dataclass(slots=True)
class Columns:
    """Events and their operations, column by column. Accounts and posts by their place."""

    time: "array[int]" = field(default_factory=lambda: array("q"))
    kind: "array[int]" = field(default_factory=lambda: array("B"))
    account: "array[int]" = field(default_factory=lambda: array("i"))
    rev: "array[int]" = field(default_factory=lambda: array("q"))
    since: "array[int]" = field(default_factory=lambda: array("q"))
    first_op: "array[int]" = field(default_factory=lambda: array("q"))
    action: "array[int]" = field(default_factory=lambda: array("B"))
    collection: "array[int]" = field(default_factory=lambda: array("B"))
    rkey: "array[int]" = field(default_factory=lambda: array("q"))
    target: "array[int]" = field(default_factory=lambda: array("i"))
    """The post or account that an operation is about; for a post, itself."""
    records: dict[int, Json] = field(default_factory=dict)
    """By operation: records that cannot be made from its target."""
    statuses: dict[int, AccountStatus] = field(default_factory=dict)
    """By event: what an account event says."""
    handles: dict[int, str] = field(default_factory=dict)
    """By event: what an identity event says."""

    def add_event(self, time: int, kind: Kind, account: int, rev: int, since: int) -> int:
        """Begin an event; its number. Instants are microseconds since 1970, 0 is no TID."""
        self.time.append(time)
        self.kind.append(KINDS.index(kind))
        self.account.append(account)
        self.rev.append(rev)
        self.since.append(since)
        self.first_op.append(len(self.action))
        return len(self.time) - 1

    def add_op(
        self,
        action: Action,
        collection: str,
        rkey: int,
        target: int = _NONE,
        record: Json | None = None,
    ) -> None:
        """Add an operation to the last event. The rkey is a TID's number, or 0 for `self`."""
        if record is not None:
            self.records[len(self.action)] = record
        self.action.append(_ACTIONS.index(action))
        self.collection.append(_COLLECTIONS.index(collection))
        self.rkey.append(rkey)
        self.target.append(target)


class Stream(Sequence[Event]):
    """The events as a sequence."""

    def __init__(
        self,
        columns: Columns,
        first_seq: int,
        posts: Sequence[SandboxPost],
        accounts: Sequence[SandboxAccount],
    ) -> None:
        self._columns = columns
        self._first_seq = first_seq
        self._posts = posts
        self._accounts = accounts

    def __len__(self) -> int:
        return len(self._columns.time)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        """The event at a place, or those at several."""
        if isinstance(index, slice):
            return [self._event(place) for place in range(*index.indices(len(self)))]
        return self._event(range(len(self))[index])

    def __iter__(self) -> Iterator[Event]:
        return map(self._event, range(len(self)))

    def _event(self, index: int) -> Event:
        columns = self._columns
        kind = KINDS[columns.kind[index]]
        seq, time = self._first_seq + index, at_micros(columns.time[index])
        did = self._accounts[columns.account[index]].did
        if kind == "account":
            status = columns.statuses[index]
            return Event(seq, time, kind, did, active=status == "active", status=status)
        if kind == "identity":
            return Event(seq, time, kind, did, handle=columns.handles[index])
        rev, since = tid(columns.rev[index]), columns.since[index]
        if kind == "sync":
            return Event(seq, time, kind, did, rev)
        last = index + 1 == len(self)
        ops = range(
            columns.first_op[index],
            len(columns.action) if last else columns.first_op[index + 1],
        )
        return Event(
            seq, time, kind, did, rev, tid(since) if since else None, tuple(map(self._op, ops))
        )

    def _op(self, index: int) -> Op:
        columns = self._columns
        action = _ACTIONS[columns.action[index]]
        collection = _COLLECTIONS[columns.collection[index]]
        number, target = columns.rkey[index], columns.target[index]
        rkey = "self" if number == _SELF else tid(number)
        post = target if collection == POST else None
        record = None if action == "delete" else self._record(index, collection, number, target)
        return Op(action, collection, rkey, record, post)

    def _record(self, index: int, collection: str, rkey: int, target: int) -> Json:
        if (record := self._columns.records.get(index)) is not None:
            return record
        if collection == POST:
            return self._posts[target].record
        created_at = timestamp(at_micros(rkey >> 10))
        if collection in (FOLLOW, BLOCK):
            did = self._accounts[target].did
            return {"$type": collection, "subject": did, "createdAt": created_at}
        post = self._posts[target]
        if collection == THREADGATE:
            return {"$type": collection, "post": post.uri, "allow": [], "createdAt": created_at}
        if collection == BOOKMARK:
            return {"$type": collection, "link": post.uri, "createdAt": created_at}
        subject = {"uri": post.uri, "cid": post.cid}
        return {"$type": collection, "subject": subject, "createdAt": created_at}
