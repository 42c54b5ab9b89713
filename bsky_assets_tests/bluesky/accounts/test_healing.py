"""What did not come of single accounts, and what their repositories or an archive make of it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from itertools import cycle
from pathlib import Path
from shutil import copytree
from typing import Any

import duckdb
import pytest

from bsky_assets.bluesky.accounts.healing import heal_accounts
from bsky_assets.bluesky.archive.fetching import ArchiveBudget
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.healing import AccountHealing
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets_tests.bluesky.archive.serving import archive_of, world_of
from bsky_assets_tests.sandbox.streams import cid_of_record
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.serving import served
from bsky_sandbox.archive import Archive
from bsky_sandbox.faults import Fault, StreamFaults
from bsky_sandbox.relay import Relay
from bsky_sandbox.repositories import Repositories, Tampering
from bsky_sandbox.server import repositories_of
from bsky_sandbox.world import Event, World

POST = "app.bsky.feed.post"


@pytest.fixture(scope="module")
def world() -> World:
    return world_of(1_200)


@pytest.fixture(scope="module")
def withheld(world: World) -> dict[int, set[str]]:
    """By number: commits that the relay never had, of accounts that it has an earlier and a later
    one of; with the posts in each."""
    events = [event for event in world.events if event.kind == "commit"]
    touched = {
        (event.did, op.path) for event in events for op in event.ops if op.action != "create"
    }
    first = {event.did: event.seq for event in reversed(events)}
    last = {event.did: event.seq for event in events}
    fit = [
        event
        for event in events
        if first[event.did] < event.seq < last[event.did]
        and any(op.collection == POST for op in event.ops)
        and not any((event.did, op.path) in touched for op in event.ops)
    ]
    return {
        event.seq: {f"at://{event.did}/{op.path}" for op in event.ops if op.collection == POST}
        for event in fit[::4]
    }


@pytest.fixture(scope="module")
def stream(
    world: World, withheld: dict[int, set[str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A data directory with what came of a relay that lost commits, and numbers on as if not."""
    begin = world.events[0].seq
    left: list[Event] = [event for event in world.events if event.seq not in withheld]
    events = [replace(event, seq=begin + at) for at, event in enumerate(left)]
    records = [(did, path, cid_of_record(record)) for did, path, record in world.records_before()]
    faults = StreamFaults(seed=2, probability={Fault.TOO_BIG: 0.01})
    folder = tmp_path_factory.mktemp("stream")
    with served(Relay(events, records, faults=faults).app()) as url:
        settings = settings_of(folder, relay_url=url.replace("http", "ws"))
        sync_firehose(settings, Limits(max_seconds=60), idle_seconds=0.1)
    return folder


def settings_of(folder: Path, **fields: Any) -> Settings:
    return Settings(_env_file=None, data_dir=folder, sync_timezone="UTC", **fields)


@dataclass
class Collected:
    """What came of the stream, and what is beside it."""

    settings: Settings
    day: date
    repositories: Repositories

    def told(self) -> StreamDetails:
        with duckdb.connect() as con:
            segments = firehose_segments(self.settings)
            partition, _ = compact_firehose_day(con, Lake.of(self.settings), segments, self.day)
        return partition.told(StreamDetails)

    def uris(self) -> set[str]:
        self.told()
        with duckdb.connect() as con:
            lake = Lake.of(self.settings)
            rows = select_rows(RawFirehosePost, [lake.current(RawFirehosePost, self.day)])
            found = [uri for (uri,) in con.sql(f"SELECT uri FROM ({rows})").fetchall()]
        assert len(found) == len(set(found))
        return set(found)

    def heal(self) -> list[AccountHealing]:
        with duckdb.connect() as con:
            return heal_accounts(con, self.settings, self.day, lambda _: None)


@contextmanager
def beside(
    world: World, stream: Path, folder: Path, archive: Archive | None = None, **fields: Any
) -> Iterator[Collected]:
    """The stream, with repositories and perhaps an archive beside it."""
    copytree(stream, folder, dirs_exist_ok=True)
    repositories = repositories_of(world)
    with ExitStack() as stack:
        fields.setdefault("plc_url", stack.enter_context(served(repositories.app())))
        if archive:
            fields["archive_url"] = stack.enter_context(served(archive.app()))
        settings = settings_of(folder, **fields)
        (day,) = firehose_segments(settings).days()
        yield Collected(settings, day, repositories)


def there(world: World) -> set[str]:
    """Posts in repositories that are served."""
    active = {one.did for one in world.accounts if one.status == "active"}
    return {
        post.uri
        for post in world.posts
        if post.in_firehose and not post.is_deleted and post.did in active
    }


def test_whatever_survives_of_an_account_comes_from_its_repository(
    world: World, stream: Path, withheld: dict[int, set[str]], tmp_path: Path
) -> None:
    lost = set().union(*withheld.values())
    with beside(world, stream, tmp_path) as one:
        before, jumps = one.uris(), one.told().still.jump_count
        found = one.heal()
        after, told = one.uris(), one.told()
    assert len(lost & there(world)) > 10
    assert not lost & before
    assert jumps == len(found) == len(told.account_healing) > len(withheld)
    assert {each.way for each in found} == {"repository"}
    healed = {each.did for each in found if each.is_healed}
    assert {uri for uri in there(world) if uri.split("/")[2] in healed} <= after
    assert lost & there(world) <= after
    assert after - before <= there(world)
    assert sum(each.posts for each in found) == len(after - before) > len(lost & there(world))
    left = [each for each in found if not each.is_healed]
    assert told.still.jump_count == len(left)
    inactive = {account.did for account in world.accounts if account.status != "active"}
    assert {each.did for each in left} <= inactive | {
        each.did for each in left if each.did.startswith("did:web")
    }
    assert all(each.reason for each in left)


def test_a_repository_is_asked_for_once(world: World, stream: Path, tmp_path: Path) -> None:
    with beside(world, stream, tmp_path) as one:
        healed = {each.did for each in one.heal() if each.is_healed}
        served_bytes = one.repositories.served
        again = one.heal()
    assert healed
    assert not healed & {each.did for each in again}
    assert one.repositories.served == served_bytes


SAID = {
    Tampering.SIGNATURE: "not signed by the account's key",
    Tampering.BLOCK: "cannot be read",
    Tampering.TREE: "not whole",
    Tampering.OTHER: "another account's",
    Tampering.STALE: "not as far yet",
}


def test_a_repository_that_does_not_prove_itself_heals_nothing(
    world: World, stream: Path, tmp_path: Path
) -> None:
    with beside(world, stream, tmp_path) as one:
        before = one.uris()
        dids = sorted({jump.did for jump in one.told().still.jumps} & one.repositories.held.keys())
        active = {account.did for account in world.accounts if account.status == "active"}
        fit = [did for did in dids if did in active and did.startswith("did:plc")]
        tampering = dict(zip(fit, cycle(Tampering), strict=False))
        one.repositories.tampering = tampering
        found = one.heal()
        assert one.uris() == before
        one.repositories.tampering = {}
        again = one.heal()
    assert {*tampering.values()} == {*Tampering}
    assert not any(each.is_healed for each in found)
    for each in found:
        if each.did in tampering:
            assert SAID[tampering[each.did]] in str(each.reason)
    assert {each.did for each in again if each.is_healed} == {*tampering}


def test_an_archive_heals_accounts_only_where_it_has_posts_on_both_sides(
    world: World,
    stream: Path,
    withheld: dict[int, set[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bsky_assets.bluesky.xrpc.ATTEMPTS", 1)
    archive = archive_of(world)
    with beside(world, stream, tmp_path, archive, plc_url="http://127.0.0.1:9") as one:
        before = one.uris()
        found = one.heal()
        after = one.uris()
    lost = set().union(*withheld.values()) & there(world)
    healed = [each for each in found if each.is_healed]
    assert {each.way for each in found} == {"archive"}
    assert healed
    assert all(each.common_before and each.common_after for each in healed)
    assert lost <= after  # what it has comes, whether that is all or not
    assert after - before <= {post.uri for post in world.posts if not post.is_deleted}
    assert all(each.reason for each in found if not each.is_healed)
    assert sum(each.posts for each in found) == len(after - before)


def test_no_more_is_fetched_than_may_be_and_what_came_is_kept(
    world: World, stream: Path, tmp_path: Path
) -> None:
    with beside(world, stream, tmp_path, archive_max_bytes=2_000) as one:
        with pytest.raises(ArchiveBudget, match="BSKY_ARCHIVE_MAX_BYTES"):
            one.heal()
        more = one.settings.model_copy(update={"archive_max_bytes": 10**9})
        assert any(each.is_healed for each in replace(one, settings=more).heal())


def test_the_command_heals_accounts_and_tells(
    world: World,
    stream: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with beside(world, stream, tmp_path) as one:
        variables = {
            "BSKY_PLC_URL": one.settings.plc_url,
            "BSKY_DATA_DIR": str(tmp_path),
            "BSKY_SYNC_TIMEZONE": "UTC",
        }
        assert one.told().still.jumps
        status, printed, told = run(monkeypatch, capsys, "heal", **variables)
        assert status == 0, told
        assert "jumps of accounts healed" in printed
        shown = run(monkeypatch, capsys, "status", "--day", str(one.day), **variables)[1]
        assert "jumps of accounts healed" in shown
        dids = {each.did for each in one.told().account_healing if each.is_healed}
        assert dids
        assert not [did for did in dids if f"{did} went from" in shown]
