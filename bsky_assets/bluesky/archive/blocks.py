"""A block of the archive, one zstd frame, as Arrow columns: nothing is made for each row.

The bytes are hostile: what a block may claim is held against what is there before anything is
allocated for it. `MOST_BYTES` of block cost at most four times as much memory while it is read.
What does not belong here: where blocks come from, and what becomes of their rows.

Source: docs/README.md of bluesky-social/jetstream, section 3.2.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import pyarrow as pa
import zstandard

from bsky_assets.errors import UserError

MOST_BYTES = 256 * 2**20
"""A block that is larger is not read; with 4,096 events it has about two million bytes."""
CREATE, UPDATE, DELETE, IDENTITY, ACCOUNT, SYNC = range(1, 7)
"""What the numbers in the column `kind` mean."""

SCHEMA = pa.schema(
    [
        pa.field("seq", pa.uint64(), nullable=False),
        pa.field("witnessed_at", pa.int64(), nullable=False),
        pa.field("indexed_at", pa.int64(), nullable=False),
        pa.field("kind", pa.uint8(), nullable=False),
        pa.field("collection", pa.string(), nullable=False),
        pa.field("did", pa.string(), nullable=False),
        pa.field("rkey", pa.string(), nullable=False),
        pa.field("rev", pa.string(), nullable=False),
        pa.field("payload", pa.binary()),
    ]
)
"""Of a block. Instants are microseconds since the epoch; `indexed_at` is 0 where there is none.
`payload` is the record in DAG-CBOR, or what an account, identity or sync event says."""

_NUMBERS = (("seq", "<u8"), ("witnessed_at", "<i8"), ("indexed_at", "<i8"), ("kind", "u1"))
_TEXTS = (
    ("collection", "u1"),
    ("did", "<u2"),
    ("rkey", "u1"),
    ("rev", "u1"),
    ("payload", "<u4"),
)
"""The columns whose lengths follow the numbers, and then their bytes, in this order."""
_COUNT_BYTES = 4
_ROW_BYTES = sum(np.dtype(kind).itemsize for _, kind in _NUMBERS + _TEXTS)
_LARGEST_WINDOW = 2**27
_FED_AT_ONCE = 1024
"""As many compressed bytes come to 32 MiB at most."""


class UnreadableArchive(UserError):
    """What an archive sent is not what it should be: bytes, numbers or versions."""

    @classmethod
    def of(cls, name: str, problem: str) -> Self:
        """What is called `name` has the problem."""
        return cls(
            f"{name} of the archive cannot be read: {problem}; fetch it again, and where that "
            "does not help ask whoever runs the archive"
        )


def read_block(frame: bytes, name: str) -> pa.RecordBatch:
    """The rows of a block, in the order of their numbers, as `SCHEMA` has them.

    A block all of whose rows were compacted away has none.

    Args:
        frame: as getBlock returns it, and as it stands in a segment after its length.
        name: how to call the block in an error.

    Raises:
        UnreadableArchive: it is no such block, or a larger one than is read.
    """
    with unreadable(name):
        return read_body(unpacked(frame))


@contextmanager
def unreadable(name: str) -> Iterator[None]:
    """Tell of what is wrong with a block, `name`, as `UnreadableArchive`."""
    try:
        yield
    except (zstandard.ZstdError, pa.ArrowException, ValueError, MemoryError) as error:
        problem = str(error).splitlines()[0] if str(error) else "it does not fit into memory"
        raise UnreadableArchive.of(name, problem) from None


def unpacked(frame: bytes) -> bytes:
    """The columns in a frame.

    Raises:
        ZstdError, ValueError: it is no frame, or a larger one than is read.
        MemoryError: it does not fit into memory.
    """
    size = zstandard.get_frame_parameters(frame).content_size
    if size == zstandard.CONTENTSIZE_UNKNOWN:
        return _decompressed_in_parts(frame)
    if size > MOST_BYTES:
        raise ValueError(f"it says that it has {size:,} bytes, more than {MOST_BYTES:,}")
    whole: bytes = zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    return whole


def _decompressed_in_parts(frame: bytes) -> bytes:
    """What a frame holds that does not say how much that is."""
    reader = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
    parts, total = [], 0
    for start in range(0, len(frame), _FED_AT_ONCE):
        if reader.eof:
            break
        parts.append(reader.decompress(frame[start : start + _FED_AT_ONCE]))
        total += len(parts[-1])
        if total > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
    if not reader.eof:
        raise ValueError("it is cut off")
    if reader.unused_data or start + _FED_AT_ONCE < len(frame):
        raise ValueError("there are bytes after it")
    return b"".join(parts)


def read_body(body: bytes) -> pa.RecordBatch:
    """The rows in what a frame unpacks to.

    Raises:
        ArrowException, ValueError: it is not what it says.
    """
    if len(body) < _COUNT_BYTES:
        raise ValueError("it has no count of events")
    count = int.from_bytes(body[:_COUNT_BYTES], "little")
    at = _COUNT_BYTES + count * _ROW_BYTES
    if at > len(body):
        raise ValueError(f"it claims {count:,} events and has {len(body):,} bytes")
    numbers, place = {}, _COUNT_BYTES
    for name, kind in _NUMBERS + _TEXTS:
        numbers[name] = np.frombuffer(body, kind, count, place)
        place += numbers[name].nbytes
    columns: dict[str, pa.Array] = {
        name: pa.array(numbers[name], SCHEMA.field(name).type) for name, _ in _NUMBERS
    }
    buffer = pa.py_buffer(body)
    for name, _ in _TEXTS:
        lengths = numbers[name]
        size = int(lengths.sum(dtype=np.uint64))
        if at + size > len(body):
            raise ValueError(f"its column {name} is longer than the block")
        columns[name] = _texts(SCHEMA.field(name).type, lengths, buffer.slice(at, size))
        at += size
    if at != len(body):
        raise ValueError(f"there are {len(body) - at:,} bytes after its last column")
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _texts(kind: pa.DataType, lengths: "np.ndarray[Any, Any]", content: pa.Buffer) -> pa.Array:
    """Texts or bytes that stand one after the other; of the latter, those of no length are null."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:], dtype=np.int32)
    given = None
    if kind == pa.binary():
        given = pa.py_buffer(np.packbits(lengths > 0, bitorder="little"))
    texts = pa.Array.from_buffers(kind, len(lengths), [given, pa.py_buffer(offsets), content])
    texts.validate(full=True)
    return texts
