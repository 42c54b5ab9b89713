"""What the sandbox's archive witnessed: first whole repositories, then the stream, event by event.

What an archive takes in when it begins has misleading times: it is witnessed on that day, and its
revision is the repository's then. So has a repository that is fetched again after a #sync.
What does not belong here: how rows are stored (`archive_segments`) and served (`archive`).
Source: docs/README.md of bluesky-social/jetstream at 9a30defd224e, section 3.3.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from libipld import encode_dag_cbor

from bsky_sandbox.archive_segments import (
    ACCOUNT,
    CREATE,
    DELETE,
    IDENTITY,
    SYNC,
    UPDATE,
    ArchiveRow,
)
from bsky_sandbox.posts import Json, encoded, micros_of, tid, tid_number, timestamp
from bsky_sandbox.stream import Event

_WITNESSED_AFTER = 150_000
"""Microseconds from the relay's time of an event to the archive's."""
_KINDS = {"create": CREATE, "update": UPDATE, "delete": DELETE}
_MARKERS = {"identity": IDENTITY, "account": ACCOUNT, "sync": SYNC}
_BETWEEN_RECORDS = 40
_CLOCK_BITS = 10


class History:
    """Rows in the order in which the archive has them, numbered from 1."""

    def __init__(
        self,
        records: Iterable[tuple[str, str, Json]],
        events: Iterable[Event],
        *,
        begun: datetime,
    ) -> None:
        """Take in repositories from `begun` on, then `events`.

        `records`: DID, path and record of what is in repositories before the events.
        """
        self._begun = micros_of(begun)
        self._events = events
        self._seq = 0
        self._repos: dict[str, dict[str, bytes]] = {}
        for did, path, record in records:
            self._repos.setdefault(did, {})[path] = encoded(record)

    def rows(self) -> Iterator[ArchiveRow]:
        """All of them; to be asked for once."""
        at = self._begun
        for did, repo in list(self._repos.items()):
            rev = tid(_newest(repo, at - 1_000_000) << _CLOCK_BITS)
            yield from self._repository(did, rev, at)
            at += _BETWEEN_RECORDS * len(repo)
        for event in self._events:
            yield from self._happened(event)

    def _repository(self, did: str, rev: str, at: int) -> Iterator[ArchiveRow]:
        for place, (path, block) in enumerate(sorted(self._repos.get(did, {}).items())):
            yield self._row(CREATE, did, at + place * _BETWEEN_RECORDS, path, rev, block)

    def _happened(self, event: Event) -> Iterator[ArchiveRow]:
        at = micros_of(event.time) + _WITNESSED_AFTER
        if event.kind != "commit":
            yield self._marker(event, at)
            if event.kind == "sync":
                yield from self._repository(event.did, event.rev or "", at)
            elif event.status == "deleted":
                self._repos.pop(event.did, None)
            return
        repo = self._repos.setdefault(event.did, {})
        for op in event.ops:
            block = b"" if op.record is None else encoded(op.record)
            repo.pop(op.path, None)
            if block:
                repo[op.path] = block
            yield self._row(_KINDS[op.action], event.did, at, op.path, event.rev or "", block)

    def _marker(self, event: Event, at: int) -> ArchiveRow:
        told: dict[str, Any] = {
            "did": event.did,
            "seq": event.seq,
            "time": timestamp(event.time),
        }
        if event.kind == "account":
            told["active"] = event.active
            if not event.active:
                told["status"] = event.status
        elif event.kind == "identity":
            told["handle"] = event.handle
        else:
            told |= {"rev": event.rev, "blocks": b""}
        self._seq += 1
        payload = bytes(encode_dag_cbor(told))
        return ArchiveRow(self._seq, at, _MARKERS[event.kind], event.did, payload=payload)

    def _row(self, kind: int, did: str, at: int, path: str, rev: str, block: bytes) -> ArchiveRow:
        collection, _, rkey = path.partition("/")
        self._seq += 1
        return ArchiveRow(
            seq=self._seq,
            witnessed_at=at,
            kind=kind,
            did=did,
            collection=collection,
            rkey=rkey,
            rev=rev,
            payload=block,
        )


def superseded(rows: Iterable[ArchiveRow]) -> set[int]:
    """The numbers of the rows that compaction removes: replaced, deleted, or of who is gone."""
    records: dict[tuple[str, str, str], list[int]] = {}
    gone: set[int] = set()
    for row in rows:
        key = (row.did, row.collection, row.rkey)
        if row.kind in (UPDATE, DELETE):
            gone.update(records.pop(key, ()))
        if row.kind in (CREATE, UPDATE):
            records.setdefault(key, []).append(row.seq)
        elif row.kind == SYNC or _is_end(row):
            for other in [other for other in records if other[0] == row.did]:
                gone.update(records.pop(other))
    return gone


def _is_end(row: ArchiveRow) -> bool:
    """Whether it tells that an account was deleted."""
    return row.kind == ACCOUNT and b"fstatusgdeleted" in row.payload


def _newest(repo: Mapping[str, bytes], latest: int) -> int:
    """The clock of the newest record key of a repository, in microseconds, or `latest`."""
    clocks = [tid_number(key) >> _CLOCK_BITS for path in repo if _is_tid(key := path.split("/")[1])]
    return min(max(clocks, default=latest), latest)


def _is_tid(key: str) -> bool:
    try:
        tid_number(key)
    except ValueError:
        return False
    return True


def before(instant: datetime) -> datetime:
    """When an archive begins that has taken in every repository by `instant`."""
    return instant - timedelta(hours=1)
