"""What a killed writer leaves beside its target goes with the next maintenance, once it is old."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from dagster import build_op_context
from typer.testing import CliRunner

from bsky_assets.cli import app
from bsky_assets.contracts import RawPostDeletion
from bsky_assets.exports.export import export
from bsky_assets.orchestration.maintenance import vacuum_lake
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import GRACE, Lake
from bsky_assets_tests.storage.deletions import DAY
from testbed.rows import post_deletion, table

KILLED = """
import os, sys
from pathlib import Path
from bsky_assets.storage.files import staged, unfinished
writers = [staged(Path(target)) for target in sys.argv[1:-1]]
for writer in writers:
    writer.__enter__().write_text("half")
folder = unfinished(Path(sys.argv[-1]))
folder.mkdir()
(folder / "within").write_text("half")
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def left(settings: Settings) -> set[Path]:
    """What writers of reports and of the ledger, and of an export, leave that kill -9 ended."""
    before = set(settings.data_dir.rglob("*"))
    targets = [
        settings.reports_dir / f"{DAY}.html",
        settings.reports_dir / "index.html",
        settings.ledger_dir / "part.parquet",
        settings.data_dir / "export",
    ]
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, targets)], check=False)
    assert done.returncode == -9
    found = set(settings.data_dir.rglob(".*")) - before
    assert len(found) == len(targets)
    return found


def make_old(left: set[Path]) -> None:
    old = (datetime.now(UTC) - GRACE - timedelta(minutes=1)).timestamp()
    for path in left:
        for each in (*path.rglob("*"), path):
            os.utime(each, (old, old))


def test_maintenance_removes_what_killed_writers_left_and_nothing_that_is_written_to(
    settings: Settings, left: set[Path]
) -> None:
    asked = CliRunner().invoke(app, ["doctor"])
    assert (asked.exit_code, asked.output) == (0, "nothing is damaged\n")
    kept = settings.reports_dir / ".hidden"
    kept.write_text("of a person")
    assert CliRunner().invoke(app, ["maintain", "--now"]).exit_code == 0
    assert all(path.exists() for path in left)  # their writers may be alive
    make_old({*left, kept})
    assert CliRunner().invoke(app, ["maintain"]).exit_code == 0
    assert not any(path.exists() for path in left)
    assert kept.exists()


def test_the_nightly_job_removes_them_too(settings: Settings, left: set[Path]) -> None:
    make_old(left)
    vacuum_lake(build_op_context(), data=DataDirectory(settings))
    assert not any(path.exists() for path in left)


def test_an_export_removes_what_an_earlier_one_to_the_same_folder_left(
    settings: Settings, left: set[Path]
) -> None:
    lake = Lake.of(settings)
    lake.write(RawPostDeletion, DAY, table(RawPostDeletion, [post_deletion("did:plc:a", "1", 7)]))
    make_old(left)
    with duckdb.connect() as con:
        export(con, lake, settings, [DAY], settings.data_dir / "export", assets=[RawPostDeletion])
    assert {path for path in left if not path.exists()} == {
        path for path in left if path.name.startswith(".export.")
    }


def test_the_page_of_all_days_is_no_stray_and_is_missed_where_it_is_cut_short(
    settings: Settings,
) -> None:
    settings.reports_dir.mkdir(parents=True)
    index = settings.reports_dir / "index.html"
    index.write_text("<html>all days</html>\n")
    assert CliRunner().invoke(app, ["doctor"]).output == "nothing is damaged\n"
    index.write_text("<html>all")
    asked = CliRunner().invoke(app, ["doctor"])
    assert asked.exit_code == 1
    assert "index.html: it is not whole" in asked.output
