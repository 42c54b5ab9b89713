"""Blocks and segments: the same rows as the SDK reads, and a clear no to everything else."""

import resource
import struct
import tracemalloc
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
import zstandard
from atproto_client.exceptions import AtProtocolError
from atproto_jetstream.archive import SegmentEvent, decode_block
from atproto_jetstream.archive.downloader import iter_block_frames
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.bluesky.archive.blocks import MOST_BYTES, SCHEMA, UnreadableArchive, read_block
from bsky_assets.bluesky.archive.sealed import read_frames
from bsky_assets_tests.bluesky.archive.made_blocks import block_of, compressed, damaged
from bsky_sandbox.archive_segments import ArchiveRow, SealedSegment

LIMIT = 2**63 - 1

rows = st.builds(
    ArchiveRow,
    seq=st.integers(0, 2**64 - 1),
    witnessed_at=st.integers(-(2**63), LIMIT),
    indexed_at=st.integers(0, LIMIT),
    kind=st.integers(1, 6),
    did=st.text(max_size=40),
    collection=st.text(max_size=20),
    rkey=st.text(max_size=20),
    rev=st.text(max_size=13),
    payload=st.binary(max_size=60),
)
blocks = st.lists(rows, max_size=12)


def read(frame: bytes) -> list[dict[str, Any]]:
    batch = read_block(frame, "the block")
    assert batch.schema == SCHEMA
    return batch.to_pylist()


def by_sdk(frame: bytes) -> list[dict[str, Any]]:
    return [{name: getattr(row, name) for name in SCHEMA.names} for row in decode_block(frame)]


def segment_of(content: Sequence[Sequence[ArchiveRow]]) -> SealedSegment:
    return SealedSegment.seal(0, map(block_of, content))


@given(blocks)
def test_a_block_has_the_rows_that_the_sdk_reads(content: list[ArchiveRow]) -> None:
    frame = block_of(content).frame()
    assert read(frame) == by_sdk(frame)
    assert [row["payload"] or b"" for row in read(frame)] == [row.payload for row in content]


@given(st.lists(blocks, min_size=1, max_size=4))
def test_a_segment_has_the_frames_that_the_sdk_finds(content: list[list[ArchiveRow]]) -> None:
    data = segment_of(content).data
    assert list(read_frames(data, "it")) == list(iter_block_frames(data))


@pytest.mark.real_data
def test_bytes_of_the_real_server_have_the_rows_that_the_sdk_reads(real_data: Path) -> None:
    folder = real_data / "archive" / "jetstream-segments"
    frames = [(folder / "golden_block.bin").read_bytes()]
    for name in ("golden_seal.bin", "legacy_fixed4096_blooms.jss"):
        frames += read_frames((folder / name).read_bytes(), name)
    assert [len(read(frame)) for frame in frames] == [3, 2, 6, 6]
    assert [read(frame) for frame in frames] == [by_sdk(frame) for frame in frames]


@settings(max_examples=400)
@given(
    blocks,
    st.integers(0, 2_000),
    st.integers(0, 255),
    st.sampled_from([0, 0, 0, 1, 7]),
    st.sampled_from([b"", b"", b"", b"\0", b"more"]),
    st.booleans(),
)
def test_a_damaged_block_is_refused_or_has_the_rows_that_the_sdk_reads(
    content: list[ArchiveRow], place: int, value: int, cut: int, added: bytes, within: bool
) -> None:
    block = block_of(content)
    if within:
        frame = compressed(damaged(block.body(), place, value, cut, added))
    else:
        frame = damaged(block.frame(), place, value, cut, added)
    with suppress(UnreadableArchive):
        assert read(frame) == by_sdk(frame)


@given(st.binary(max_size=400))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(UnreadableArchive):
        read_block(noise, "the block")
    with pytest.raises(UnreadableArchive):
        list(read_frames(noise, "the segment"))


def bomb(size: int, *, tells_size: bool) -> bytes:
    if tells_size:
        return zstandard.ZstdCompressor().compress(bytes(size))
    packer = zstandard.ZstdCompressor().compressobj()
    return b"".join(packer.compress(bytes(2**20)) for _ in range(size >> 20)) + packer.flush()


def claiming(size: int) -> bytes:
    """A frame that says that it has `size` bytes, and has few."""
    frame = bytearray(zstandard.ZstdCompressor().compress(bytes(2**17)))
    assert zstandard.get_frame_parameters(bytes(frame)).content_size == 2**17
    return frame[:4] + bytes([0b1110_0000]) + struct.pack("<Q", size) + bytes(frame[9:])


@pytest.mark.parametrize(
    "frame",
    [
        compressed(struct.pack("<I", 4_000_000_000)),
        compressed(struct.pack("<I", 1) + bytes(30) + struct.pack("<I", 4_000_000_000)),
        bomb(MOST_BYTES + 2**20, tells_size=True),
        bomb(MOST_BYTES + 2**20, tells_size=False),
        claiming(10**12),
    ],
    ids=["events", "a length", "a bomb", "a bomb of unknown size", "a size"],
)
def test_a_claim_costs_no_memory_beyond_the_bound(frame: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    with pytest.raises(UnreadableArchive):
        read_block(frame, "the block")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * MOST_BYTES
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 2 * MOST_BYTES


TWO = [[ArchiveRow(1, 5, 1, "did:plc:a")], [ArchiveRow(2, 6, 1, "did:plc:b")]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: b"jss9" + data[4:], "begin"),
        (lambda data: data[:4] + bytes(8) + data[12:], "sealed"),
        (lambda data: data[:12] + b"\x02" + data[13:], "version 2"),
        (lambda data: data[:20] + b"\x09" + data[21:], "checksum"),
        (lambda data: data[:-1] + b"\xff", "checksum"),
        (lambda data: data[:300], "cut off"),
        (lambda data: data[:256] + b"\xff" + data[257:], "footer"),
    ],
)
def test_a_damaged_segment_is_told_in_one_line(change: Any, told: str) -> None:
    data = segment_of(TWO).data
    assert len(list(read_frames(data, "seg"))) == 2
    with pytest.raises(UnreadableArchive, match=told) as caught:
        list(read_frames(change(data), "seg"))
    assert str(caught.value).startswith("seg of the archive")
    assert "\n" not in str(caught.value)


def test_what_the_sdk_says_of_a_row_is_what_it_is_made_of() -> None:
    """The oracle reads; it does not merely refuse."""
    row = ArchiveRow(1, 5, 1, "did:plc:a", 6, "c.d.e", "k", "r", b"p")
    (found,) = decode_block(block_of([row]).frame())
    assert astuple(found) == astuple(SegmentEvent(1, 5, 6, 1, "did:plc:a", "c.d.e", "k", "r", b"p"))
    with pytest.raises(AtProtocolError):
        decode_block(b"noise")
