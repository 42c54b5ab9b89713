"""A relay that shares nothing with ours: its frames, its server, and what is expected of it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.lake import Lake
from testbed.wire import POST, Commit, Op, post

LIKE = "app.bsky.feed.like"
LIKED = {"$type": LIKE, "subject": {"uri": f"at://did:web:a.test/{POST}/3x", "cid": "bafyx"}}


@contextmanager
def replaying(frames: Sequence[bytes]) -> Iterator[str]:
    """The URL of a relay that sends `frames` to who comes first, and then nothing to anybody."""
    left = list(frames)

    def handle(connection: ServerConnection) -> None:
        try:
            while left:
                connection.send(left.pop(0))
            for _ in connection:
                pass
        except ConnectionClosed:
            pass

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def commit(seq: int) -> bytes:
    """Every third commit creates posts, two at a time; the others are likes."""
    if seq % 3:
        return Commit(seq, [Op(f"{LIKE}/3like{seq}", LIKED)]).frame()
    return Commit(seq, [Op(f"{POST}/3k{seq}{n}", post(f"{seq} {n}")) for n in "ab"]).frame()


def corrupted(frame: bytes, text: str) -> bytes:
    """`frame` with another letter in the text of a record."""
    assert frame.count(text.encode()) == 1
    return frame.replace(text.encode(), text.swapcase().encode())


def test_a_replay_with_a_corrupted_a_repeated_and_skipped_frames(tmp_path: Path) -> None:
    frames = [commit(seq) for seq in (*range(100, 130), *range(150, 180))]
    frames[5] = corrupted(frames[5], "105 a")
    frames.insert(9, frames[8])
    with replaying(frames) as url:
        settings = Settings(data_dir=tmp_path, relay_url=url)
        report = sync_firehose(settings, Limits(max_events=60), idle_seconds=100)
    segments = firehose_segments(settings)
    with duckdb.connect() as con:
        lake, (day,) = Lake(tmp_path / "lake"), segments.days()
        posts, _ = compact_firehose_day(con, lake, segments, day)
    stored = pq.ParquetFile(posts.path).read(columns=["record"])["record"].to_pylist()
    sent = [seq for seq in (*range(100, 130), *range(150, 180)) if seq % 3 == 0]
    expected = {f"{seq} {n}" for seq in sent for n in "ab"} - {"105 a"}
    assert sorted(record["text"] for record in stored) == sorted(expected)
    quarantined = lake.quarantine("raw_firehose_posts", day)
    assert quarantined is not None
    (row,) = pq.ParquetFile(quarantined.path).read().to_pylist()
    assert (row["position"], row["reason"]) == ("105", "cid_mismatch")
    assert row["content"] == frames[5]
    (gap,) = posts.details["completeness"]["gaps"]
    assert (gap["after"], gap["before"], gap["missing"]) == (129, 150, 20)
    assert (report.rows["quarantined"], report.gaps, report.again) == (1, 1, 1)
