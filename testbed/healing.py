"""Days healed over and over, by a process that is killed in the middle.

Each round reads a relay that withholds a twentieth of its events and drops connections, with an
archive and repositories beside it. A healing is begun in a process of its own and ended by
`kill -9` at random, and another goes on. In the end every post of the stretch that survives is to
be there once, what is gone is counted, no gap is told to be healed that has a post missing, and no
more was fetched than 1.3 times what one undisturbed healing fetches.
Usage: python -m testbed.healing [--rounds 200] [--seed 0]; ends with one line of JSON, and with
status 1 if anything is wrong.
"""

import argparse
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import TemporaryDirectory

import duckdb

from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.healing import heal_day
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import StreamDetails
from bsky_assets.storage.healing import Healing
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import select_rows
from bsky_sandbox.archive import Archive
from bsky_sandbox.faults import Fault, StreamFaults
from bsky_sandbox.posts import POST
from bsky_sandbox.server import Sandbox, Servers, history_of
from bsky_sandbox.world import World

DAY = date(2026, 3, 8)
EVENTS = 300
WITHHELD = {Fault.SKIP: 0.01, Fault.ABORT: 0.005}
"""Five events are left out at a time."""
LOOK_SECONDS = 0.002
MOST = 1.3


@dataclass
class Figures:
    """What came of all rounds; posts, but for the first three and the bytes."""

    rounds: int = 0
    killed: int = 0
    gaps: int = 0
    not_healed: int = 0
    """Gaps that stay, and say why."""
    lost: int = 0
    """That were withheld and survive."""
    missing: int = 0
    """Of these, in the end."""
    doubled: int = 0
    falsely_healed: int = 0
    """Gaps told to be healed of which a surviving post is missing."""
    gone: int = 0
    """That were withheld and deleted since."""
    gone_counted: int = 0
    fetched: int = 0
    undisturbed: int = 0
    """Bytes that the same healing fetches where nobody kills it."""

    @property
    def is_right(self) -> bool:
        """Whether it is as it is to be."""
        wrong = self.missing or self.doubled or self.falsely_healed
        is_counted = self.gone == self.gone_counted
        return not wrong and is_counted and self.fetched <= MOST * self.undisturbed


@contextmanager
def _served(seed: int) -> Iterator[Sandbox]:
    world = World.generate(seed, day=DAY, events=EVENTS)
    archive = Archive(lambda: history_of(world).rows(), events_a_block=16, blocks_a_segment=2)
    servers = replace(Servers.of(world), archive=archive)
    servers.relay.stream.injector.faults = StreamFaults(seed=seed, probability=WITHHELD)
    with Sandbox(world, servers) as sandbox:
        yield sandbox


def _heal(settings: Settings, day: date) -> None:
    with duckdb.connect() as con:
        heal_day(con, settings, day, lambda _: None)


def _end_of(settings: Settings, day: date) -> tuple[list[str], StreamDetails]:
    with duckdb.connect() as con:
        segments = firehose_segments(settings)
        partition, _ = compact_firehose_day(con, Lake.of(settings), segments, day)
        rows = select_rows(RawFirehosePost, [partition])
        uris = [uri for (uri,) in con.sql(f"SELECT uri FROM ({rows})").fetchall()]
    return uris, partition.told(StreamDetails)


def _begun_and_killed(settings: Settings, day: date, archive: Archive, served: float) -> bool:
    """Begin a healing and kill it once the archive has served so many bytes, if it still runs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_heal, args=(settings, day))
    process.start()
    while process.is_alive() and archive.served < served:
        time.sleep(LOOK_SECONDS)
    is_killed = process.is_alive()
    process.kill()
    process.join()
    return is_killed


def one_round(seed: int, folder: Path, figures: Figures) -> None:
    """Read, heal and hold against what is true."""
    rng = random.Random(seed)
    with _served(seed) as sandbox:
        settings = Settings(
            _env_file=None,
            data_dir=folder / "killed",
            sync_timezone="UTC",
            relay_url=sandbox.relay_url,
            archive_url=sandbox.archive_url,
            plc_url=sandbox.plc_url,
        )
        sync_firehose(settings, Limits(max_seconds=60), idle_seconds=0.1)
        (day,) = firehose_segments(settings).days()
        before, told = _end_of(settings, day)
        copytree(folder / "killed", folder / "calm")
        archive = sandbox.servers.archive
        _heal(settings.model_copy(update={"data_dir": folder / "calm"}), day)
        archive_bytes, archive.served = archive.served, 0
        figures.undisturbed += archive_bytes
        served = rng.random() * archive_bytes
        figures.killed += _begun_and_killed(settings, day, archive, served)
        _heal(settings, day)
        figures.fetched += archive.served
        after, healed = _end_of(settings, day)
        figures.rounds += 1
        _compare(sandbox.world, {*before}, after, told, healed.healing, figures)


def _compare(
    world: World,
    before: set[str],
    after: list[str],
    told: StreamDetails,
    healed: tuple[Healing, ...],
    figures: Figures,
) -> None:
    stretches = told.completeness.stretches if told.completeness else []
    first, last = min(one.first for one in stretches), max(one.last for one in stretches)
    made = {
        f"at://{event.did}/{op.path}": event.seq
        for event in world.events
        if first < event.seq < last
        for op in event.ops
        if op.action == "create" and op.collection == POST
    }
    deleted = {post.uri for post in world.posts if post.is_deleted}
    ended = {post.uri for post in world.posts if post.account_status == "deleted"}
    lost = {uri for uri in made if uri not in before}
    there = {*after}
    missing = lost - deleted - ended - there
    figures.gaps += len(healed)
    figures.not_healed += sum(not one.is_healed for one in healed)
    figures.lost += len(lost - deleted - ended)
    figures.missing += len(missing)
    figures.doubled += len(after) - len(there)
    figures.gone += len(lost & deleted - ended)
    figures.gone_counted += sum(one.gone for one in healed)
    figures.falsely_healed += sum(
        any((one.after or 0) < made[uri] < (one.before or 0) for uri in missing)
        for one in healed
        if one.is_healed
    )


def run(rounds: int, seed: int, folder: Path) -> Figures:
    """What came of so many rounds."""
    figures = Figures()
    for number in range(rounds):
        one_round(seed * 10_000 + number, folder / str(number), figures)
        rmtree(folder / str(number))
    return figures


def main() -> None:
    """Run, and tell."""
    parser = argparse.ArgumentParser(prog="python -m testbed.healing")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        figures = run(asked.rounds, asked.seed, Path(folder))
    told = {"name": "healing", "seconds": round(time.monotonic() - began), **asdict(figures)}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.exit(not figures.is_right)


if __name__ == "__main__":
    main()
