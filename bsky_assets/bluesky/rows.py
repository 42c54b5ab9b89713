"""Rows gathered from a stream, column by column, until they become Arrow tables.

Values are appended to plain lists and turned into columns in bulk, with the contracts' types
stated: nothing is made for each row but the values themselves.
What does not belong here: reading frames, and writing files.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from libipld import decode_dag_cbor, encode_cid

from bsky_assets.bluesky.json_text import stable_json
from bsky_assets.bluesky.records import (
    COLUMNS,
    PROBLEMS,
    JsonObject,
    Unreadable,
    check_post,
    post_values,
    problem_of,
)
from bsky_assets.contracts import (
    Quarantined,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
    arrow_schema,
)

SOURCE_FEED = "firehose"
_CANNOT_BE_TOLD = (pa.ArrowException, TypeError, ValueError, OverflowError, RecursionError)
"""What Arrow raises at values that no column can hold."""
_INSTANT = pa.timestamp("us", tz="UTC")
_SECOND = pa.timestamp("s", tz="UTC")


Post = tuple[Any, ...]
"""DID, path (collection/rkey), CID, rev, action, number, time by the host, instant of receipt, and
the record: as it came, in DAG-CBOR, or decoded."""

Tables = dict[type[Row], pa.Table]
"""What a stretch of a stream brought, a table a contract."""


class Rows:
    """Rows of one host on their way into columns. Instants are microseconds since the epoch."""

    def __init__(self, host: str, source: str) -> None:
        """Gather what `host` sends; what cannot be read is quarantined under the asset `source`."""
        self.host = host
        self.source = source
        self._begin()

    def _begin(self) -> None:
        self.posts: list[Post] = []
        self.deletions: list[dict[str, Any]] = []
        self.labels: list[dict[str, Any]] = []
        self.quarantined: list[dict[str, Any]] = []
        self._kept: set[tuple[str, str, bytes]] = set()
        self.kept_bytes = 0
        """Of what is in quarantine; a frame may be there twice, as itself and by its parts."""

    @property
    def rows(self) -> int:
        """How many rows of any kind are here."""
        return len(self.posts) + len(self.deletions) + len(self.labels) + len(self.quarantined)

    def add_deletion(
        self,
        did: str,
        path: str | None,
        status: str,
        rev: str | None,
        seq: int,
        time: Any,
        received: int,
        odd: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the deletion of the post at `path`, or (`path` is None) an account's status.

        `odd` is what of the event could not be read.
        """
        self.deletions.append(
            {
                "kind": "account" if path is None else "post",
                "uri": None if path is None else f"at://{did}/{path}",
                "did": did,
                "status": status,
                "rev": rev,
                "event_time": instant(time),
                "relay": self.host,
                "seq": seq,
                "received_at": received,
                "unknown_fields": stable_json(odd) if odd else None,
            }
        )

    def add_label(self, label: Mapping[str, Any], seq: int, received: int) -> None:
        """Take a label: the fields of `RawModerationLabel` but those on where it came from."""
        self.labels.append(
            {**label, "origin": self.host, "seq": seq, "received_at": received},
        )

    def quarantine(self, problem: Unreadable, content: bytes, position: str, received: int) -> None:
        """Keep what could not be read, as it came; the same of one place once."""
        key = (position, problem.reason, content)
        if content and key in self._kept:
            return
        self._kept.add(key)
        self.kept_bytes += len(content)
        self.quarantined.append(
            {
                "source": self.source,
                "origin": self.host,
                "position": position,
                "reason": problem.reason,
                "detail": problem.detail,
                "content": content,
                "received_at": received,
            }
        )

    def counts(self) -> dict[type[Row], int]:
        """How many rows are here of each contract."""
        return {
            RawFirehosePost: len(self.posts),
            RawPostDeletion: len(self.deletions),
            RawModerationLabel: len(self.labels),
            Quarantined: len(self.quarantined),
        }

    def take(self) -> "Rows":
        """Everything gathered so far; begin anew."""
        taken = Rows(self.host, self.source)
        for name in ("posts", "deletions", "labels", "quarantined", "_kept"):
            setattr(taken, name, getattr(self, name))
        self._begin()
        return taken

    def tables(self) -> Tables:
        """What is here, as tables; of the posts, those that are none are in quarantine then."""
        posts = self._post_table()  # first: it may have more to put into quarantine
        return {
            RawFirehosePost: posts,
            RawPostDeletion: _table(RawPostDeletion, self.deletions),
            RawModerationLabel: _table(RawModerationLabel, self.labels),
            Quarantined: _table(Quarantined, self.quarantined),
        }

    def read_posts(self) -> Iterator[tuple[Post, JsonObject]]:
        """The posts, each with its record decoded; what is none goes into quarantine."""
        for post in self.posts:
            record = post[-1]
            try:
                if type(record) is bytes:
                    record = decode_dag_cbor(record)
                check_post(record)
            except PROBLEMS as error:
                self._quarantine_post(problem_of(error), post)
            else:
                yield post, record

    def _post_table(self) -> pa.Table:
        read = [(post, post_values(record)) for post, record in self.read_posts()]
        try:
            table = _posts(self.host, read)
        except _CANNOT_BE_TOLD:
            read = [(post, values) for post, values in read if self._can_be_told(post, values)]
            table = _posts(self.host, read)
        self.posts = [post for post, _ in read]
        return table

    def _can_be_told(self, post: Post, values: tuple[Any, ...]) -> bool:
        try:
            _posts(self.host, [(post, values)])
        except _CANNOT_BE_TOLD:
            problem = Unreadable("unconvertible", "the record does not fit into columns")
            self._quarantine_post(problem, post)
            return False
        return True

    def _quarantine_post(self, problem: Unreadable, post: Post) -> None:
        did, path, *_, seq, _, received, record = post
        content = record if type(record) is bytes else stable_json(record).encode()
        told = Unreadable(problem.reason, f"{problem.detail}: at://{did}/{path}")
        self.quarantine(told, content, str(seq), received)


def _posts(host: str, posts: Sequence[tuple[Post, tuple[Any, ...]]]) -> pa.Table:
    schema = arrow_schema(RawFirehosePost)
    count = len(posts)
    if not count:
        return schema.empty_table()
    came, values = zip(*posts, strict=True)
    dids, paths, cids, revs, actions, seqs, times, instants_received, _ = zip(*came, strict=True)
    authors = pa.array(dids, pa.string())
    received = pa.array(instants_received, _INSTANT)
    columns = {
        "uri": pc.binary_join_element_wise("at://", authors, "/", pa.array(paths), ""),
        "cid": pa.array([*map(_cid, cids)], pa.string()),
        "author": authors,
        "record": _struct(schema.field("record").type, _record_columns(schema, values)),
        "metadata": _struct(
            schema.field("metadata").type,
            {
                "synctimestamp": _synctimestamps(received),
                "source_feed": pa.repeat(SOURCE_FEED, count),
                "url": pa.nulls(count, pa.string()),
            },
        ),
        "relay": pa.repeat(host, count),
        "seq": pa.array(seqs, pa.int64()),
        "action": pa.array(actions, pa.string()),
        "rev": pa.array(revs, pa.string()),
        "commit_time": instants(times),
        "received_at": received,
        "earlier_versions": pa.nulls(count, schema.field("earlier_versions").type),
    }
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def _record_columns(schema: pa.Schema, records: Sequence[tuple[Any, ...]]) -> dict[str, pa.Array]:
    types = {field.name: field.type for field in schema.field("record").type}
    return {
        name: pa.array(values, types[name])
        for name, values in zip(COLUMNS, zip(*records, strict=True), strict=True)
    }


def _cid(cid: bytes | str) -> str:
    return cid if isinstance(cid, str) else encode_cid(cid)


def instants(texts: Sequence[Any]) -> pa.Array:
    """Datetimes as the protocol writes them, as UTC instants; null where they cannot be read."""
    try:
        return pa.array(texts, pa.string()).cast(_INSTANT)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([instant(text) for text in texts], _INSTANT)


def instant(text: Any) -> datetime | None:
    """One datetime as the protocol writes it; None where it cannot be read."""
    try:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _synctimestamps(received: pa.Array) -> pa.Array:
    seconds = received.cast(_SECOND, safe=False).dictionary_encode()
    return pc.strftime(seconds.dictionary, format="%Y-%m-%d-%H:%M:%S").take(seconds.indices)


def _struct(kind: pa.StructType, columns: Mapping[str, pa.Array]) -> pa.StructArray:
    return pa.StructArray.from_arrays([columns[field.name] for field in kind], fields=list(kind))


def _table(row: type[Row], rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(row))
