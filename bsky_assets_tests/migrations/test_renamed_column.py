"""A column is renamed: days of before read, join and export as today's, and are rewritten.

The rename is made in a copy of the package, and its commands run; one is killed on the way.
"""

import csv
import json
import signal
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from bsky_assets.contracts import RawFeedPost, RawFirehosePost, Row
from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.support.scratch_copy import Scratch, scratch_copy
from testbed.rows import feed_post, firehose_post, post_uri, record, table

FIRST = date(2026, 3, 1)
BEFORE = [FIRST + timedelta(days=number) for number in range(3)]
AFTER = FIRST + timedelta(days=3)
POSTS = 50

TEXT = '    text: str = Field(description="The text, verbatim'
BODY = TEXT.replace("text", "body", 1)
NO_CHANGES = "CHANGES: tuple[Made | Dropped, ...] = ()"
RENAMED = """CHANGES: tuple[Made | Dropped, ...] = (
    Made(("raw_firehose_posts", "raw_feed_posts"), "record.body", "{record.text}"),
)"""

STORE = """
import json, sys
from datetime import date, datetime
import pyarrow as pa
from bsky_assets.contracts import RawFirehosePost, arrow_schema
from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import get_settings
from bsky_assets.storage.lake import Lake
posts = json.loads(sys.argv[2])
for post in posts:
    post["record"]["body"] = post["record"].pop("text")
    for name in ("commit_time", "received_at"):
        post[name] = datetime.fromisoformat(post[name])
table = pa.Table.from_pylist(posts, schema=arrow_schema(RawFirehosePost))
Lake(get_settings().lake_dir).write(RawFirehosePost, date.fromisoformat(sys.argv[1]), table)
publish(get_settings())
"""

KILLED = """
import os, signal
syncs, fsync = 0, os.fsync
def counted(handle):
    global syncs
    syncs += 1
    if syncs == int(os.environ["KILLED_AT_SYNC"]):
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(handle)
if "KILLED_AT_SYNC" in os.environ:
    os.fsync = counted
"""
"""Python imports it first: the process is killed where the disk is waited for."""


def text(day: date, number: int) -> str:
    return f'post {number} of {day}, "quoted"; ⛱'


def posts(day: date, answered: date | None = None) -> list[dict[str, Any]]:
    """Posts of a day, each an answer to the post of its number on another day."""
    return [
        firehose_post(
            "did:plc:ann",
            f"{day}-{number}",
            number,
            record=record(
                text(day, number),
                reply_parent=answered and post_uri("did:plc:ann", f"{answered}-{number}"),
            ),
        )
        for number in range(POSTS)
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with three days that the package stored before the rename."""
    settings = Settings(_env_file=None, data_dir=tmp_path / "data")
    lake = Lake(settings.lake_dir)
    for day in BEFORE:
        lake.write(RawFirehosePost, day, table(RawFirehosePost, posts(day)))
        lake.write(RawFeedPost, day, table(RawFeedPost, [feed_post("did:plc:bob", f"{day}")]))
    publish(settings)
    return settings.data_dir


@pytest.fixture
def renamed(tmp_path: Path) -> Scratch:
    scratch = scratch_copy(tmp_path / "code")
    scratch.replace("contracts/records.py", TEXT, BODY)
    scratch.replace("contracts/changes.py", NO_CHANGES, RENAMED)
    (scratch.folder / "sitecustomize.py").write_text(KILLED)
    return scratch


@pytest.mark.scenario
def test_days_of_before_a_rename_read_join_export_and_are_rewritten_though_killed(
    renamed: Scratch, data: Path, tmp_path: Path
) -> None:
    variables = {"BSKY_DATA_DIR": str(data)}
    later = json.dumps(posts(AFTER, answered=BEFORE[0]), default=str)
    stored = renamed.python("-c", STORE, str(AFTER), later, **variables)
    assert stored.returncode == 0, stored.stderr
    before = reads_joins(data)
    assert exported(renamed, tmp_path / "out", variables) == texts()

    rewritten = [0]
    for at in (2, 7, 10):
        killed = renamed.python(
            "-m", "bsky_assets", "migrate", "apply", **variables, KILLED_AT_SYNC=str(at)
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert reads_joins(data) == before
        rewritten.append(sum("body" in names for names in stored_fields(data)))
    assert sorted(set(rewritten)) == rewritten, "each time it went on from where it was"

    printed = renamed.command("migrate", "apply", **variables)
    assert "counts and checksums agree" in printed
    assert reads_joins(data) == before
    assert all("body" in names and "text" not in names for names in stored_fields(data))


def texts() -> dict[tuple[str, str], str]:
    """Every post of the four days, by its day and URI."""
    return {
        (str(day), post_uri("did:plc:ann", f"{day}-{number}")): text(day, number)
        for day in (*BEFORE, AFTER)
        for number in range(POSTS)
    }


def reads_joins(data: Path) -> list[Any]:
    """What the catalogue gives of all days, held against what was stored."""
    with duckdb.connect(str(data / "bsky.duckdb"), read_only=True) as con:
        found = con.sql("SELECT sync_day, uri, record.body FROM raw_firehose_posts").fetchall()
        assert {(str(day), uri): body for day, uri, body in found} == texts()
        assert len(found) == len(texts())
        joined = con.sql(
            "SELECT post.record.body, answer.record.body FROM raw_firehose_posts AS post "
            "JOIN raw_firehose_posts AS answer ON answer.record.reply_parent = post.uri"
        ).fetchall()
        assert sorted(joined) == sorted(
            (text(BEFORE[0], number), text(AFTER, number)) for number in range(POSTS)
        )
        return con.sql(
            "SELECT sync_day, count(*), sum(hash(COLUMNS(*))) FROM raw_firehose_posts "
            "GROUP BY sync_day ORDER BY sync_day"
        ).fetchall()


def exported(renamed: Scratch, folder: Path, variables: Mapping[str, str]) -> dict[Any, str]:
    renamed.command(
        *("export", "--day", str(FIRST), "--to", str(AFTER), "--format", "csv"),
        *("--assets", "raw_firehose_posts", str(folder)),
        **variables,
    )
    with (folder / "raw_firehose_posts.csv").open(newline="") as file:
        return {(row["sync_day"], row["uri"]): row["record.body"] for row in csv.DictReader(file)}


def stored_fields(data: Path) -> Iterator[list[str]]:
    """The fields of the record in each current file."""
    lake = Lake(data / "lake")
    rows: tuple[type[Row], ...] = (RawFirehosePost, RawFeedPost)
    for row in rows:
        for partition in lake.partitions(row):
            record_field = pq.read_schema(partition.path).field("record")
            yield [field.name for field in record_field.type]
