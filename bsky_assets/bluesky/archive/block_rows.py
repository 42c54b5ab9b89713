"""A block of the archive as the rows that something is made of, each with when it happened.

What is compiled for it takes a block that is whole; any other, and where it is not there every
one, is read by `blocks` and dated by `dating`.
What does not belong here: where blocks come from, and where their rows go.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.bluesky.archive.blocks import (
    ACCOUNT,
    DELETE,
    SCHEMA,
    SYNC,
    read_body,
    unpacked,
    unreadable,
)
from bsky_assets.bluesky.archive.dating import KEY, NOT_DATED, dated
from bsky_assets.bluesky.compiled import column, compiled
from bsky_assets.bluesky.records import POST

DATED_ROWS = pa.schema(
    [
        *SCHEMA,
        pa.field("at", pa.int64(), nullable=False),
        pa.field("dated_by", pa.string()),
    ]
)
"""A row of a block, when it happened (microseconds since the epoch) and how that is known."""
_TOLD = [*DATED_ROWS, pa.field("if_again", pa.int64()), pa.field("again", pa.string())]


@dataclass(frozen=True)
class BlockRows:
    """What is wanted of a block: posts, their deletions, and accounts' statuses."""

    rows: pa.RecordBatch
    """With the columns of `DATED_ROWS`."""
    if_again: pa.Int64Array
    """Of rows whose account may have come again, see `dating.Dated`."""
    again: pa.StringArray
    """The accounts that came again, by a #sync, somewhere in the block."""


def read_rows(frame: bytes, name: str) -> BlockRows:
    """What is wanted of a block, in the order of its numbers.

    Args:
        frame: as getBlock returns it, and as it stands in a segment after its length.
        name: how to call the block in an error.

    Raises:
        UnreadableArchive: it is no such block, or a larger one than is read.
    """
    with unreadable(name):
        body = unpacked(frame)
        module = compiled("archive._block_rows")
        told = module.read(body) if module else None
        if told is None:  # this one says what is wrong, if anything is
            return _by_column(read_body(body))
    columns = iter(told)
    *rows, if_again, again = [column(field.type, columns) for field in _TOLD]
    return BlockRows(pa.RecordBatch.from_arrays(rows, schema=DATED_ROWS), if_again, again)


def _by_column(block: pa.RecordBatch) -> BlockRows:
    found = dated(block)
    kind = block["kind"]
    is_post = pc.and_(pc.less_equal(kind, DELETE), pc.equal(block["collection"], POST))
    is_wanted = pc.or_(is_post, pc.equal(kind, ACCOUNT))
    columns = [*block.columns, pa.array(found.at, pa.int64()), found.how]
    rows = pa.RecordBatch.from_arrays(columns, schema=DATED_ROWS)
    again = block["did"].filter(pc.equal(kind, SYNC))
    return BlockRows(rows.filter(is_wanted), found.if_again.filter(is_wanted), again)


class Again:
    """Which accounts of a segment came again so far, block by block."""

    def __init__(self) -> None:
        """Begin a segment."""
        self._accounts: set[str] = set()

    def settled(self, block: BlockRows) -> pa.RecordBatch:
        """The rows of the next block, dated with that in mind."""
        self._accounts.update(block.again.to_pylist())
        rows = block.rows
        if not self._accounts or block.if_again.null_count == len(rows):
            return rows
        may_be = pc.is_valid(block.if_again)
        came_again = [did in self._accounts for did in rows["did"].filter(may_be).to_pylist()]
        is_other = pc.replace_with_mask(may_be, may_be, pa.array(came_again))
        at = pc.if_else(is_other, block.if_again, rows["at"])
        by_key = pc.if_else(pc.equal(at, NOT_DATED), pa.scalar(None, pa.string()), KEY)
        how = pc.if_else(is_other, by_key, rows["dated_by"])
        return pa.RecordBatch.from_arrays([*rows.columns[:-2], at, how], schema=DATED_ROWS)
