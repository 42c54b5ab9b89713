"""The version of the readers: what makes rows of what hosts send.

What was read stays as it was read, since no host can be asked again: another version makes no
stored day stale. It is kept with every segment and every reading of a feed, so that days tell.
"""

from pathlib import Path

from bsky_assets.bluesky.compiled import SHARED, SOURCES
from bsky_assets.contracts import (
    RawFeedPost,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
)
from bsky_assets.contracts.arrival import FIREHOSE
from bsky_assets.contracts.versions import source_version

_RECORDS = ("json_text", "records", "rows", "syntax")
_KINDS = "repositories"
"""Asks the kinds of records, each a module of its own."""
_FRAMES = ("cars", "firehose", "frames", "jetstream", "reader", "relay", _KINDS)
_ARCHIVE = (
    "archive/block_rows",
    "archive/blocks",
    "archive/dating",
    "archive/markers",
    "archive/taking",
    "compiled",
    "post_columns",
)
_LABELS = ("frames", "label_query", "labels", "labels_stream", "reader")

READERS: dict[type[Row], tuple[str, ...]] = {
    RawFirehosePost: (*_RECORDS, *_FRAMES, *_ARCHIVE),
    RawPostDeletion: (*_RECORDS, *_FRAMES, *_ARCHIVE),
    RawModerationLabel: (*_RECORDS, *_LABELS, *_FRAMES),
    RawFeedPost: (*_RECORDS, "appview", "feeds", "labels"),
}
"""The modules that decide which rows of a contract are made, and what is in them."""


def reader_version(row: type[Row]) -> str:
    """Twelve hex digits that change with what makes the rows of `row` of what arrives."""
    folder = Path(__file__).parent
    modules = (folder / f"{name}.py" for name in sorted(set(READERS[row])))
    kinds = sorted(folder.glob("kinds/*.py")) if _KINDS in READERS[row] else []
    compiled = [SHARED, *SOURCES.values()] if "compiled" in READERS[row] else []
    return source_version([*modules, *kinds, *compiled])


def stream_version(stream: str) -> str:
    """The same of all rows that come over `stream`."""
    return reader_version(RawFirehosePost if stream == FIREHOSE else RawModerationLabel)
