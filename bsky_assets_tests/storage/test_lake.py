"""Partitions are whole or not there, and a reader keeps a stable picture."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.contracts import ALL, RawPostDeletion, arrow_schema
from bsky_assets.storage import catalogue
from bsky_assets.storage import lake as lake_module
from bsky_assets.storage.files import UnusableDataDirectory
from bsky_assets.storage.lake import GRACE, Lake
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets.storage.shape import ContractViolation
from bsky_assets_tests.storage.deletions import DAY, deletions
from bsky_assets_tests.support.places import ROOT


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def catalogue_path(lake: Lake) -> Path:
    return lake.root.parent / "bsky.duckdb"


def open_catalogue(lake: Lake) -> duckdb.DuckDBPyConnection:
    catalogue.rebuild(lake, catalogue_path(lake))
    return duckdb.connect(str(catalogue_path(lake)))


COUNT = """
import sys, duckdb
print(duckdb.connect(sys.argv[1]).sql("SELECT count(*) FROM raw_post_deletions").fetchall()[0][0])
"""


def count_in_another_process(lake: Lake) -> int:
    command = [sys.executable, "-c", COUNT, str(catalogue_path(lake))]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


@settings(max_examples=20, deadline=None)
@given(counts=st.lists(st.integers(0, 300), min_size=1, max_size=4))
def test_the_last_write_is_what_the_partition_holds(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    for count in counts:
        written = lake.write(RawPostDeletion, DAY, deletions(count), {"count": count})
        assert (written.rows, written.details) == (count, {"count": count})
    with duckdb.connect() as con:
        stored = lake.relation(con, RawPostDeletion, [DAY]).order("seq").to_arrow_table()
    assert stored.cast(arrow_schema(RawPostDeletion)).equals(deletions(counts[-1]))


def test_every_view_has_its_columns_before_anything_is_stored(lake: Lake) -> None:
    with open_catalogue(lake) as con:
        for row in ALL:
            relation = con.sql(f"SELECT * FROM {row.asset}")
            assert relation.columns == ["sync_day", *arrow_schema(row).names]
            assert relation.fetchall() == []


def test_a_view_reads_the_same_types_empty_and_filled(lake: Lake) -> None:
    with open_catalogue(lake) as con:
        empty = [str(kind) for kind in con.sql("SELECT * FROM raw_post_deletions").types]
    lake.write(RawPostDeletion, DAY, deletions(3))
    with open_catalogue(lake) as con:
        filled = con.sql("SELECT * FROM raw_post_deletions")
        assert [str(kind) for kind in filled.types] == empty
        assert con.sql("SELECT DISTINCT sync_day FROM raw_post_deletions").fetchall() == [(DAY,)]


def test_a_reader_keeps_its_picture_while_the_partition_is_replaced(lake: Lake) -> None:
    lake.write(RawPostDeletion, DAY, deletions(3))
    with open_catalogue(lake) as reader:
        lake.write(RawPostDeletion, DAY, deletions(5))
        catalogue.rebuild(lake, catalogue_path(lake))
        assert reader.sql("SELECT count(*) FROM raw_post_deletions").fetchall() == [(3,)]
        assert count_in_another_process(lake) == 5


def test_vacuum_removes_only_what_no_pointer_names(lake: Lake) -> None:
    old = lake.write(RawPostDeletion, DAY, deletions(3))
    new = lake.write(RawPostDeletion, DAY, deletions(5))
    assert lake.vacuum() == 0
    assert lake.vacuum(grace=timedelta(0)) == old.bytes
    assert not old.path.exists()
    assert new.path.exists()


def test_an_old_file_that_was_replaced_just_now_stays_for_its_readers(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = lake.write(RawPostDeletion, DAY, deletions(3))
    assert isinstance(old.path, Path)
    os.utime(old.path, (0, 0))
    catalogue.rebuild(lake, catalogue_path(lake))
    with open_catalogue(lake) as reader:
        lake.write(RawPostDeletion, DAY, deletions(5))
        lake.vacuum()
        assert reader.sql("SELECT count(*) FROM raw_post_deletions").fetchall() == [(3,)]
    monkeypatch.setattr(lake_module, "now", lambda: datetime.now(UTC) + GRACE)
    lake.vacuum()
    assert not old.path.exists()


def test_a_day_that_is_made_every_hour_keeps_the_files_of_the_grace_alone(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in range(12):
        at = datetime(2026, 3, 8, hour, tzinfo=UTC)
        monkeypatch.setattr(lake_module, "now", lambda at=at: at)
        new = lake.write(RawPostDeletion, DAY, deletions(hour + 1))
        assert isinstance(new.path, Path)
        files = list(new.path.parent.glob("*.parquet"))
        assert len(files) == min(hour, GRACE // timedelta(hours=1)) + 1
    assert new.path in files


def test_scratch_folders_of_killed_runs_are_removed_when_they_are_old(lake: Lake) -> None:
    written = lake.write(RawPostDeletion, DAY, deletions(3))
    left = [lake.root / ".upcast-abc", lake.root / "raw_firehose_posts" / ".gathered-abc"]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "0.parquet").write_bytes(b"half of it")
    assert lake.vacuum() == 0
    for folder in left:
        os.utime(folder / "0.parquet", (0, 0))
        os.utime(folder, (0, 0))
    assert lake.vacuum() == 2 * len(b"half of it")
    assert not any(folder.exists() for folder in left)
    assert lake.current(RawPostDeletion, DAY) == written


def test_files_of_which_no_pointer_says_when_they_were_replaced_stay_as_long(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = lake.write(RawPostDeletion, DAY, deletions(3))
    new = lake.write(RawPostDeletion, DAY, deletions(5))
    assert isinstance(old.path, Path)
    os.utime(old.path, (0, 0))
    pointer = old.path.parent / "current.json"
    pointer.write_text(json.dumps({**json.loads(pointer.read_text()), "replaced": {}}))
    assert lake.vacuum() == 0
    monkeypatch.setattr(lake_module, "now", lambda: datetime.now(UTC) + GRACE)
    assert lake.vacuum() == old.bytes
    assert lake.current(RawPostDeletion, DAY).rows == new.rows  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            deletions(1).drop_columns("seq"),
            "raw_post_deletions on 2026-03-08: column seq should be int64, found nothing",
        ),
        (
            deletions(1).set_column(7, "seq", pa.array(["1"])),
            "column seq should be int64, found string",
        ),
        (deletions(1).append_column("x", pa.array([1])), "no such column: x"),
    ],
)
def test_rows_that_break_the_contract_change_nothing(
    lake: Lake, broken: pa.Table, message: str
) -> None:
    kept = lake.write(RawPostDeletion, DAY, deletions(2))
    with pytest.raises(ContractViolation, match=message):
        lake.write(RawPostDeletion, DAY, broken)
    with duckdb.connect() as con:
        con.register("broken", broken)
        with pytest.raises(ContractViolation, match=message):
            lake.write_query(con, RawPostDeletion, DAY, "SELECT * FROM broken")
    assert lake.current(RawPostDeletion, DAY) == kept
    assert [path for path in kept.path.parent.iterdir() if path.name.startswith(".")] == []


def test_a_failed_query_leaves_the_partition_as_it_was(lake: Lake) -> None:
    kept = lake.write(RawPostDeletion, DAY, deletions(2))
    source = select_rows(RawPostDeletion, [kept])
    failing = f"SELECT * REPLACE (CAST(uri AS BIGINT) AS seq) FROM ({source})"
    with duckdb.connect() as con, pytest.raises(duckdb.ConversionException):
        lake.write_query(con, RawPostDeletion, DAY, failing)
    assert lake.current(RawPostDeletion, DAY) == kept


@pytest.mark.skipif(sys.platform == "win32", reason="file modes")
def test_reading_a_partition_in_batches_holds_little_of_it_at_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    row_groups, rows = 30, 2_000
    monkeypatch.setattr("bsky_assets.storage.row_groups.ROW_GROUP_ROWS", rows)
    noise = pa.array([os.urandom(500).hex() for _ in range(rows)])
    plain = deletions(rows)
    place = plain.schema.get_field_index("status")
    batches = plain.set_column(place, plain.field("status"), noise).to_batches() * row_groups
    reader = pa.RecordBatchReader.from_batches(batches[0].schema, batches)
    partition = lake.write(RawPostDeletion, DAY, reader)
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in partition.batches(rows // 4)]
    assert 0 < max(held) < partition.bytes / 3


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file stands where the folder should be")
    with pytest.raises(UnusableDataDirectory, match=r"cannot write to .*BSKY_DATA_DIR"):
        Lake(tmp_path / "lake").write(RawPostDeletion, DAY, deletions(1))


WRITER = """
import sys
from pathlib import Path
from bsky_assets.storage.lake import Lake
from bsky_assets.contracts import RawPostDeletion
from bsky_assets_tests.storage.deletions import DAY, deletions
lake, rows = Lake(Path(sys.argv[1])), deletions(20_000)
print("ready", flush=True)
while True:
    lake.write(RawPostDeletion, DAY, rows)
"""


@pytest.mark.scenario
def test_kill_at_any_moment_leaves_a_whole_partition(lake: Lake) -> None:
    lake.write(RawPostDeletion, DAY, deletions(20_000))
    for round_number in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(lake.root)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(0.013 * (round_number + 1))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        with open_catalogue(lake) as con:
            assert con.sql("SELECT count(*) FROM raw_post_deletions").fetchall() == [(20_000,)]


def test_rows_that_are_kept_keep_their_version_and_rows_made_anew_get_another(lake: Lake) -> None:
    inputs = {"raw_firehose_posts": {"2026-03-07": "part-1"}}
    made = lake.write(RawPostDeletion, DAY, deletions(3), made_from=inputs)
    with duckdb.connect() as con:
        lake.relation(con, RawPostDeletion, [DAY]).create_view("before")
        sql = "SELECT * FROM before LIMIT 2"
        kept = lake.write_query(con, RawPostDeletion, DAY, sql, kept_from=made)
        again = lake.rewrite(con, RawPostDeletion, kept, lambda _: None, {})
        assert kept.path != made.path != again.path
        assert kept.version == again.version == made.version
        assert again.made_from == inputs
        anew = lake.write_query(con, RawPostDeletion, DAY, sql)
    assert anew.version != made.version
    assert anew.made_from is None
