"""A past day from an archive: its rows, how they are dated, and what it costs to have them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard
from libipld import encode_dag_cbor

from bsky_assets.bluesky.archive.blocks import UnreadableArchive
from bsky_assets.bluesky.archive.fetching import ArchiveBudget
from bsky_assets.bluesky.archive.host import NoArchive
from bsky_assets.bluesky.archive.ingest import Ingested, ingest_day
from bsky_assets.bluesky.archive.reading import ArchiveEnds
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.bluesky.xrpc import Unanswered
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings
from bsky_assets.storage.archived import Archived
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets_tests.bluesky.archive.serving import DAY, archive_of, reachable, world_of
from bsky_assets_tests.sandbox.streams import relay_of
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.serving import served
from bsky_sandbox.archive import Archive
from bsky_sandbox.archive_segments import ACCOUNT, CREATE, IDENTITY, SYNC, ArchiveRow, SealedSegment
from bsky_sandbox.http_faults import HttpFaults
from bsky_sandbox.posts import micros_of, tid
from bsky_sandbox.world import World

YESTERDAY = DAY - timedelta(days=1)
POST = "app.bsky.feed.post"
Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def world() -> World:
    return world_of()


def land(settings: Settings, day: date = DAY) -> Ingested:
    return ingest_day(settings, day, lambda _: None)


def compacted(settings: Settings, day: date = DAY) -> Partition:
    with duckdb.connect() as con:
        return compact_firehose_day(con, Lake.of(settings), firehose_segments(settings), day)[0]


def rows_of(
    settings: Settings, day: date = DAY, columns: str = "uri, cid", where: str = "true"
) -> Rows:
    partition = compacted(settings, day)
    with duckdb.connect() as con:
        return con.sql(
            f"SELECT {columns} FROM ({select_rows(RawFirehosePost, [partition])}) "
            f"WHERE {where} ORDER BY uri"
        ).fetchall()


def test_the_live_rows_without_deletions_are_the_archives(world: World, tmp_path: Path) -> None:
    columns = "uri, cid, author, record, action, metadata.source_feed"
    with served(relay_of(world).app()) as url:
        fields = {"relay_url": url.replace("http", "ws"), "sync_timezone": "UTC"}
        live = Settings(_env_file=None, data_dir=tmp_path / "live", **fields)
        sync_firehose(live, Limits(max_seconds=60), idle_seconds=0.1)
    received = next(iter(firehose_segments(live).days()))
    gone = {p.uri for p in world.posts if p.is_deleted or p.account_status == "deleted"}
    streamed = [row for row in rows_of(live, received, columns) if row[0] not in gone]
    with reachable(archive_of(world), tmp_path / "archived") as settings:
        land(settings)
        archived = rows_of(settings, DAY, columns)
    assert len(archived) > 500
    assert [row[:4] for row in archived] == [row[:4] for row in streamed]
    assert [row[4:] for row in archived] == [row[4:] for row in streamed]


def test_what_was_taken_in_whole_is_of_the_day_that_it_was_written_on(
    world: World, tmp_path: Path
) -> None:
    before = [post for post in world.posts if not post.in_firehose and not post.is_deleted]
    archive = archive_of(world)
    with reachable(archive, tmp_path) as settings:
        land(settings, YESTERDAY)
        fetched = archive.served
        there = {(p.uri, p.cid) for p in before if p.created_at.date() == YESTERDAY}
        told = compacted(settings, YESTERDAY).told(StreamDetails).archive
        kept_apart = told.undatable if told else 0
        found = set(rows_of(settings, YESTERDAY))
        assert found <= there
        assert len(found) + kept_apart == len(there) > 10
        day_before = land(settings, YESTERDAY - timedelta(days=1))
    assert day_before.rows["post"] > 10
    assert archive.served == fetched  # the second day is read from what is here


def test_a_beginning_that_is_a_part_of_a_block_is_looked_through(
    world: World, tmp_path: Path
) -> None:
    archive = archive_of(world, events_a_block=4_096, blocks_a_segment=64)
    with reachable(archive, tmp_path) as settings:
        assert land(settings, YESTERDAY).rows["post"] > 10


def test_a_partition_says_where_it_is_from(world: World, tmp_path: Path) -> None:
    with reachable(archive_of(world), tmp_path) as settings:
        land(settings, YESTERDAY)
        told = compacted(settings, YESTERDAY).told(StreamDetails).archive
        landed = rows_of(settings, YESTERDAY, "dated_by, count(*)", "true GROUP BY dated_by, uri")
    assert told
    assert told.survivors_only
    assert told.host == settings.archive_url.removeprefix("http://") if settings.archive_url else ""
    assert told.dated_by == {"record_key": len(landed)}
    assert "survivors only" in next(iter(told.lines()))


NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
OLD = datetime(2024, 11, 5, 15, tzinfo=UTC)


def post_row(
    seq: int,
    did: str = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa",
    *,
    witnessed: datetime = NOON,
    key: datetime | str = OLD,
    rev: datetime = NOON - timedelta(days=2),
    created: datetime | str = OLD,
    imported: datetime | None = None,
    kind: int = CREATE,
) -> ArchiveRow:
    written = created if isinstance(created, str) else created.isoformat()
    record = {"$type": POST, "text": f"post {seq}", "createdAt": written}
    return ArchiveRow(
        seq=seq,
        witnessed_at=micros_of(witnessed),
        kind=kind,
        did=did,
        indexed_at=micros_of(imported) if imported else 0,
        collection=POST,
        rkey=key if isinstance(key, str) else tid(micros_of(key) << 10 | seq),
        rev=tid(micros_of(rev) << 10),
        payload=bytes(encode_dag_cbor(record)),
    )


def live_row(seq: int, **changes: Any) -> ArchiveRow:
    at = NOON + timedelta(seconds=seq)
    given = {"witnessed": at, "key": at, "rev": at, "created": at, **changes}
    return post_row(seq, "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb", **given)


def sync_row(seq: int, did: str) -> ArchiveRow:
    return ArchiveRow(seq, micros_of(NOON), SYNC, did, payload=b"\xa0")


def dated(rows: list[ArchiveRow], folder: Path, day: date) -> tuple[dict[str, str], Archived]:
    """How each post of `day` is dated, by its text, and what the day says of its source."""
    archive = Archive(lambda: rows, is_compacted=False)
    with reachable(archive, folder) as settings:
        land(settings, day)
        told = compacted(settings, day).told(StreamDetails).archive
        assert told
        return dict(rows_of(settings, day, "record.text, dated_by")), told


AHEAD = NOON + timedelta(days=30)


@pytest.mark.parametrize(
    ("row", "day", "how"),
    [
        (post_row(1), OLD.date(), "record_key"),
        (post_row(1, imported=OLD, created=NOON), OLD.date(), "indexed_at"),
        (post_row(1, imported=OLD, key="self"), OLD.date(), "indexed_at"),
        (live_row(1), DAY, "witnessed_at"),
        (live_row(1, created=OLD), DAY, "witnessed_at"),
        (live_row(1, created="yesterday or so"), DAY, "witnessed_at"),
        (live_row(1, key="not-a-clock"), DAY, "witnessed_at"),
    ],
)
def test_a_post_is_dated_by_what_tells_its_day(
    tmp_path: Path, row: ArchiveRow, day: date, how: str
) -> None:
    assert dated([row], tmp_path, day)[0] == {"post 1": how}


@pytest.mark.parametrize(
    "row",
    [
        post_row(1, created=NOON),
        post_row(1, created="yesterday or so"),
        post_row(1, key="not-a-clock"),
        post_row(1, key=AHEAD, created=AHEAD),
    ],
)
def test_a_post_whose_day_cannot_be_known_is_in_none_and_told(
    tmp_path: Path, row: ArchiveRow
) -> None:
    kept = 0
    for number, day in enumerate((OLD.date(), DAY, AHEAD.date() - timedelta(days=22))):
        try:
            found, told = dated([row, live_row(2)], tmp_path / str(number), day)
        except ArchiveEnds:
            continue
        assert "post 1" not in found
        kept = max(kept, told.undatable + told.undated)
    assert kept == 1


def test_a_repository_that_came_again_after_a_sync_is_not_of_that_day(tmp_path: Path) -> None:
    did = "did:plc:cccccccccccccccccccccccc"
    lives = [live_row(seq) for seq in range(1, 9)]
    again = [post_row(20 + seq, did, rev=NOON) for seq in range(3)]
    rows = [*lives, sync_row(19, did), *again]
    assert set(dated(rows, tmp_path / "a", DAY)[0].values()) == {"witnessed_at"}
    assert len(dated(rows, tmp_path / "b", DAY)[0]) == len(lives)


def test_older_posts_that_somebody_brings_along_are_of_the_day_on_which_they_came(
    tmp_path: Path,
) -> None:
    rows = [*map(live_row, range(1, 9)), *(live_row(seq, key=OLD, created=OLD) for seq in (9, 10))]
    assert len(dated(rows, tmp_path, DAY)[0]) == 10


@pytest.mark.parametrize(
    "faults",
    [HttpFaults(p_cut=0.2), HttpFaults(p_flip=0.1), HttpFaults(p429=0.2, retry_after=0)],
    ids=["cut", "wrong bytes", "429"],
)
def test_faults_of_the_host_cost_no_row(world: World, tmp_path: Path, faults: HttpFaults) -> None:
    archive = archive_of(world, faults=faults)
    with reachable(archive_of(world), tmp_path / "whole") as settings:
        land(settings)
        whole = rows_of(settings)
    with reachable(archive, tmp_path / "hit") as settings:
        land(settings)
        assert rows_of(settings) == whole


def test_what_was_fetched_before_a_quota_ran_out_is_not_fetched_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bsky_assets.bluesky.xrpc.ATTEMPTS", 1)
    plain = archive_of(world)
    with reachable(plain, tmp_path / "whole") as settings:
        land(settings)
        whole = rows_of(settings)
    archive = archive_of(world, quota=60_000)
    with reachable(archive, tmp_path / "cut") as settings:
        for _ in range(12):
            try:
                land(settings)
            except Unanswered:
                archive.quota = archive.served + 60_000
            else:
                break
        assert rows_of(settings) == whole
    assert archive.served <= 1.3 * plain.served


def test_a_segment_that_is_rewritten_meanwhile_is_planned_anew(
    world: World, tmp_path: Path
) -> None:
    archive = archive_of(world, is_compacted=False)
    told: list[str] = []

    def tell(line: str) -> None:
        is_first = not any("to fetch" in before for before in told)
        told.append(line)
        if "to fetch" in line and is_first:
            assert archive.compact() > 0

    with reachable(archive, tmp_path) as settings:
        ingest_day(settings, DAY, tell)
        found = {uri for uri, _ in rows_of(settings)}
    assert any("planning anew" in line for line in told)
    there = {p.uri for p in world.posts if not p.is_deleted and p.account_status != "deleted"}
    assert {p.uri for p in world.posts if p.in_firehose} & there <= found


def version_two(archive: Archive) -> None:
    first = archive.segments[0]
    data = first.data[:12] + b"\x02" + first.data[13:]
    archive.segments[0] = SealedSegment(0, first.blocks, first.frames, data, first.checksum)


def hostile(archive: Archive) -> None:
    frame = zstandard.ZstdCompressor().compress((4_000_000_000).to_bytes(4, "little"))
    first = archive.segments[0]
    frames = (frame, *first.frames[1:])
    archive.segments[0] = SealedSegment(0, first.blocks, frames, first.data, first.checksum)


@pytest.mark.parametrize(
    ("options", "fields", "change", "error", "said"),
    [
        ({"api_key": "right"}, {}, None, NoArchive, "BSKY_ARCHIVE_API_KEY"),
        ({"api_key": "right"}, {"archive_api_key": "wrong-key"}, None, NoArchive, "API_KEY"),
        ({}, {"archive_max_bytes": 99_000}, None, ArchiveBudget, "BSKY_ARCHIVE_MAX_BYTES"),
        ({}, {}, version_two, UnreadableArchive, "version 2"),
        ({}, {}, hostile, UnreadableArchive, "4,000,000,000 events"),
    ],
    ids=["no key", "wrong key", "budget", "version", "claim"],
)
def test_what_stands_in_the_way_is_told_in_one_line(
    world: World,
    tmp_path: Path,
    options: dict[str, Any],
    fields: dict[str, Any],
    change: Callable[[Archive], None] | None,
    error: type[UserError],
    said: str,
) -> None:
    archive = archive_of(world, **options)
    if change:
        change(archive)
    with (
        reachable(archive, tmp_path, **fields) as settings,
        pytest.raises(error, match=said) as told,
    ):
        land(settings)
    assert "\n" not in str(told.value)
    assert "wrong-key" not in str(told.value)


def test_a_day_after_the_archive_ends_is_told(world: World, tmp_path: Path) -> None:
    with (
        reachable(archive_of(world), tmp_path) as settings,
        pytest.raises(ArchiveEnds, match="ends at 2026-03-0"),
    ):
        land(settings, DAY + timedelta(days=3))


def test_without_an_archive_in_the_settings_the_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoArchive, match="BSKY_ARCHIVE_URL"):
        land(Settings(_env_file=None, data_dir=tmp_path))


def test_hostile_rows_cost_themselves_alone(tmp_path: Path) -> None:
    good = live_row(1)
    bad = [
        replace(live_row(2), did="no did"),
        replace(live_row(3), rkey=".."),
        replace(live_row(4), payload=b"\xff"),
        replace(live_row(5), payload=b""),
        replace(live_row(6), kind=ACCOUNT, payload=b"\xff"),
        replace(live_row(7), kind=9),
    ]
    with reachable(Archive(lambda: [good, *bad], is_compacted=False), tmp_path) as settings:
        landed = land(settings)
        assert len(rows_of(settings)) == 1
    assert landed.rows["quarantined"] == 5


def test_a_segment_that_nothing_is_wanted_of_is_read_as_nothing(tmp_path: Path) -> None:
    rows = [live_row(1), sync_row(2, "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"), live_row(3)]
    archive = Archive(lambda: rows, events_a_block=1, blocks_a_segment=1, is_compacted=False)
    with reachable(archive, tmp_path) as settings:
        for _ in range(2):
            land(settings)
            assert len(rows_of(settings)) == 2


def test_only_blocks_are_fetched_that_have_something_of_what_is_read(tmp_path: Path) -> None:
    others = [
        ArchiveRow(2, micros_of(NOON), IDENTITY, "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"),
        replace(live_row(3), collection="app.bsky.feed.like"),
    ]
    archive = Archive(lambda: [live_row(1), *others], events_a_block=1, is_compacted=False)
    with reachable(archive, tmp_path) as settings:
        land(settings)
        assert len(rows_of(settings)) == 1
    assert archive.served == len(archive.segments[0].frames[0])


def test_the_command_makes_a_past_day_and_its_export_says_of_what(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with reachable(archive_of(world), tmp_path / "data") as settings:
        variables = {
            "BSKY_ARCHIVE_URL": str(settings.archive_url),
            "BSKY_DATA_DIR": str(settings.data_dir),
            "BSKY_SYNC_TIMEZONE": "UTC",
        }
        command = ("materialize", "--day", str(YESTERDAY), "--from", "archive", "--select")
        select = 'key:"raw_firehose_posts" or key:"consolidated_posts"'
        status, _, told = run(monkeypatch, capsys, *command, select, **variables)
        assert status == 0, told
        archived = rows_of(settings, YESTERDAY)
    asked = ("query", "SELECT count(*) AS posts FROM consolidated_posts")
    assert run(monkeypatch, capsys, *asked, **variables)[1].split() == ["posts", str(len(archived))]
    written = ("export", "out", "--day", str(YESTERDAY), "--assets", "raw_firehose_posts")
    assert run(monkeypatch, capsys, *written, **variables)[0] == 0
    assert "survivors only" in Path("out/README.md").read_text()
    assert "survivors_only" in Path("out/provenance.json").read_text()
