"""Rows gathered from a stream, column by column, until they become Arrow tables.

Values are appended to plain lists and turned into columns in bulk, with the contracts' types
stated: nothing is made for each row but the values themselves. What a record's columns are, its
`Kind` says.
What does not belong here: reading frames, writing files, and any one kind of record.
"""

import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from libipld import decode_dag_cbor, encode_cid

from bsky_assets.bluesky.json_text import stable_json
from bsky_assets.bluesky.records import PROBLEMS, JsonObject, Unreadable, problem_of
from bsky_assets.bluesky.syntax import RECORD_KEY_PATTERN
from bsky_assets.contracts import (
    STREAMED,
    Quarantined,
    RawModerationLabel,
    RawPostDeletion,
    Row,
    arrow_schema,
)

_CANNOT_BE_TOLD = (pa.ArrowException, TypeError, ValueError, OverflowError, RecursionError)
"""What Arrow raises at values that no column can hold."""
_INSTANT = pa.timestamp("us", tz="UTC")

_ACCOUNT_OF: Mapping[type[Row], str] = {RawPostDeletion: "did", RawModerationLabel: "src"}
"""The column that names whose a row is: on its own posts and itself an account puts labels."""

Put = tuple[Any, ...]
"""DID, path (collection/rkey), CID, rev, action, number, time by the host, instant of receipt, and
the record: as it came, in DAG-CBOR, or decoded."""

Tables = dict[type[Row], pa.Table]
"""What a stretch of a stream brought, a table a contract."""


class Kind(ABC):
    """What becomes of the records of one collection."""

    collection: ClassVar[str]
    """NSID; it is asked for, and read, because there is its kind."""

    def __init__(self) -> None:
        prefix = re.escape(f"{self.collection}/")
        self.is_path = re.compile(rf"{prefix}(?!\.\.?\Z){RECORD_KEY_PATTERN}").fullmatch

    @abstractmethod
    def take(self, rows: "Rows", put: Put) -> None:
        """Take a record that was created or replaced, decoded.

        Raises:
            Unreadable: it is not what it should be.
        """

    def take_deletion(self, rows: "Rows", deletion: "Deletion") -> None:  # noqa: B027 -- most kinds keep nothing
        """Take that a record was deleted; of most kinds nothing is kept of that."""


class TableKind(Kind):
    """A kind each of whose records becomes a row of one contract."""

    row: ClassVar[type[Row]]
    """It has the columns of `common` as far as it has them by these names."""

    def take(self, rows: "Rows", put: Put) -> None:
        """Take a record; its columns are read later, many at a time."""
        self.check(put[-1])
        rows.puts[self].append(put)

    @abstractmethod
    def check(self, record: JsonObject) -> None:
        """See that a decoded record is of this kind.

        Raises:
            Unreadable: it is not.
        """

    def values(self, record: JsonObject) -> Any:
        """What `columns` needs of one record that was checked; may raise nothing."""
        return record

    def by_column(self, host: str, puts: Sequence[Put]) -> tuple[pa.Table, Sequence[bool]] | None:
        """The rows of puts that need not be looked at one by one, and which these are.

        None where that cannot be done with any.
        """
        return None

    @abstractmethod
    def columns(self, values: Sequence[Any], received: pa.Array) -> Mapping[str, pa.Array]:
        """The columns besides those that all kinds have, of as many records as there are `values`.

        Args:
            values: of each record, as `values` gives them.
            received: when each came (timestamp, microseconds, UTC).
        """

    def table(self, host: str, read: Sequence[tuple[Put, Any]]) -> pa.Table:
        """The rows of what `host` sent, with the `values` of each, under the contract's schema."""
        schema = arrow_schema(self.row)
        if not read:
            return schema.empty_table()
        puts, values = zip(*read, strict=True)
        columns = common_of(host, puts)
        columns |= self.columns(values, columns["received_at"])
        return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


class Rows:
    """Rows of one host on their way into columns. Instants are microseconds since the epoch."""

    def __init__(self, host: str, source: str) -> None:
        """Gather what `host` sends; what cannot be read is quarantined under the asset `source`."""
        self.host = host
        self.source = source
        self._begin()

    def _begin(self) -> None:
        self.puts: defaultdict[TableKind, list[Put]] = defaultdict(list)
        """Records of each kind whose columns are not read yet."""
        self.read: defaultdict[type[Row], list[dict[str, Any]]] = defaultdict(list)
        """Rows of the other contracts."""
        self._kept: set[tuple[str, str, bytes]] = set()
        self.kept_bytes = 0
        """Of what is in quarantine; a frame may be there twice, as itself and by its parts."""

    @property
    def rows(self) -> int:
        """How many rows of any kind are here."""
        return sum(map(len, self.puts.values())) + sum(map(len, self.read.values()))

    @property
    def quarantined(self) -> list[dict[str, Any]]:
        """What could not be read."""
        return self.read[Quarantined]

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
        self.read[RawPostDeletion].append(
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
        self.read[RawModerationLabel].append(
            {**label, "origin": self.host, "seq": seq, "received_at": received},
        )

    def quarantine(
        self,
        problem: Unreadable,
        content: bytes,
        position: str,
        received: int,
        source: str | None = None,
    ) -> None:
        """Keep what could not be read, as it came; the same of one place once.

        It is told of by the asset `source`, or that of the stream.
        """
        key = (position, problem.reason, content)
        if content and key in self._kept:
            return
        self._kept.add(key)
        self.kept_bytes += len(content)
        self.quarantined.append(
            {
                "source": source or self.source,
                "origin": self.host,
                "position": position,
                "reason": problem.reason,
                "detail": problem.detail,
                "content": content,
                "received_at": received,
            }
        )

    def counts(self) -> dict[type[Row], int]:
        """How many rows are here of each contract, in the order of `tables`."""
        puts = {kind.row: len(found) for kind, found in self.puts.items()}
        return {row: puts.get(row, 0) + len(self.read.get(row, ())) for row in STREAMED}

    def take(self) -> "Rows":
        """Everything gathered so far; begin anew."""
        taken = Rows(self.host, self.source)
        for name in ("puts", "read", "_kept"):
            setattr(taken, name, getattr(self, name))
        self._begin()
        return taken

    def keep_only(self, accounts: frozenset[str]) -> None:
        """Drop what is of other accounts; what could not be read stays, as that tells of nobody."""
        for kind, puts in self.puts.items():
            self.puts[kind] = [put for put in puts if put[0] in accounts]
        for row, account in _ACCOUNT_OF.items():
            if row in self.read:
                self.read[row] = [one for one in self.read[row] if one[account] in accounts]

    def tables(self) -> Tables:
        """What is here, as tables; records that are none of their kind are in quarantine then."""
        read = {kind.row: self._table(kind) for kind in self.puts}  # first: it may quarantine more
        return {
            row: read[row] if row in read else _table(row, self.read.get(row, ()))
            for row in STREAMED
        }

    def records(self, kind: TableKind) -> Iterator[tuple[Put, JsonObject]]:
        """The records of a kind, decoded; what is none goes into quarantine."""
        for put in self.puts[kind]:
            record = put[-1]
            try:
                if type(record) is bytes:
                    record = decode_dag_cbor(record)
                kind.check(record)
            except PROBLEMS as error:
                self._quarantine_put(problem_of(error), kind, put)
            else:
                yield put, record

    def _table(self, kind: TableKind) -> pa.Table:
        """The rows of a kind, in the order of their puts; those without a row go from there."""
        puts = self.puts[kind]
        try:
            read = kind.by_column(self.host, puts)
        except _CANNOT_BE_TOLD:
            read = None
        if read is None:
            return self._one_by_one(kind)
        table, is_read = read
        self.puts[kind] = [put for put, is_done in zip(puts, is_read, strict=True) if not is_done]
        others = self._one_by_one(kind)
        left = set(map(id, self.puts[kind]))
        self.puts[kind] = [
            put for put, is_done in zip(puts, is_read, strict=True) if is_done or id(put) in left
        ]
        if not others.num_rows:
            return table
        is_other = pa.array([id(put) in left for put in self.puts[kind]])
        # First come all rows of `table`: where each row of the whole is among both.
        place = pc.if_else(
            is_other,
            pc.add(pc.subtract(pc.cumulative_sum(is_other.cast(pa.int64())), 1), table.num_rows),
            pc.subtract(pc.cumulative_sum(pc.invert(is_other).cast(pa.int64())), 1),
        )
        return pa.concat_tables([table, others]).take(place)

    def _one_by_one(self, kind: TableKind) -> pa.Table:
        values = kind.values
        read = [(put, values(record)) for put, record in self.records(kind)]
        try:
            table = kind.table(self.host, read)
        except _CANNOT_BE_TOLD:
            read = [one for one in read if self._can_be_told(kind, one)]
            table = kind.table(self.host, read)
        self.puts[kind] = [put for put, _ in read]
        return table

    def _can_be_told(self, kind: TableKind, read: tuple[Put, Any]) -> bool:
        try:
            kind.table(self.host, [read])
        except _CANNOT_BE_TOLD:
            problem = Unreadable("unconvertible", "the record does not fit into columns")
            self._quarantine_put(problem, kind, read[0])
            return False
        return True

    def _quarantine_put(self, problem: Unreadable, kind: TableKind, put: Put) -> None:
        did, path, *_, seq, _, received, record = put
        content = record if type(record) is bytes else stable_json(record).encode()
        told = Unreadable(problem.reason, f"{problem.detail}: at://{did}/{path}")
        self.quarantine(told, content, str(seq), received, kind.row.asset)


def common(host: str, of: Mapping[str, Any], received: pa.Array) -> dict[str, pa.Array]:
    """The columns that are the same of every kind.

    Args:
        host: who sent the records.
        of: what is known of each record, its `uri` with it.
        received: when each came (timestamp, microseconds, UTC).
    """
    return {**of, "relay": pa.repeat(host, len(received)), "received_at": received}


def common_of(host: str, puts: Sequence[Put]) -> dict[str, pa.Array]:
    """The same of puts."""
    dids, paths, cids, revs, actions, seqs, times, received, _ = zip(*puts, strict=True)
    author = pa.array(dids, pa.string())
    columns = {
        "uri": pc.binary_join_element_wise("at://", author, "/", pa.array(paths), ""),
        "author": author,
        "cid": pa.array([*map(_cid, cids)], pa.string()),
        "rev": pa.array(revs, pa.string()),
        "action": pa.array(actions, pa.string()),
        "seq": pa.array(seqs, pa.int64()),
        "commit_time": instants(times),
    }
    return common(host, columns, pa.array(received, _INSTANT))


def _cid(cid: bytes | str) -> str:
    return cid if isinstance(cid, str) else encode_cid(cid)


def instants(texts: Sequence[Any] | pa.StringArray) -> pa.Array:
    """Datetimes as the protocol writes them, as UTC instants; null where they cannot be read."""
    try:
        return pa.array(texts, pa.string()).cast(_INSTANT)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        listed = texts.to_pylist() if isinstance(texts, pa.Array) else texts
        return pa.array([instant(text) for text in listed], _INSTANT)


def instant(text: Any) -> datetime | None:
    """One datetime as the protocol writes it; None where it cannot be read."""
    try:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Deletion:
    """What is known of a record that was deleted; `rev` and `time` as they came."""

    did: Any
    path: str
    rev: Any
    seq: int
    time: Any
    received: int


def _table(row: type[Row], rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(row))
