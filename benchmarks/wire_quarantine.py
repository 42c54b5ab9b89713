"""A stream of the largest lawful commits, each with one good post and 199 records that are none.

A relay sends them; they are landed, taken into the day, read and erased, by processes of their own,
whose memory is what is measured: it may not grow with how much there is. Taking in is done twice,
once half-way, as what is there is then added to.
Usage: python -m benchmarks.wire_quarantine [COMMITS]; by default 1,000, of 1.93 MB each.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from benchmarks.measuring import report
from benchmarks.wire_memory import peak_mb
from testbed.wire import POST, Commit, Op, post

COMMITS = 1_000
OPERATIONS = 200
RECORD_BYTES = 9_600
MOST_MB = 1_000
MOST_MB_ERASING = 600


def commit(number: int) -> bytes:
    """The commit `number`: nothing in it can be compressed, and nothing is in another."""
    bad = [
        Op(f"{POST}/3{number:07}{op:03}", {"bytes": os.urandom(RECORD_BYTES)}, "destroy")
        for op in range(1, OPERATIONS)
    ]
    return Commit(number, [Op(f"{POST}/3{number:07}000", post(f"good {number}")), *bad]).frame()


def serve(commits: int) -> None:
    """Be a relay that has so many; prints its port."""

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for number in range(int(request.query.get("cursor", 0)) + 1, commits + 1):
            try:
                await socket.send_bytes(commit(number))
            except ConnectionError:
                break
        return socket

    async def main() -> None:
        application = web.Application()
        application.router.add_get("/xrpc/com.atproto.sync.subscribeRepos", stream)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "localhost", 0)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


def land(folder: Path, url: str, commits: int) -> list[int]:
    """Read so many into segments; how many were read, and into how many segments."""
    from bsky_assets.bluesky.collector import sync_firehose
    from bsky_assets.bluesky.streaming import Limits
    from bsky_assets.settings import Settings

    report = sync_firehose(Settings(data_dir=folder, relay_url=url), Limits(max_events=commits))
    return [report.events, report.segments]


def compact(folder: Path) -> list[int]:
    """Take in what has landed; posts and rows in quarantine then."""
    from bsky_assets.bluesky.collected import firehose_segments, label_segments
    from bsky_assets.contracts import RawFirehosePost
    from bsky_assets.settings import Settings
    from bsky_assets.storage.compaction import compact_firehose_day, compact_labels_day
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.lake import Lake

    settings = Settings(data_dir=folder)
    lake, firehose = Lake.of(settings), firehose_segments(settings)
    counts = [0, 0]
    with connect(settings) as con:
        for day in firehose.days():
            posts, _ = compact_firehose_day(con, lake, firehose, day)
            compact_labels_day(con, lake, label_segments(settings), firehose, day)
            odd = lake.quarantine(RawFirehosePost.asset, day)
            counts = [counts[0] + posts.rows, counts[1] + (odd.rows if odd else 0)]
    return counts


def read(folder: Path) -> list[int]:
    """Read all of it by the catalogue; good posts, rows and megabytes in quarantine."""
    import duckdb

    from bsky_assets.orchestration.publish import publish
    from bsky_assets.settings import Settings

    settings = Settings(data_dir=folder)
    publish(settings)
    with duckdb.connect(settings.catalogue_path, read_only=True) as con:
        posts = con.sql(
            "SELECT count(DISTINCT record.text) FROM raw_firehose_posts "
            "WHERE starts_with(record.text, 'good ')"
        ).fetchall()
        odd = con.sql(
            "SELECT count(*), sum(octet_length(content)) // 1000000 FROM quarantine "
            "WHERE md5(content) IS NOT NULL"
        ).fetchall()
    return [posts[0][0], *odd[0]]


def erase(folder: Path) -> list[int]:
    """Delete every good post, and erase what is there of it; rows that lost something."""
    from bsky_assets.bluesky.collected import firehose_segments
    from bsky_assets.consolidation.erase import erase_deleted
    from bsky_assets.consolidation.erase_segments import erase_in_segments
    from bsky_assets.contracts import RawFirehosePost, RawPostDeletion
    from bsky_assets.settings import Settings
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.lake import Lake
    from testbed.rows import post_deletion, table

    settings = Settings(data_dir=folder)
    lake, segments = Lake.of(settings), firehose_segments(settings)
    with connect(settings) as con:
        days = lake.days(RawFirehosePost)
        uris = lake.relation(con, RawFirehosePost, days).select("uri").fetchall()
        at = datetime.now(UTC)
        gone = [
            post_deletion(author, rkey, 10**9, received_at=at, event_time=at, rev=None)
            for author, _, rkey in (uri.removeprefix("at://").split("/") for (uri,) in uris)
        ]
        lake.write(RawPostDeletion, days[-1], table(RawPostDeletion, gone))
        erased = [one.rows for one in erase_deleted(con, lake, lambda _: None)]
        return [sum(erased), erase_in_segments(con, lake, segments)]


@contextmanager
def relay(commits: int) -> Iterator[str]:
    """A relay in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--serve", str(commits)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"ws://localhost:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def step(name: str, folder: Path, *arguments: object) -> tuple[list[int], int]:
    """Do one step in a process of its own: what it counts, and the megabytes that it held."""
    began = time.monotonic()
    command = [sys.executable, "-m", __spec__.name, f"--{name}", str(folder)]
    ran = subprocess.run(
        [*command, *map(str, arguments)], stdout=subprocess.PIPE, check=True, timeout=1800
    )
    *counts, peak = map(int, ran.stdout.split())
    seconds = time.monotonic() - began
    print(f"{name:8} {counts}: {peak} MB at most, {seconds:.0f} s", flush=True)
    return counts, peak


def main(commits: int) -> int:
    half = commits // 2
    with TemporaryDirectory() as name, relay(commits) as url:
        folder = Path(name)
        done = [
            step("land", folder, url, half),
            step("compact", folder),
            step("land", folder, url, commits - half),
            step("compact", folder),
            step("read", folder),
            step("erase", folder),
        ]
    peaks = [peak for _, peak in done]
    good, odd, megabytes = done[4][0]
    is_whole = (good, odd) == (commits, commits * (OPERATIONS - 1))
    report(
        "wire_quarantine",
        ratio=round(max(peaks) / MOST_MB, 3),
        commits=commits,
        good_posts=good,
        quarantined=odd,
        quarantined_mb=megabytes,
        peak_mb_landing=max(peaks[0], peaks[2]),
        peak_mb_compacting=max(peaks[1], peaks[3]),
        peak_mb_reading=peaks[4],
        peak_mb_erasing=peaks[5],
        peak_memory_mb=max(peaks),
    )
    return 0 if is_whole and max(peaks) < MOST_MB and peaks[5] < MOST_MB_ERASING else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--serve", count]:
            serve(int(count))
        case ["--land", place, url, count]:
            print(*land(Path(place), url, int(count)), peak_mb())
        case [("--compact" | "--read" | "--erase") as what, place]:
            done = {"--compact": compact, "--read": read, "--erase": erase}[what](Path(place))
            print(*done, peak_mb())
        case arguments:
            sys.exit(main(int(arguments[0]) if arguments else COMMITS))
