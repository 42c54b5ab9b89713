"""A day from an archive to committed rows, against the atproto SDK's `snapshot()`, in CPU a row.

Both ask the same sandbox, which is in another process, for the same posts. Ours plans, fetches,
keeps an index, dates the rows, reads the records and commits segments. The SDK plans, fetches and
makes a message of each row (`sdk_messages`); what a person would write besides is a dict of each,
of all of them an Arrow table, and Parquet (`sdk_committed`). `ratio` is of the first. The posts
must be the same, with their CIDs and texts. Of three turns the best counts; of ours also without
what is compiled. `floor` is what no reader can do without: to unpack the archive's frames, and to
write the rows that came as one Parquet file.
Usage: python -m benchmarks.archive_read [EVENTS]
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import httpx
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from atproto import JetstreamClient
from atproto_client.models.dot_dict import DotDict

from benchmarks.measuring import cpu_seconds, peak_mb, report
from bsky_assets.bluesky import compiled, post_columns
from bsky_assets.bluesky.archive import block_rows
from bsky_assets.bluesky.archive.blocks import unpacked
from bsky_assets.bluesky.archive.host import PREFIX, ArchiveHost
from bsky_assets.bluesky.archive.ingest import ingest_day
from bsky_assets.bluesky.archive.sealed import read_frames
from bsky_assets.bluesky.collected import archive_segments
from bsky_assets.contracts import Quarantined, RawFirehosePost
from bsky_assets.settings import Settings

DAY = date(2026, 3, 8)
TURNS = 3
DAYS_BEFORE = 4
"""As far back as the sandbox has posts."""
POST = "app.bsky.feed.post"
NESTED = ("embed", "facets", "labels", "langs", "reply", "tags")

Posts = set[tuple[str, str, str]]


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


def messages(url: str) -> Iterator[Any]:
    """Every post that the SDK's snapshot has."""
    asked: Any = {"collections": [POST], "kinds": ["commit"]}
    uri = f"{url.replace('http', 'ws')}/xrpc"
    client = JetstreamClient(asked, base_uri=uri, api_key="none is asked for")
    return (row for row in client.snapshot() if row.operation != "delete")


def by_sdk(url: str, path: Path) -> None:
    """Commit them to Parquet, with the columns that we have and the record as it is."""
    rows = [row_of(message) for message in messages(url)]
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")


def row_of(message: Any) -> dict[str, Any]:
    record = message.record
    told = record.to_dict() if isinstance(record, DotDict) else record.model_dump(by_alias=True)
    return {
        "uri": f"at://{message.did}/{message.collection}/{message.rkey}",
        "cid": message.cid,
        "author": message.did,
        "rev": message.rev,
        "action": message.operation,
        "seq": message.seq,
        "commit_time": message.time,
        "created_at": told.get("createdAt"),
        "text": told.get("text"),
        **{name: as_json(told.get(name)) for name in NESTED},
    }


def as_json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value, default=repr).decode()


def ours(settings: Settings) -> None:
    for back in range(DAYS_BEFORE):
        ingest_day(settings, DAY - timedelta(days=back), lambda _: None)


@contextmanager
def reader(*, is_used: bool) -> Iterator[None]:
    """With the reader that is compiled, or without."""
    if is_used:
        assert compiled.are_compiled(), compiled.NOT_COMPILED
        yield
    else:
        with (
            patch.object(post_columns, "compiled", lambda _: None),
            patch.object(block_rows, "compiled", lambda _: None),
        ):
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
                texts = pc.struct_field(rows["record"], "text")
                columns = (rows["uri"], rows["cid"], texts)
                found.update(zip(*(column.to_pylist() for column in columns), strict=True))
            if footer.rows.get("quarantined"):
                apart += segment.read(Quarantined, footer).num_rows
    return found, apart


def floor(settings: Settings, path: Path) -> float:
    """Seconds of CPU to unpack every frame, and to write all posts that were landed once."""
    asked = f"{settings.archive_url}/xrpc/{PREFIX}.getSegment"
    with ArchiveHost.of(settings) as host:
        whole = [httpx.get(asked, params={"name": one.name}).content for one in host.segments()]
    frames = [frame for content in whole for frame in read_frames(content, "a segment")]
    segments = archive_segments(settings)
    posts = pa.concat_tables(
        segment.read(RawFirehosePost, footer)
        for day in segments.days()
        for segment in segments.of_day(day)
        if (footer := segment.footer()).rows.get("post")
    )
    unpacking = cpu_seconds(lambda: [len(unpacked(frame)) for frame in frames])[0]
    return unpacking + cpu_seconds(lambda: pq.write_table(posts, path, compression="lz4"))[0]


def consume(url: str) -> None:
    for _ in messages(url):
        pass


def main(events: int = 60_000) -> None:
    duckdb.connect().close()
    with tempfile.TemporaryDirectory() as name, archive(events, Path(name)) as url:
        names = ("sdk_messages", "sdk_committed", "ours", "one_by_one", "floor")
        best = dict.fromkeys(names, float("inf"))
        for turn in range(TURNS):
            path = Path(name) / f"{turn}.parquet"
            best["sdk_messages"] = min(best["sdk_messages"], cpu_seconds(lambda: consume(url))[0])
            best["sdk_committed"] = min(
                best["sdk_committed"], cpu_seconds(lambda path=path: by_sdk(url, path))[0]
            )
            columns = pq.read_table(path, columns=["uri", "cid", "text"]).to_pydict().values()
            there = set(zip(*columns, strict=True))
            for way in ("one_by_one", "ours"):
                folder = Path(name) / f"{turn}-{way}"
                settings = Settings(
                    _env_file=None, data_dir=folder, archive_url=url, sync_timezone="UTC"
                )
                with reader(is_used=way == "ours"):
                    seconds, _ = cpu_seconds(lambda settings=settings: ours(settings))
                best[way] = min(best[way], seconds)
                found, apart = committed(settings)
                assert found <= there, "rows that the SDK does not have"
                assert len(found) + apart == len(there), "rows are missing"
            best["floor"] = min(best["floor"], floor(settings, path))
    rows = len(there)
    report(
        "archive_read",
        ratio=round(best["sdk_messages"] / best["ours"], 1),
        ratio_committed=round(best["sdk_committed"] / best["ours"], 1),
        ratio_of_floor=round(best["sdk_messages"] / best["floor"], 1),
        **{f"{way}_us_a_row": round(best[way] / rows * 1e6, 1) for way in best},
        rows=rows,
        peak_mb=peak_mb(),
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
