"""The posts of a list of accounts, complete by their repositories."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from bsky_assets.bluesky.accounts.listed import UnusableList, read_list
from bsky_assets.bluesky.accounts.panel import land_panel
from bsky_assets.bluesky.archive.ingest import ingest_day
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets_tests.bluesky.archive.serving import DAY, archive_of, reachable, world_of
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.serving import served
from bsky_sandbox.repositories import Tampering
from bsky_sandbox.server import repositories_of


def partition_of(settings: Settings, day: date) -> Partition:
    with duckdb.connect() as con:
        return compact_firehose_day(con, Lake.of(settings), firehose_segments(settings), day)[0]


def uris(partition: Partition) -> list[str]:
    with duckdb.connect() as con:
        rows = select_rows(RawFirehosePost, [partition])
        return sorted(uri for (uri,) in con.sql(f"SELECT uri FROM ({rows})").fetchall())


def test_a_panel_has_every_post_of_its_accounts_and_no_other(tmp_path: Path) -> None:
    world = world_of(1_500)
    repositories = repositories_of(world)
    active = [
        one.did
        for one in world.accounts
        if one.status == "active" and one.did.startswith("did:plc")
    ]
    dids, (bad, *_) = active[:60], active[60:]
    repositories.tampering = {bad: Tampering.SIGNATURE}
    yesterday = DAY - timedelta(days=1)
    with served(repositories.app()) as url, duckdb.connect() as con:
        settings = Settings(_env_file=None, data_dir=tmp_path, sync_timezone="UTC", plc_url=url)
        days = [yesterday, DAY]
        panel = land_panel(con, settings, [*dids, bad], days, lambda _: None)
        once = {day: uris(partition_of(settings, day)) for day in days}
        again = land_panel(con, settings, [*dids, bad], days, lambda _: None)
        assert {day: uris(partition_of(settings, day)) for day in days} == once
        told = partition_of(settings, DAY).told(StreamDetails).archive
    there = [post for post in world.posts if post.did in dids and not post.is_deleted]
    expected = sorted(post.uri for post in there if post.in_firehose)
    assert told
    assert told.dated_by == {"record_key": len(once[DAY])}
    assert len(expected) > 30
    assert [uri for uri in once[DAY] if uri in set(expected)] == once[DAY]
    assert len(once[DAY]) + told.undatable == len(expected)
    assert len(once[yesterday]) > 0
    assert {uri.split("/")[2] for day in days for uri in once[day]} <= set(dids)
    assert panel.posts[DAY] == len(once[DAY])
    assert not sum(again.posts.values())
    assert panel.lacking.keys() == {bad}
    assert (told.accounts, told.without_repository) == (61, 1)
    assert "list of 61 accounts alone, 1 of which could not be read" in " ".join(told.lines())


def test_of_an_archive_only_blocks_are_fetched_that_may_have_something_of_the_accounts(
    tmp_path: Path,
) -> None:
    world = world_of(1_500)
    archive = archive_of(world, events_a_block=16)
    whole, fetched = {}, {}
    nobody = [f"did:plc:{number:024}" for number in range(10_000)]
    some = [one.did for one in world.accounts if one.did.startswith("did:plc")][::60]
    for name, dids in (("whole", []), ("some", [*nobody, *some])):
        archive.served = 0
        with reachable(archive, tmp_path / name) as settings:
            ingest_day(settings, DAY, lambda _: None, dids)
            partition = partition_of(settings, DAY)
        whole[name], fetched[name] = uris(partition), archive.served
    of_them = [uri for uri in whole["whole"] if uri.split("/")[2] in some]
    assert whole["some"] == of_them != []
    assert fetched["some"] < 0.7 * fetched["whole"]
    told = partition.told(StreamDetails).archive
    assert told
    assert "list of 10,0" in " ".join(told.lines())


def test_a_bad_line_costs_itself_and_is_told(tmp_path: Path) -> None:
    path, told = tmp_path / "accounts.txt", []
    path.write_bytes(
        b"\xef\xbb\xbfdid:plc:a\n\n# a comment\nalice.test\ndid:plc:b # Bea\r\ndid:plc:a\n"
        b"\xff\x1b[31m" + b"x" * 5_000
    )
    assert read_list(path, told.append) == ["did:plc:a", "did:plc:b"]
    assert len(told) == 2
    assert "line 4: 'alice.test' is no DID" in told[0]
    assert len(told[1]) < 250
    assert "\x1b" not in told[1]


@pytest.mark.parametrize("content", [None, b"", b"nobody\n"])
def test_a_list_of_nobody_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "accounts.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnusableList, match=r"accounts\.txt"):
        read_list(path, lambda _: None)


@pytest.mark.parametrize(
    "arguments",
    [["--from", "repos"], ["--dids", "accounts.txt"]],
    ids=["no list", "no source"],
)
def test_a_list_goes_with_its_source(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    variables = {"BSKY_DATA_DIR": str(tmp_path)}
    status, _, _ = run(monkeypatch, capsys, "materialize", *arguments, **variables)
    assert status == 2
