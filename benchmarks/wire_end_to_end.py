"""End to end over TLS on loopback: from the relay's socket until rows are committed.

- ours: a bounded sync, up to the last segment synced to the disk and its rows' columns in it;
- seeds: the SDK's client, its models for every operation, and a row at a time into SQLite, each
  its own transaction, with a write-ahead log that is not synced for each.

Each way runs in a process of its own, in turns, from the same relay. It takes a hundred events
first, as a collector that has been running for a while; after that its CPU time counts, and of
each way the best turn. All turns must store the same posts.
Usage: python -m benchmarks.wire_end_to_end [EVENTS]
"""

import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from atproto import FirehoseSubscribeReposClient
from atproto_subscription.frames import MessageFrame

from benchmarks.measuring import peak_mb, report
from benchmarks.wire_decode import posts_of_seeds
from benchmarks.wire_server import serving
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.settings import Settings

TURNS = 2
WARMING = 100
_TABLE = """CREATE TABLE posts (uri TEXT, created_at TEXT, text TEXT, langs TEXT,
    reply_parent TEXT, reply_root TEXT, facets TEXT, embed TEXT)"""

Posts = list[tuple[str, str]]
"""URI and text of each post that is stored, in order."""


def settings_of(url: str, folder: Path) -> Settings:
    return Settings(data_dir=folder, relay_url=url)


def ours(url: str, events: int, folder: Path) -> None:
    sync_firehose(settings_of(url, folder), Limits(max_events=events))


def stored_by_ours(folder: Path) -> Posts:
    segments = firehose_segments(settings_of("wss://localhost", folder))
    return sorted(
        (post["uri"], post["record"]["text"])
        for day in segments.days()
        for segment in segments.of_day(day)
        for post in pq.ParquetFile(segment.path).read(columns=["post"])["post"].to_pylist()
        if post is not None
    )


def seeds(url: str, events: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    client = FirehoseSubscribeReposClient(base_uri=f"{url}/xrpc")
    left = events
    with closing(sqlite3.connect(folder / "posts.db", isolation_level=None)) as con:
        con.execute("PRAGMA journal_mode = WAL")
        con.execute("PRAGMA synchronous = NORMAL")
        con.execute(_TABLE)

        def on_message(message: MessageFrame) -> None:
            nonlocal left
            for row in _rows(message):
                con.execute("INSERT INTO posts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            left -= 1
            if not left:
                client.stop()

        client.start(on_message)


def _rows(message: MessageFrame) -> Iterator[tuple[str | None, ...]]:
    for uri, post in posts_of_seeds(message):
        facets = [facet.model_dump_json() for facet in post.facets or ()]
        yield (
            uri,
            post.created_at,
            post.text,
            ",".join(post.langs or ()),
            post.reply.parent.uri if post.reply else None,
            post.reply.root.uri if post.reply else None,
            ";".join(facets),
            post.embed.model_dump_json() if post.embed else None,
        )


def stored_by_seeds(folder: Path) -> Posts:
    with closing(sqlite3.connect(folder / "posts.db")) as con:
        return con.execute("SELECT uri, text FROM posts ORDER BY uri, text").fetchall()


WAYS: dict[str, tuple[Callable[[str, int, Path], None], Callable[[Path], Posts]]] = {
    "ours": (ours, stored_by_ours),
    "seeds": (seeds, stored_by_seeds),
}


def measure(way: str, url: str, events: int, folder: Path) -> tuple[float, float]:
    """Microseconds an event: of CPU, and by the clock."""
    WAYS[way][0](url, WARMING, folder / "warming")
    cpu, clock = time.process_time(), time.perf_counter()
    WAYS[way][0](url, events, folder)
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    return cpu / events * 1e6, clock / events * 1e6


def turn(way: str, url: str, events: int, authority: Path | None) -> tuple[float, float, Posts]:
    """One turn of a way in a process of its own: CPU and clock an event, and what it stored."""
    with TemporaryDirectory() as folder:
        ran = subprocess.run(
            [sys.executable, "-m", __spec__.name, "--one", way, url, str(events), folder],
            env={**os.environ, "SSL_CERT_FILE": str(authority)},
            stdout=subprocess.PIPE,
            check=True,
            timeout=600,
        )
        cpu, clock = map(float, ran.stdout.split()[-2:])
        return cpu, clock, WAYS[way][1](Path(folder))


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    best = {name: float("inf") for way in WAYS for name in (f"{way}_us", f"{way}_clock_us")}
    posts: Posts = []
    with serving(events, tls=True) as relay:
        for _ in range(TURNS):
            for way in WAYS:
                cpu, clock, stored = turn(way, relay.url, events, relay.authority)
                best[f"{way}_us"] = min(best[f"{way}_us"], cpu)
                best[f"{way}_clock_us"] = min(best[f"{way}_clock_us"], clock)
                if posts and stored != posts:
                    raise ValueError(f"{way} stored other posts")
                posts = stored
    print(f"{events:,} events, {len(posts):,} posts, the same stored by both")
    for name, spent in best.items():
        print(f"{name:16} {spent:7.2f}")
    report(
        "wire_end_to_end",
        ratio=round(best["seeds_us"] / best["ours_us"], 1),
        ratio_by_the_clock=round(best["seeds_clock_us"] / best["ours_clock_us"], 1),
        **{name: round(spent, 2) for name, spent in best.items()},
        peak_memory_mb=peak_mb(resource.RUSAGE_CHILDREN),
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _, _, way, url, events, folder = sys.argv
        print(*measure(way, url, int(events), Path(folder)))
    else:
        main()
