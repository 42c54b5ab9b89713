"""What an archive keeps of what is gone: deletions of posts, and accounts' statuses.

Deletions that are as they should be become rows by column; whatever else there is is read by the
code that reads the live stream.
What does not belong here: posts.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from libipld import decode_dag_cbor

from bsky_assets.bluesky.archive.blocks import DELETE
from bsky_assets.bluesky.kinds.posts import KIND as POSTS
from bsky_assets.bluesky.post_columns import read_names
from bsky_assets.bluesky.records import POST, PROBLEMS, Unreadable, problem_of
from bsky_assets.bluesky.repositories import take_account
from bsky_assets.bluesky.rows import Deletion, Rows
from bsky_assets.contracts import RawPostDeletion, arrow_schema

_LARGE = 2**63
"""Numbers from here on do not fit into the contracts' columns."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = pa.timestamp("us", tz="UTC")
_SCHEMA = arrow_schema(RawPostDeletion)


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column of a table in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def fits(numbers: pa.Array) -> pa.Array:
    """Whether each of the archive's numbers fits into a contract's column."""
    return pc.less(numbers, pa.scalar(_LARGE, pa.uint64()))


def take_markers(gathered: Rows, rows: pa.Table, received: int) -> pa.Table:
    """The rows of markers, in order; those that cannot be read go into quarantine.

    Args:
        gathered: takes what is quarantined, and is left without the markers.
        rows: markers with the columns of a sheet, and their places among all rows.
        received: when they came to us, microseconds since the epoch.
    """
    rows = rows.combine_chunks()
    names = read_names(*(whole(rows[name]) for name in ("did", "rkey", "rev")))
    is_usual = pc.and_(pc.equal(whole(rows["kind"]), DELETE), names.is_named)
    is_usual = pc.and_(is_usual, fits(whole(rows["seq"])))
    rows = rows.append_column("uri", names.uri)
    by_column = _deletions(rows.filter(is_usual), gathered.host, received)
    places: list[int] = []
    taken = gathered.read[RawPostDeletion]
    for row in rows.filter(pc.invert(is_usual)).to_pylist():
        try:
            _take(gathered, row, received)
        except PROBLEMS as error:
            problem, content = problem_of(error), row["payload"] or b""
            gathered.quarantine(problem, content, str(row["seq"]), received, RawPostDeletion.asset)
        places += [row["place"]] * (len(taken) - len(places))
    return _in_order(by_column, pa.Table.from_pylist(taken, schema=_SCHEMA), places)


def _in_order(by_column: pa.Table, others: pa.Table, places: list[int]) -> pa.Table:
    """Rows that were read by column, which have their places, and `others` at theirs."""
    if not others.num_rows:
        return by_column.drop_columns("place")
    others = others.append_column("place", pa.array(places, pa.int64()))
    return pa.concat_tables([by_column, others]).sort_by("place").drop_columns("place")


def _deletions(rows: pa.Table, host: str, received: int) -> pa.Table:
    count = rows.num_rows
    columns = {
        "kind": pa.repeat("post", count),
        "uri": rows["uri"],
        "did": rows["did"],
        "status": pa.repeat("deleted", count),
        "rev": rows["rev"],
        "event_time": rows["at"].cast(_INSTANT),
        "relay": pa.repeat(host, count),
        "seq": rows["seq"].cast(pa.int64()),
        "received_at": pa.repeat(pa.scalar(received, _INSTANT), count),
        "unknown_fields": pa.nulls(count, pa.string()),
    }
    table = pa.Table.from_arrays([columns[name] for name in _SCHEMA.names], schema=_SCHEMA)
    return table.append_column("place", rows["place"])


def _take(gathered: Rows, row: Mapping[str, Any], received: int) -> None:
    if row["seq"] >= _LARGE:
        raise Unreadable("unconvertible", "its number does not fit into columns")
    time = (_EPOCH + timedelta(microseconds=row["at"])).isoformat()
    if row["kind"] == DELETE:
        path = f"{POST}/{row['rkey']}"
        POSTS.take_deletion(
            gathered, Deletion(row["did"], path, row["rev"], row["seq"], time, received)
        )
    else:
        take_account(gathered, decode_dag_cbor(row["payload"]), row["seq"], time, received)
