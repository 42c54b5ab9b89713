"""The timezone of sync days belongs to what is stored, and another one is refused."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bsky_assets.bluesky.collector import firehose_segments
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.timezones import FILE, OtherTimezone
from testbed.rows import firehose_post, table

DAY = date(2026, 3, 8)
POSTS = table(RawFirehosePost, [firehose_post("did:plc:a", "3a")])
COMMANDS = (
    ("-m", "bsky_assets", "status"),
    ("-m", "bsky_assets", "query", "SELECT 1"),
    ("-m", "bsky_assets", "collect"),
    ("-m", "bsky_assets", "export", "--day", str(DAY), "out"),
    ("-m", "bsky_assets.launching.partition", "consolidated_posts", str(DAY)),
    ("-c", "import bsky_assets.definitions"),
)


def settings_in(folder: Path, timezone: str = "America/Chicago") -> Settings:
    return Settings(_env_file=None, data_dir=folder, sync_timezone=timezone)


def run(folder: Path, timezone: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"BSKY_DATA_DIR": str(folder), "BSKY_SYNC_TIMEZONE": timezone},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.mark.scenario
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[1:3]))
def test_another_timezone_than_that_of_the_stored_days_is_refused(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    settings = settings_in(tmp_path)
    Lake.of(settings).write(RawFirehosePost, DAY, POSTS)
    with firehose_segments(settings).collecting():
        pass
    done = run(tmp_path, "Asia/Tokyo", *command)
    assert done.returncode == 1, done.stdout
    told = done.stderr.strip().splitlines()[-1]
    assert "BSKY_SYNC_TIMEZONE is Asia/Tokyo" in told
    assert "set BSKY_SYNC_TIMEZONE=America/Chicago" in told


def test_the_same_timezone_is_taken(tmp_path: Path) -> None:
    Lake.of(settings_in(tmp_path)).write(RawFirehosePost, DAY, POSTS)
    done = run(tmp_path, "America/Chicago", "-m", "bsky_assets", "status")
    assert done.returncode == 0, done.stderr


def test_a_lake_that_keeps_none_takes_on_that_of_its_next_partition(tmp_path: Path) -> None:
    Lake(tmp_path / "lake").write(RawFirehosePost, DAY, POSTS)
    tokyo = Lake.of(settings_in(tmp_path, "Asia/Tokyo"))
    assert tokyo.timezone == "Asia/Tokyo"
    Lake.of(settings_in(tmp_path))  # nothing is kept yet
    tokyo.write(RawFirehosePost, DAY, POSTS)
    with pytest.raises(OtherTimezone):
        Lake.of(settings_in(tmp_path))
    assert Lake(tmp_path / "lake").timezone == "Asia/Tokyo"
    assert ZoneInfo(tokyo.timezone) == ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"sync_timezone": 3}'])
def test_a_damaged_note_of_the_timezone_stops_nothing(tmp_path: Path, content: bytes) -> None:
    lake = Lake.of(settings_in(tmp_path))
    lake.write(RawFirehosePost, DAY, POSTS)
    (lake.root / FILE).write_bytes(content)
    again = Lake.of(settings_in(tmp_path))
    assert again.timezone == "America/Chicago"
    again.write(RawFirehosePost, DAY, POSTS)
    with pytest.raises(OtherTimezone):
        Lake.of(settings_in(tmp_path, "Asia/Tokyo"))
