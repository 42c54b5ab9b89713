"""Gaps of the stream, and what an archive beside it makes of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import duckdb
import pytest

from bsky_assets.bluesky.archive.healing import heal_day
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.bluesky.xrpc import Unanswered
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.healing import Healing
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets_tests.bluesky.archive.serving import archive_of, world_of
from bsky_assets_tests.sandbox.streams import relay_of
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.serving import served
from bsky_sandbox.archive import Archive
from bsky_sandbox.faults import Fault, StreamFaults
from bsky_sandbox.server import repositories_of
from bsky_sandbox.world import World

LOST = StreamFaults(seed=4, probability={Fault.SKIP: 0.01, Fault.ABORT: 0.002})
"""A relay that withholds some of its messages, one to several in a row, and drops connections."""
LONG = Limits(max_seconds=60)
IDLE = {"idle_seconds": 0.1}


@pytest.fixture(scope="module")
def world() -> World:
    return world_of(1_500)


@dataclass
class Collected:
    """What came of a relay with faults, and an archive beside it."""

    settings: Settings
    archive: Archive
    day: date
    """The day on which it came."""

    def partition(self) -> Partition:
        with duckdb.connect() as con:
            segments = firehose_segments(self.settings)
            return compact_firehose_day(con, Lake.of(self.settings), segments, self.day)[0]

    def uris(self) -> set[str]:
        """Of the posts of the day."""
        with duckdb.connect() as con:
            rows = select_rows(RawFirehosePost, [self.partition()])
            found = con.sql(f"SELECT uri FROM ({rows})").fetchall()
        assert len(found) == len(set(found))
        return {uri for (uri,) in found}

    def heal(self) -> list[Healing]:
        with duckdb.connect() as con:
            return heal_day(con, self.settings, self.day, lambda _: None)

    def gaps(self) -> int:
        told = self.partition().told(StreamDetails).completeness
        return told.gap_count if told else 0


@pytest.fixture(scope="module")
def stream(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with what came of the relay."""
    folder = tmp_path_factory.mktemp("stream")
    with served(relay_of(world, faults=LOST).app()) as url:
        sync_firehose(settings_of(folder, relay_url=url.replace("http", "ws")), LONG, **IDLE)
    return folder


def settings_of(folder: Path, **fields: Any) -> Settings:
    return Settings(_env_file=None, data_dir=folder, sync_timezone="UTC", **fields)


@contextmanager
def collected(stream: Path, folder: Path, archive: Archive) -> Iterator[Collected]:
    """The stream, with `archive` beside it."""
    copytree(stream, folder, dirs_exist_ok=True)
    with served(archive.app()) as url:
        settings = settings_of(folder, archive_url=url)
        (day,) = firehose_segments(settings).days()
        yield Collected(settings, archive, day)


def survivors(world: World) -> set[str]:
    return {
        post.uri
        for post in world.posts
        if post.in_firehose and not post.is_deleted and post.account_status != "deleted"
    }


def test_every_post_that_survives_is_there_once_and_what_is_gone_is_counted(
    world: World, stream: Path, tmp_path: Path
) -> None:
    with collected(stream, tmp_path, archive_of(world)) as one:
        before, gaps = one.uris(), one.gaps()
        missing = survivors(world) - before
        found = one.heal()
        after = one.uris()
        told = one.partition().told(StreamDetails).healing
    assert len(missing) > 3
    assert gaps == len(found) == len(told) > 5
    assert [one.reason for one in found] == [None] * gaps
    assert survivors(world) <= after
    deleted = {p.uri for p in world.posts if p.in_firehose and p.is_deleted}
    assert sum(one.gone for one in found) == len(deleted - before)
    assert sum(one.posts for one in found) == len(missing)


def test_a_post_of_a_gap_whose_repository_came_again_later_is_looked_for_there(
    world: World, tmp_path: Path
) -> None:
    events = list(world.events)
    came_again = {event.did: event.seq for event in events if event.kind == "sync"}
    place, lost = next(
        (place, uri)
        for place, event in enumerate(events)
        if event.seq < came_again.get(event.did, 0)
        for uri in [f"at://{event.did}/{op.path}" for op in event.ops if op.action == "create"]
        if uri in survivors(world)
    )
    faults = StreamFaults(at={place: Fault.SKIP})
    with served(relay_of(world, faults=faults).app()) as url:
        settings = settings_of(tmp_path / "live", relay_url=url.replace("http", "ws"))
        sync_firehose(settings, LONG, **IDLE)
    with collected(tmp_path / "live", tmp_path / "healed", archive_of(world)) as one:
        assert lost not in one.uris()
        (gap,) = one.heal()
        assert gap.is_healed
        assert survivors_in(world, gap) <= one.uris()
        with duckdb.connect() as con:
            rows = select_rows(RawFirehosePost, [one.partition()])
            when = f"SELECT commit_time, dated_by FROM ({rows}) WHERE uri = $1"
            at, dated_by = con.execute(when, [lost]).fetchone() or (None, None)
    assert dated_by == "record_key"
    assert abs(at - events[place].time) < timedelta(minutes=5)


def test_a_gap_is_healed_once(world: World, stream: Path, tmp_path: Path) -> None:
    with collected(stream, tmp_path, archive_of(world)) as one:
        assert one.heal()
        served = one.archive.served
        assert one.heal() == []
        assert one.archive.served == served


def without_the_last(archive: Archive, count: int) -> Archive:
    archive.segments = archive.segments[:-count]
    return archive


def without_the_middle(archive: Archive) -> Archive:
    del archive.segments[len(archive.segments) // 2]
    return archive


def without_the_first(archive: Archive) -> Archive:
    archive.segments = archive.segments[len(archive.segments) // 2 :]
    return archive


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda archive: without_the_last(archive, 3), "ends at|does not span"),
        (without_the_middle, "does not span"),
        (without_the_first, "does not span"),
    ],
    ids=["behind", "with a hole", "begun later"],
)
def test_a_gap_that_the_archive_does_not_span_stays_one_and_says_why(
    world: World, stream: Path, tmp_path: Path, change: Any, said: str
) -> None:
    archive = change(archive_of(world))
    with collected(stream, tmp_path, archive) as one:
        found = one.heal()
        after = one.uris()
    open_ = [each for each in found if not each.is_healed]
    assert open_
    assert all(re.search(said, str(each.reason)) for each in open_)
    held = {
        f"at://{row.did}/{row.collection}/{row.rkey}"
        for segment in archive.segments
        for block in segment.blocks
        for row in block.rows
    }
    for each in found:
        if each.is_healed:
            assert survivors_in(world, each) <= after & held
    assert len(open_) < len(found)


def survivors_in(world: World, gap: Healing) -> set[str]:
    """Of the events in a gap, the posts that survive."""
    assert gap.after is not None
    assert gap.before is not None
    return {
        f"at://{event.did}/{op.path}"
        for event in world.events
        if gap.after < event.seq < gap.before
        for op in event.ops
        if op.action == "create"
    } & survivors(world)


def test_another_network_heals_nothing(world: World, stream: Path, tmp_path: Path) -> None:
    with collected(stream, tmp_path, archive_of(world_of(300, seed=99))) as one:
        found = one.heal()
    assert found
    assert not any(each.is_healed for each in found)
    assert all("none of the posts next to it" in str(each.reason) for each in found)


def test_an_archive_that_goes_away_in_the_middle_is_gone_on_with(
    world: World, stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bsky_assets.bluesky.xrpc.ATTEMPTS", 1)
    plain, archive = archive_of(world), archive_of(world, quota=20_000)
    with collected(stream, tmp_path / "plain", plain) as one:
        one.heal()
        whole = one.uris()
    with collected(stream, tmp_path / "cut", archive) as one:
        with pytest.raises(Unanswered):
            one.heal()
        archive.quota = None
        assert all(each.is_healed for each in one.heal())
        assert one.uris() == whole
    assert archive.served <= 1.3 * plain.served


def test_the_command_heals_and_the_status_and_the_check_tell(
    world: World,
    stream: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with (
        served(repositories_of(world).app()) as accounts,
        collected(stream, tmp_path, archive_of(world)) as one,
    ):
        gaps = one.gaps()
        variables = {
            "BSKY_PLC_URL": accounts,
            "BSKY_ARCHIVE_URL": str(one.settings.archive_url),
            "BSKY_DATA_DIR": str(tmp_path),
            "BSKY_SYNC_TIMEZONE": "UTC",
        }
        status, printed, told = run(monkeypatch, capsys, "heal", **variables)
        assert status == 0, told
        assert f"{gaps} of {gaps} gaps healed" in printed
        assert survivors(world) <= one.uris()
        shown = run(monkeypatch, capsys, "status", "--day", str(one.day), **variables)[1]
        assert f"{gaps} of {gaps} gaps healed" in shown
        assert "missing after" not in shown
        again = run(monkeypatch, capsys, "heal", **variables)
        assert again[0] == 0
        assert "gaps healed" not in again[1]
