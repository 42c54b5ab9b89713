"""A kind of record is one declaration: all that follows from it, seen in a copy of the package."""

import csv
from datetime import date
from pathlib import Path

import pytest

from bsky_assets.bluesky.kinds import KINDS
from bsky_assets_tests.sandbox.streams import relay_of
from bsky_assets_tests.support.scratch_copy import PACKAGE, scratch_copy
from bsky_assets_tests.support.serving import served
from bsky_sandbox.world import World

pytestmark = pytest.mark.scenario

CONTRACT = '''
class RawRepost(Row):
    """A repost of a post, created on the network."""

    asset: ClassVar[str] = "raw_reposts"
    key: ClassVar[tuple[str, ...]] = ("uri",)
    arrival = Arrival(
        column="repost",
        counted_as="reposts",
        streams=(FIREHOSE,),
        same=("uri",),
        order=("seq", "relay", "uri"),
    )

    uri: str = Field(description="AT URI of the repost.")
    cid: str = Field(description="CID of the record, checked against its bytes.")
    author: str = Field(description="DID of who reposted.")
    subject: str = Field(description="AT URI of the post.")
    relay: str = Field(description="Host that sent it.")
    seq: int = Field(description="Its number in that host's stream.")
    rev: str = Field(description="Revision of the repository (a TID).")
    received_at: datetime = Field(description="When we received it.")


RAW: tuple[type[Row], ...] = (
    RawRepost,
'''
KIND = '''"""Reposts: `app.bsky.feed.repost`."""

import pyarrow as pa

from bsky_assets.bluesky.records import Unreadable
from bsky_assets.bluesky.rows import TableKind
from bsky_assets.contracts.raw import RawRepost


class Reposts(TableKind):
    """Each a row of `raw_reposts`."""

    collection = "app.bsky.feed.repost"
    row = RawRepost

    def check(self, record):
        if type(record["subject"]["uri"]) is not str:
            raise Unreadable("bad_field", "the record's subject has no URI")

    def columns(self, values, received):
        return {"subject": pa.array([record["subject"]["uri"] for record in values])}


KIND = Reposts()
'''
REPOST = "app.bsky.feed.repost"


def test_a_kind_of_record_is_a_contract_and_a_reader(tmp_path: Path) -> None:
    assert REPOST not in KINDS
    scratch = scratch_copy(tmp_path / "code")
    scratch.replace("contracts/raw.py", "RAW: tuple[type[Row], ...] = (\n", CONTRACT)
    (scratch.folder / PACKAGE.name / "bluesky/kinds/reposts.py").write_text(KIND)
    world = World.generate(5, day=date(2026, 3, 8), events=800)
    expected = sorted(reposts_of(world))
    with served(relay_of(world).app()) as url:
        variables = {
            "BSKY_RELAY_URL": url.replace("http", "ws"),
            "BSKY_DATA_DIR": str(tmp_path / "data"),
        }
        done = scratch.python("-m", PACKAGE.name, "sync", "firehose", **variables)
    assert done.returncode == 0, done.stderr
    assert f": {len(expected):,} reposts, " in " ".join(done.stderr.split())
    statement = "SELECT uri, author, subject, seq FROM raw_reposts ORDER BY uri"
    lines = scratch.command("query", statement, **variables).splitlines()
    assert list(csv.reader(lines))[1:] == expected


def reposts_of(world: World) -> list[list[str]]:
    """What there is to collect, by the world's own account."""
    return [
        [f"at://{event.did}/{op.path}", event.did, op.record["subject"]["uri"], str(event.seq)]
        for event in world.events
        for op in event.ops
        if op.collection == REPOST and op.record is not None
    ]
