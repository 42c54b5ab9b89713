"""A day from an archive to committed rows, against the atproto SDK's `snapshot()`, in CPU a row.

Both ask the same sandbox, which is in another process, for the same posts. Ours plans, fetches,
keeps an index, dates the rows, reads the records and commits segments; the SDK plans, fetches and
makes a message of each row. The posts must be the same, with their CIDs. Of three turns the best
counts; of ours also without the reader that is compiled.
Usage: python -m benchmarks.archive_read [EVENTS]
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import httpx
from atproto import JetstreamClient

from bsky_assets.bluesky import post_columns
from bsky_assets.bluesky.archive.landing import land_day
from bsky_assets.bluesky.collected import archive_segments
from bsky_assets.contracts import Quarantined, RawFirehosePost
from bsky_assets.settings import Settings

DAY = date(2026, 3, 8)
TURNS = 3
DAYS_BEFORE = 4
"""As far back as the sandbox has posts."""
POST = "app.bsky.feed.post"

Posts = set[tuple[str, str]]


@contextmanager
def archive(events: int, folder: Path) -> Iterator[str]:
    """The URL of a sandbox's archive, in a process of its own."""
    ready = folder / "ready.json"
    code = (
        "from datetime import date; from pathlib import Path;"
        "from bsky_sandbox.__main__ import run;"
        f"run(day=date.fromisoformat({str(DAY)!r}), events={events},"
        f"ready_file=Path({str(ready)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL) as process:
        try:
            while not ready.exists() and process.poll() is None:
                time.sleep(0.2)
            url = json.loads(ready.read_text())["BSKY_ARCHIVE_URL"]
            httpx.get(f"{url}/xrpc/network.bsky.jetstream.listSegments", timeout=300)
            yield url  # its segments are made by now
        finally:
            process.terminate()


def by_sdk(url: str) -> Posts:
    asked: Any = {"collections": [POST], "kinds": ["commit"]}
    uri = f"{url.replace('http', 'ws')}/xrpc"
    client = JetstreamClient(asked, base_uri=uri, api_key="none is asked for")
    return {
        (f"at://{row.did}/{row.collection}/{row.rkey}", row.cid)
        for row in client.snapshot()
        if row.operation != "delete"
    }


def ours(settings: Settings) -> None:
    for back in range(DAYS_BEFORE):
        land_day(settings, DAY - timedelta(days=back), lambda _: None)


@contextmanager
def reader(*, is_used: bool) -> Iterator[None]:
    """With the reader that is compiled, or without."""
    if is_used:
        assert post_columns.is_compiled(), post_columns.NOT_COMPILED
        yield
    else:
        with patch.object(post_columns, "_compiled", lambda: None):
            yield


def committed(settings: Settings) -> tuple[Posts, int]:
    """The posts in the segments, and how many are kept apart."""
    segments = archive_segments(settings)
    found, apart = set(), 0
    for day in segments.days():
        for segment in segments.of_day(day):
            footer = segment.footer()
            if footer.rows.get("post"):
                rows = segment.read(RawFirehosePost, footer)
                found.update(zip(rows["uri"].to_pylist(), rows["cid"].to_pylist(), strict=True))
            if footer.rows.get("quarantined"):
                apart += segment.read(Quarantined, footer).num_rows
    return found, apart


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def main(events: int = 60_000) -> None:
    duckdb.connect().close()
    with tempfile.TemporaryDirectory() as name, archive(events, Path(name)) as url:
        best = dict.fromkeys(("sdk", "ours", "one_by_one"), float("inf"))
        for turn in range(TURNS):
            seconds, there = cpu(lambda: by_sdk(url))
            best["sdk"] = min(best["sdk"], seconds)
            for way in ("ours", "one_by_one"):
                folder = Path(name) / f"{turn}-{way}"
                settings = Settings(
                    _env_file=None, data_dir=folder, archive_url=url, sync_timezone="UTC"
                )
                with reader(is_used=way == "ours"):
                    seconds, _ = cpu(lambda settings=settings: ours(settings))
                best[way] = min(best[way], seconds)
                found, apart = committed(settings)
                assert found <= there, "rows that the SDK does not have"
                assert len(found) + apart == len(there), "rows are missing"
    rows = len(there)
    print(
        json.dumps(
            {
                "name": "archive_read",
                "ratio": round(best["sdk"] / best["ours"], 1),
                "sdk_us_a_row": round(best["sdk"] / rows * 1e6, 1),
                "ours_us_a_row": round(best["ours"] / rows * 1e6, 1),
                "one_by_one_us_a_row": round(best["one_by_one"] / rows * 1e6, 1),
                "rows": rows,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
