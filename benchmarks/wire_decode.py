"""Decoding frames: ours, the ways of the atproto SDK, and the floor.

All read the same frames in one process, in turns; the best turn of each counts, in CPU time.

- floor: only `libipld.decode_dag_cbor_multi` on every frame;
- ours: to posts with their records, hashes checked; `columns`: on to the segment's Arrow tables;
- sdk: a message's raw paths looked at first, then `CAR.from_bytes` and a model for each post;
- seeds: `parse_subscribe_repos_message`, `CAR.from_bytes`, `models.get_or_create` for everything.
Usage: python -m benchmarks.wire_decode [FRAMES]
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from atproto import CAR, CID, AtUri, models
from atproto_firehose import parse_subscribe_repos_message
from atproto_subscription.frames import MessageFrame
from libipld import decode_dag_cbor_multi

from benchmarks.measuring import peak_mb, report
from benchmarks.wire_frames import frames
from bsky_assets.bluesky.firehose import FirehoseReader
from bsky_assets.bluesky.kinds.posts import KIND as POSTS
from bsky_assets.bluesky.spool import few_collections
from bsky_assets.contracts import RawFirehosePost
from testbed.wire import POST

TURNS = 15
RECEIVED = 1_772_992_800_000_000

Commit = models.ComAtprotoSyncSubscribeRepos.Commit


def floor(wire: list[bytes]) -> None:
    for frame in wire:
        decode_dag_cbor_multi(frame)


def ours(wire: list[bytes]) -> int:
    return sum(1 for _ in _read(wire).rows.records(POSTS))


def columns(wire: list[bytes]) -> pa.Table:
    return _read(wire).rows.tables()[RawFirehosePost]


def _read(wire: list[bytes]) -> FirehoseReader:
    reader = FirehoseReader("relay.test")
    read = reader.read
    for frame in wire:
        read(frame, RECEIVED)
    return reader


def sdk(wire: list[bytes]) -> list[Any]:
    return [post for frame in wire for post in _posts_by_path(MessageFrame.from_bytes(frame))]


def _posts_by_path(message: MessageFrame) -> Iterator[Any]:
    if message.type != "#commit":
        return
    body = message.body
    wanted = [
        op for op in body["ops"] if op["action"] == "create" and op["path"].startswith(f"{POST}/")
    ]
    if wanted:
        blocks = CAR.from_bytes(body["blocks"]).blocks
        for op in wanted:
            record = models.get_or_create(blocks.get(CID.decode(op["cid"])), strict=False)
            yield f"at://{body['repo']}/{op['path']}", record


def seeds(wire: list[bytes]) -> list[Any]:
    return [post for frame in wire for post in posts_of_seeds(MessageFrame.from_bytes(frame))]


def posts_of_seeds(message: MessageFrame) -> Iterator[Any]:
    """What the seeds do with a message, as the SDK's example does."""
    commit = parse_subscribe_repos_message(message)
    if not isinstance(commit, Commit) or not commit.blocks:
        return
    car = CAR.from_bytes(commit.blocks)
    for op in commit.ops:
        uri = AtUri.from_str(f"at://{commit.repo}/{op.path}")
        if op.action != "create" or not op.cid:
            continue
        record = models.get_or_create(car.blocks.get(op.cid), strict=False)
        if uri.collection == POST and models.is_record_type(record, models.ids.AppBskyFeedPost):
            yield str(uri), record


def are_the_same(wire: list[bytes]) -> int:
    """How many posts there are, of which all ways read the same.

    Raises:
        ValueError: they do not.
    """
    read = {
        row["uri"]: (row["record"]["text"], row["record"]["langs"], row["record"]["reply_root"])
        for row in columns(wire).to_pylist()
    }
    for way in (sdk, seeds):
        theirs = {
            uri: (record.text, record.langs, record.reply.root.uri if record.reply else None)
            for uri, record in way(wire)
        }
        if read != theirs:
            raise ValueError(f"{way.__name__} reads other posts")
    return len(read)


def main() -> None:
    wire = frames(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)
    posts = are_the_same(wire)
    size = sum(map(len, wire)) / len(wire)
    print(f"{len(wire):,} frames of {size:,.0f} bytes, {posts:,} posts, read alike by all")
    ways: tuple[Callable[[list[bytes]], Any], ...] = (floor, ours, columns, sdk, seeds)
    best = dict.fromkeys((way.__name__ for way in ways), float("inf"))
    with few_collections():
        for _ in range(TURNS):
            for way in ways:
                began = time.process_time()
                way(wire)
                spent = (time.process_time() - began) / len(wire) * 1e6
                best[way.__name__] = min(best[way.__name__], spent)
    for name, spent in best.items():
        print(f"{name:8} {spent:7.2f} us a frame, {1e6 / spent:9,.0f} frames/s")
    report(
        "wire_decode",
        ratio=round(best["seeds"] / best["ours"], 1),
        ratio_to_columns=round(best["seeds"] / best["columns"], 1),
        ratio_to_sdk=round(best["sdk"] / best["ours"], 1),
        cost_over_floor=round(best["ours"] / best["floor"], 2),
        cost_over_floor_to_columns=round(best["columns"] / best["floor"], 2),
        **{f"{name}_us": round(spent, 2) for name, spent in best.items()},
        peak_memory_mb=peak_mb(),
    )


if __name__ == "__main__":
    main()
