"""How the rows of a contract arrive by a stream, and which of them tell the same.

Segments, their compaction, the counts of a reading and the raw assets follow from it.
What does not belong here: how a record is read, which `bluesky.kinds` declares.
"""

from dataclasses import dataclass

FIREHOSE = "firehose"
LABELS = "labels"
ARCHIVE = "archive"
"""What was fetched of an archive lands as a stream does."""


@dataclass(frozen=True)
class Arrival:
    """The way of a contract's rows from streams into its partitions."""

    column: str
    """The struct column of a segment that holds them."""
    counted_as: str
    """What a number of them is called."""
    streams: tuple[str, ...] = ()
    """Those whose segments its partitions are made from, the one first whose completeness they
    tell."""
    same: tuple[str, ...] = ()
    """SQL of a row; where all are equal, rows are duplicates."""
    first: tuple[str, ...] = ("received_at", "relay", "seq")
    """SQL of a row; of duplicates the first in this order is kept."""
    order: tuple[str, ...] = ()
    """SQL of a row, by which the rows of a partition are ordered."""
    keeps_versions: bool = False
    """Of a URI the latest is kept instead, with the others in its `earlier_versions`."""
