"""A lake in a bucket is the lake that a folder is: same rows, whole or not at all.

The bucket is served on loopback by moto, which keeps it in memory.
"""

import os
import signal
import subprocess
import sys
import threading
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import duckdb
import pyarrow as pa
import pytest
from pyarrow import fs

from bsky_assets.commands.running import materialize_day
from bsky_assets.contracts import (
    ConsolidatedPost,
    FilteredPost,
    RawFeedPost,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
    arrow_schema,
)
from bsky_assets.orchestration.instance import open_instance
from bsky_assets.settings import InvalidSettings, Settings, get_settings
from bsky_assets.storage import catalogue, objects
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.object_files import ObjectFiles
from bsky_assets.storage.objects import ObjectPath, UnusableObjectStorage
from bsky_assets_tests.storage.deletions import DAY, deletions
from bsky_assets_tests.support.bucket import BUCKET
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.sandbox_day import SandboxDay
from testbed.ports import free_port

pytestmark = pytest.mark.scenario

SECRET = "wJalrXUtnFEMI-not-a-real-secret"
RAW: tuple[type[Row], ...] = (RawFirehosePost, RawFeedPost, RawPostDeletion, RawModerationLabel)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


@pytest.fixture
def bucket_settings(
    bucket_endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Settings:
    """Settings in force, with a prefix of the test's own."""
    monkeypatch.setenv("BSKY_LAKE_URL", f"s3://{BUCKET}/{request.node.name}/lake/")
    monkeypatch.setenv("BSKY_LAKE_ENDPOINT_URL", bucket_endpoint)
    get_settings.cache_clear()
    return get_settings()


@pytest.fixture
def lake(bucket_settings: Settings) -> Lake:
    return Lake.of(bucket_settings)


def stored(lake: Lake, row: type[Row], day: date = DAY) -> pa.Table:
    with duckdb.connect() as con:
        table = lake.relation(con, row, [day]).to_arrow_table()
    return table.cast(arrow_schema(row))


def objects_of(lake: Lake) -> list[str]:
    """The files of partitions, without what is told of the whole lake."""
    return sorted(path for file in lake.place.stored() if "/sync_day=" in (path := str(file.path)))


def test_the_last_write_is_what_the_partition_holds(lake: Lake) -> None:
    assert lake.current(RawPostDeletion, DAY) is None
    assert lake.days(RawPostDeletion) == lake.partitions(RawPostDeletion) == []
    for count in (3, 0, 5):
        written = lake.write(RawPostDeletion, DAY, deletions(count), {"count": count})
        assert lake.current(RawPostDeletion, DAY) == written
    lake.write(RawPostDeletion, DAY + timedelta(days=1), deletions(1))
    assert lake.days(RawPostDeletion) == [DAY, DAY + timedelta(days=1)]
    assert stored(lake, RawPostDeletion).equals(deletions(5))
    assert list(written.batches(2))[1].equals(deletions(5).slice(2, 2).to_batches()[0])
    assert written.bytes > 0
    assert list(lake.root.iterdir()) == [], "something is left of what was sent"


def test_a_whole_bucket_is_a_lake_too(bucket_endpoint: str, tmp_path: Path) -> None:
    urlopen(Request(f"{bucket_endpoint}/whole-bucket", method="PUT"), timeout=100).close()
    lake = Lake.of(settings_of("s3://whole-bucket/", bucket_endpoint, tmp_path))
    written = lake.write(RawPostDeletion, DAY, deletions(3))
    assert str(written.path).startswith("s3://whole-bucket/raw_post_deletions/sync_day=2026-03-08/")
    assert lake.partitions(RawPostDeletion) == [written]
    assert lake.vacuum(grace=timedelta(seconds=-5)) == 0
    assert stored(lake, RawPostDeletion).equals(deletions(3))


def test_vacuum_removes_only_what_no_pointer_names(lake: Lake) -> None:
    old = lake.write(RawPostDeletion, DAY, deletions(3))
    new = lake.write(RawPostDeletion, DAY, deletions(5))
    left = lake.root / ".part-0.parquet.left-by-a-killed-process"
    left.write_bytes(b"half of it")
    assert lake.vacuum() == 0
    assert lake.vacuum(grace=timedelta(seconds=-5)) == old.bytes + len(b"half of it")
    pointer = f"{str(new.path).rpartition('/')[0]}/current.json"
    assert objects_of(lake) == sorted([pointer, str(new.path)])
    assert not left.exists()


def test_of_writers_of_one_partition_the_last_wins_and_is_whole(lake: Lake) -> None:
    sizes = [400 * number for number in range(1, 9)]

    def write(count: int) -> None:
        lake.write(RawPostDeletion, DAY, deletions(count), {"count": count})

    writers = [threading.Thread(target=write, args=[count]) for count in sizes]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    current = lake.current(RawPostDeletion, DAY)
    assert current is not None
    assert current.details == {"count": current.rows}
    assert stored(lake, RawPostDeletion).equals(deletions(current.rows))


def test_threads_that_share_a_handle_each_read_what_they_asked_for(lake: Lake) -> None:
    """DuckDB has threads share handles, and seeks and reads in two steps."""
    partition = lake.write(RawPostDeletion, DAY, deletions(100))
    path = partition.path
    assert isinstance(path, ObjectPath)
    handle = ObjectFiles("s3", lambda _: path.open()).open(str(path))
    handle.seek(0)
    other = threading.Thread(target=lambda: (handle.seek(10), handle.read(4)))
    other.start()
    other.join()
    assert handle.read(4) == b"PAR1"
    handle.seek(partition.bytes - 4)
    assert handle.read(100) == b"PAR1"


KILLED = """
import os, signal, sys
from bsky_assets.contracts import RawPostDeletion
from bsky_assets.settings import get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.objects import Bucket
from bsky_assets_tests.storage.deletions import DAY, deletions

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(Bucket, sys.argv[1], killed)
Lake.of(get_settings()).write(RawPostDeletion, DAY, deletions(9))
"""


@pytest.mark.parametrize(("at", "files"), [("_send", 2), ("write", 3)])
def test_a_kill_before_the_pointer_leaves_the_last_good_state(
    lake: Lake, at: str, files: int
) -> None:
    kept = lake.write(RawPostDeletion, DAY, deletions(4))
    done = subprocess.run([sys.executable, "-c", KILLED, at], check=False, timeout=250)
    assert done.returncode == -signal.SIGKILL
    assert lake.current(RawPostDeletion, DAY) == kept
    assert stored(lake, RawPostDeletion).equals(deletions(4))
    in_bucket = [path for path in objects_of(lake) if path.startswith("s3://")]
    assert len(in_bucket) == files
    lake.vacuum(grace=timedelta(seconds=-5))
    assert len(objects_of(lake)) == 2


def test_a_day_in_a_bucket_equals_the_day_in_a_folder(
    sandbox_day: SandboxDay,
    bucket_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    local, day = Lake(sandbox_day.data / "lake"), sandbox_day.day
    for name, value in sandbox_day.sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BSKY_LAKE_URL", f"s3://{BUCKET}/a-day")
    monkeypatch.setenv("BSKY_LAKE_ENDPOINT_URL", bucket_endpoint)
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    settings = get_settings()
    remote = Lake.of(settings)
    for row in RAW:
        partition = local.current(row, day)
        assert partition is not None, row
        remote.write(row, day, stored(local, row, day), partition.details)
    with open_instance(settings) as instance:
        materialize_day(instance, day, 'key:"consolidated_posts" or key:"filtered_posts"')
    assert [
        path for path in settings.data_dir.rglob("*.parquet") if "ledger" not in path.parts
    ] == []
    for row in (ConsolidatedPost, FilteredPost):
        one, other = local.current(row, day), remote.current(row, day)
        assert one is not None
        assert other is not None
        assert one.rows == other.rows > 100
        assert one.details == other.details
        assert rows_of(remote, row, day) == rows_of(local, row, day)
    ask = "SELECT count(*) AS posts FROM filtered_posts WHERE passed_filters"
    status, printed, _ = run(monkeypatch, capsys, "query", ask)
    assert (status, printed.split()) == (0, ["posts", str(other.details["passed"])])
    assert f"s3://{BUCKET}/a-day" in run(monkeypatch, capsys, "status")[1]
    for url, out in ((str(local.root), "one"), (f"s3://{BUCKET}/a-day", "other")):
        chosen = {"BSKY_LAKE_URL": url}
        asked = ("export", "--assets", "raw_firehose_posts", str(tmp_path / out))
        assert run(monkeypatch, capsys, *asked, **chosen)[0] == 0
    exported = [tmp_path / out / "raw_firehose_posts.parquet" for out in ("one", "other")]
    with duckdb.connect() as con:
        first, second = (con.sql(f"FROM '{path}' ORDER BY ALL").fetchall() for path in exported)
    assert first == second


def rows_of(lake: Lake, row: type[Row], day: date) -> list[tuple[object, ...]]:
    """The rows without the times at which they were made."""
    made = "* REPLACE (struct_pack(s := metadata.source, f := metadata.source_feeds) AS metadata)"
    times = " EXCLUDE (filtered_at, preprocessing_timestamp)" if row is FilteredPost else ""
    with duckdb.connect() as con:
        rows = lake.relation(con, row, [day])
        return rows.select(made.replace("*", f"*{times}")).order("uri").fetchall()


def test_every_view_reads_before_anything_is_stored_and_after(
    lake: Lake, bucket_settings: Settings
) -> None:
    path = bucket_settings.catalogue_path
    for expected in ([(0,)], [(3,)]):
        catalogue.rebuild(lake, path)
        with duckdb.connect(str(path), read_only=True) as con:
            lake.attach(con)
            assert con.sql("SELECT count(sync_day) FROM raw_post_deletions").fetchall() == expected
        lake.write(RawPostDeletion, DAY, deletions(3))


def settings_of(url: str, endpoint: str, folder: Path) -> Settings:
    return Settings(data_dir=folder, lake_url=url, lake_endpoint_url=endpoint)


def test_a_bucket_that_is_not_there_is_named(bucket_endpoint: str, tmp_path: Path) -> None:
    settings = settings_of("s3://no-such-bucket/lake", bucket_endpoint, tmp_path)
    named = "no bucket 'no-such-bucket' at http.*BSKY_LAKE_URL"
    with pytest.raises(UnusableObjectStorage, match=named):
        Lake.of(settings)


class Refuses(BaseHTTPRequestHandler):
    """An object storage that lets nobody in, or none that knows a secret it should not."""

    def do_HEAD(self) -> None:
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_without_credentials_it_says_where_they_come_from_and_tells_none(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            settings = settings_of(
                f"s3://{BUCKET}", f"http://127.0.0.1:{server.server_port}", tmp_path
            )
            with pytest.raises(UnusableObjectStorage) as raised:
                Lake.of(settings).days(RawPostDeletion)
        finally:
            server.shutdown()
    assert "refuses access" in str(raised.value)
    assert "AWS_ACCESS_KEY_ID" in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_storage_that_is_not_there_is_told_by_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    chosen = {"BSKY_LAKE_URL": f"s3://{BUCKET}/lake", "BSKY_LAKE_ENDPOINT_URL": endpoint}
    status, _, told = run(monkeypatch, capsys, "status", **chosen)
    assert status == 1
    assert "cannot be reached" in told
    assert "BSKY_LAKE_ENDPOINT_URL" in told


def test_a_pyarrow_without_object_storage_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(fs, "S3FileSystem")
    objects._file_system.cache_clear()
    with pytest.raises(UnusableObjectStorage, match=r"pip install .*\[s3\]"):
        Lake.of(settings_of("s3://any-bucket", "http://127.0.0.1:9", tmp_path))


@pytest.mark.parametrize(
    "url",
    [f"s3://key:{SECRET}@bucket/x", "s3://", "gs://bucket/x", f"s3://bucket/x?secret={SECRET}"],
)
def test_a_url_that_cannot_be_used_is_refused_and_its_secret_not_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BSKY_LAKE_URL", url)
    get_settings.cache_clear()
    with pytest.raises(
        InvalidSettings, match="BSKY_LAKE_URL: expected s3://bucket/prefix"
    ) as raised:
        get_settings()
    assert SECRET not in str(raised.value)


def test_a_shared_folder_is_a_lake_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSKY_LAKE_URL", str(tmp_path / "shared"))
    get_settings.cache_clear()
    written = Lake.of(get_settings()).write(RawPostDeletion, DAY, deletions(2))
    assert written.path.is_relative_to(tmp_path / "shared")
    assert Lake(tmp_path / "shared").current(RawPostDeletion, DAY) == written
