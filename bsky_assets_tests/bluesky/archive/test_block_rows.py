"""What is wanted of a block: the same rows by what is compiled and by column, whatever it holds."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bsky_assets.bluesky import compiled as readers
from bsky_assets.bluesky.archive import block_rows
from bsky_assets.bluesky.archive.block_rows import DATED_ROWS, Again, BlockRows, read_rows
from bsky_assets.bluesky.archive.blocks import UnreadableArchive
from bsky_assets.bluesky.archive.dating import EARLIEST
from bsky_assets_tests.bluesky.archive.made_blocks import block_of, compressed, damaged
from bsky_assets_tests.bluesky.archive.serving import world_of
from bsky_sandbox.archive_segments import ArchiveRow
from bsky_sandbox.posts import tid
from bsky_sandbox.server import history_of

compiled = pytest.mark.skipif(
    not readers.are_compiled(), reason="the package was installed without a C++ compiler"
)

NOW = 1_772_971_200 * 10**6
MINUTE = 60 * 10**6
DIDS = ["did:plc:a", "did:plc:b", "did:web:é"]

instants = st.one_of(
    st.sampled_from([0, 1, -1, -(2**63), 2**63 - 1, EARLIEST, NOW]),
    st.integers(-11, 11).map(lambda minutes: NOW + minutes * MINUTE),
    st.integers(NOW - 10**9, NOW + 10**9),
)
tids = st.one_of(
    st.integers(-11, 11).map(lambda minutes: tid((NOW + minutes * MINUTE) << 10)),
    st.integers(0, 2**63 - 1).map(tid),
    st.sampled_from(["", "self", "z" * 13, "j" + "z" * 12, "2" * 13, "2" * 12, "é" * 6 + "a"]),
)
rows = st.builds(
    ArchiveRow,
    seq=st.integers(0, 2**64 - 1),
    witnessed_at=instants,
    indexed_at=st.just(0) | instants,
    kind=st.sampled_from([1, 1, 1, 2, 3, 4, 5, 6, 0, 9]),
    did=st.sampled_from(DIDS),
    collection=st.sampled_from(["app.bsky.feed.post"] * 3 + ["app.bsky.feed.like", ""]),
    rkey=tids,
    rev=tids,
    payload=st.binary(max_size=9),
)
blocks = st.lists(rows, max_size=9)


def by_column(frame: bytes) -> BlockRows:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(block_rows, "compiled", lambda _: None)
        return read_rows(frame, "the block")


def plain(block: BlockRows) -> list[Any]:
    assert block.rows.schema == DATED_ROWS
    block.rows.validate(full=True)
    return [block.rows.to_pylist(), block.if_again.to_pylist(), block.again.to_pylist()]


@compiled
@settings(max_examples=300)
@given(blocks)
@example([ArchiveRow(1, NOW, 1, "did:plc:a", collection="app.bsky.feed.post")])
def test_what_is_compiled_reads_the_rows_that_are_read_by_column(
    content: list[ArchiveRow],
) -> None:
    frame = block_of(content).frame()
    assert plain(read_rows(frame, "it")) == plain(by_column(frame))


@compiled
@settings(max_examples=300)
@given(
    blocks,
    st.integers(0, 2_000),
    st.integers(0, 255),
    st.sampled_from([0, 0, 0, 1, 7]),
    st.sampled_from([b"", b"", b"", b"\0", b"more"]),
)
def test_a_damaged_block_is_refused_by_both_or_has_the_same_rows(
    content: list[ArchiveRow], place: int, value: int, cut: int, added: bytes
) -> None:
    frame = compressed(damaged(block_of(content).body(), place, value, cut, added))
    found: list[Any] = []
    for read in (lambda frame: read_rows(frame, "the block"), by_column):
        with suppress(UnreadableArchive):
            found.append(plain(read(frame)))
    assert len(found) in (0, 2)
    assert found[:1] == found[1:]


@compiled
def test_what_is_compiled_takes_the_blocks_of_a_whole_archive() -> None:
    told = list(history_of(world_of(1_500)).rows())
    frame = block_of(told).frame()
    assert plain(read_rows(frame, "it")) == plain(by_column(frame))
    module: Any = readers.compiled("archive._block_rows")
    assert module.read(block_of(told).body()) is not None
    assert module.read(block_of(told).body() + b"\0") is None


def settled(blocks: Sequence[Sequence[ArchiveRow]]) -> list[dict[str, Any]]:
    again = Again()
    parts = [again.settled(read_rows(block_of(block).frame(), "it")) for block in blocks]
    return pa.Table.from_batches(parts).to_pylist()


OLD = NOW - 600 * 86_400 * 10**6


def put(seq: int, did: str, key: int) -> ArchiveRow:
    collection = "app.bsky.feed.post"
    return ArchiveRow(
        seq, NOW, 1, did, 0, collection, tid(key << 10 | seq), tid(NOW << 10), b"\xa0"
    )


@pytest.mark.parametrize("is_compiled", [True, False])
def test_older_posts_of_who_came_again_are_of_the_day_in_their_keys(
    is_compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_compiled:
        monkeypatch.setattr(block_rows, "compiled", lambda _: None)
    sync = ArchiveRow(9, NOW, 6, "did:plc:a", payload=b"\xa0")
    first = [put(seq, "did:plc:c", NOW) for seq in range(1, 9)]
    second = [put(seq, "did:plc:c", NOW) for seq in range(10, 19)]
    again, other = put(20, "did:plc:a", OLD), put(21, "did:plc:b", OLD)
    found = settled([[*first, put(8, "did:plc:a", OLD), sync], [*second, again, other]])
    told = [(row["did"], row["at"], row["dated_by"]) for row in found if row["did"][-1] != "c"]
    assert told == [
        ("did:plc:a", OLD, "record_key"),
        ("did:plc:a", OLD, "record_key"),
        ("did:plc:b", NOW, "witnessed_at"),
    ]
