"""A collector that is killed over and over, reading hosts that commit every fault.

Each round starts a collector in a process of its own, lets the sandbox's relay commit faults at
random while it reads, and ends it: mostly by `kill -9`, now and then by SIGTERM. In the end
what is stored is compared with what the sandbox knows to be true: every post that was sent is
there once, nothing else is, no segment is half-written, what was left out is told as a gap and
no gap is told where nothing was left out.
Usage: python -m testbed.chaos [--rounds 200] [--seed 0]; ends with one line of JSON, and with
status 1 if anything is wrong.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow.parquet as pq

from bsky_assets.bluesky import collector
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day, compact_labels_day
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.segments import Footer, Segments
from bsky_assets.storage.stretches import Gap
from bsky_sandbox.faults import Fault, StreamFaults
from bsky_sandbox.posts import POST, cid_of
from bsky_sandbox.server import Sandbox, Servers
from bsky_sandbox.world import World
from testbed import chaos_collector

FAULTS: dict[Fault, float] = {
    Fault.CLOSE: 0.004,
    Fault.ABORT: 0.004,
    Fault.STALL: 0.001,
    Fault.SILENCE: 0.001,
    Fault.CONSUMER_TOO_SLOW: 0.002,
    Fault.GARBAGE: 0.01,
    Fault.TRUNCATED: 0.005,
    Fault.CORRUPT: 0.005,
    Fault.OVERSIZED: 0.0005,
    Fault.DUPLICATE: 0.01,
    Fault.SKIP: 0.004,
    Fault.RENUMBER: 0.0005,
}
"""How often each strikes at any one event of a relay. Damaged events follow whole."""

REFUSALS = (429, 500, 503)
LONGEST_ROUND = 1.5
LONGEST_START = 20.0
SHARE_OF_CONNECTED = 0.9
"""Of rounds in which the collector gets as far as being connected, before its time runs."""
SHARE_OF_KILLS = 0.9
EVENTS_A_ROUND = 250
NEEDED_SECONDS = 120


@dataclass
class Findings:
    """What was compared, and what is wrong."""

    wrong: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def expect(self, is_right: bool, what: str) -> None:
        if not is_right:
            self.wrong.append(what)


def run(
    rounds: int, seed: int, folder: Path, spoil: Callable[[Settings], None] | None = None
) -> Findings:
    """Everything, in `folder`; `spoil` may do harm before what is stored is looked at."""
    rng = random.Random(seed)
    today = datetime.now(UTC).date()
    world = World.generate(seed, day=today, events=max(rounds, 1) * EVENTS_A_ROUND)
    servers = Servers.of(world, rate=EVENTS_A_ROUND)
    with chaos_collector.hurried(), Sandbox(world, servers) as sandbox:
        settings = Settings(
            data_dir=folder, relay_url=sandbox.relay_url, labeler_url=sandbox.labeler_url
        )
        begin(settings)
        kills = torment(settings, servers, rounds, rng)
        servers.relay.stream.injector.faults = StreamFaults()
        servers.labeler.stream.injector.faults = StreamFaults()
        finish(settings)
    if spoil:
        spoil(settings)
    findings = compare(settings, world, servers)
    findings.counts.update(kills)
    return findings


def begin(settings: Settings) -> None:
    """Have a first segment: what happened before that is nobody's to collect."""
    collector.sync_firehose(settings, Limits(max_events=1))
    collector.sync_labels(settings, Limits(max_events=1))


def torment(
    settings: Settings, servers: Servers, rounds: int, rng: random.Random
) -> dict[str, int]:
    """Start, disturb and end a collector, so many times; returns how it was ended how often."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["testbed.chaos_collector"])
    ends = Counter(rounds=rounds)
    for number in range(rounds):
        refusals = rng.choices((*REFUSALS, None), k=2)
        servers.relay.stream.injector.faults = StreamFaults(
            seed=rng.getrandbits(32),
            probability=FAULTS,
            whole_follows=True,
            refusals=tuple(status for status in refusals if status),
        )
        servers.labeler.stream.injector.faults = StreamFaults(
            seed=number, probability={Fault.CLOSE: 0.01, Fault.ABORT: 0.01, Fault.DUPLICATE: 0.02}
        )
        before = servers.relay.stream.connections
        process = context.Process(target=chaos_collector.collect, args=(settings,))
        process.start()
        if rng.random() < SHARE_OF_CONNECTED:
            wait_for_connection(servers, before)
        time.sleep(rng.uniform(0.05, LONGEST_ROUND))
        end = signal.SIGKILL if rng.random() < SHARE_OF_KILLS else signal.SIGTERM
        assert process.pid is not None
        os.kill(process.pid, end)
        process.join()
        ends[end.name] += 1
        if sys.stderr.isatty():
            print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr)
    return dict(ends)


def wait_for_connection(servers: Servers, before: int) -> None:
    """Wait for a collector that takes its time to start, but not for ever."""
    deadline = time.monotonic() + LONGEST_START
    while servers.relay.stream.connections == before and time.monotonic() < deadline:
        time.sleep(0.02)


def finish(settings: Settings) -> None:
    """Read what is left, with nothing in the way."""
    limits = Limits(max_seconds=NEEDED_SECONDS)
    collector.sync_firehose(settings, limits, idle_seconds=2)
    collector.sync_labels(settings, limits, idle_seconds=2)


def compare(settings: Settings, world: World, servers: Servers) -> Findings:
    """What is stored, against what is true."""
    findings = Findings()
    firehose, labels = collector.firehose_segments(settings), collector.label_segments(settings)
    footers = list(read_footers(firehose, findings)) + list(read_footers(labels, findings))
    posts, stored_labels = compact(settings, firehose, labels)
    places = Places(world, servers)
    compare_posts(findings, posts, places)
    compare_gaps(findings, [f for f in footers if f.stream == firehose.stream], places, posts)
    truth = world.truth()
    made = {(row["src"], row["uri"], row["val"], row["neg"]) for row in truth["labels"]}
    found = {(row["src"], row["uri"], row["val"], row["neg"]) for row in stored_labels}
    findings.expect(made <= found, f"{len(made - found)} labels are lost")
    findings.counts |= {
        "events": len(world.events),
        "posts": len(posts),
        "segments": len(footers),
        "labels": len(made),
        "events_left_out": len(places.left_out),
        **{f"fault_{fault}": n for fault, n in faults_of(servers).items()},
    }
    return findings


def read_footers(segments: Segments, findings: Findings) -> Iterator[Footer]:
    for day in segments.days():
        for segment in segments.of_day(day):
            try:
                pq.ParquetFile(segment.path).read()
                yield segment.footer()
            except Exception as error:
                findings.wrong.append(f"{segment.path.name} cannot be read: {error}")


def compact(
    settings: Settings, firehose: Segments, labels: Segments
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    lake = Lake(settings.data_dir / "lake")
    rows: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    with duckdb.connect() as con:
        for day in firehose.days():
            posts, _ = compact_firehose_day(con, lake, firehose, day)
            standing = compact_labels_day(con, lake, labels, firehose, day)
            for found, partition in zip(rows, (posts, standing), strict=True):
                found.extend(pq.ParquetFile(partition.path).read().to_pylist())
    return rows


def faults_of(servers: Servers) -> Counter[str]:
    return Counter(str(one.fault) for one in servers.relay.stream.injector.injected)


class Places:
    """Which event is which, whatever numbers it had, and which were never sent."""

    def __init__(self, world: World, servers: Servers) -> None:
        stream = servers.relay.stream
        self._first = world.events[0].seq
        self.count = len(world.events)
        self.shifts = [0]
        self.left_out: set[int] = set()
        for one in stream.injector.injected:
            if one.fault is Fault.RENUMBER:
                self.shifts.append(self.shifts[-1] + int(one.amount))
            elif one.fault is Fault.SKIP:
                self.left_out.update(range(one.position, one.position + len(one.lost)))
        self.versions: dict[str, list[tuple[int, str]]] = {}
        """By URI: the events that put a post there, and its CID then."""
        for place, event in enumerate(world.events):
            for op in event.ops:
                if op.collection == POST and op.record is not None:
                    version = (place, cid_of(op.record))
                    self.versions.setdefault(f"at://{event.did}/{op.path}", []).append(version)

    def of(self, number: int) -> tuple[int, int]:
        """The place of the event with `number`, and how numbers were shifted then."""
        for shift in self.shifts:
            place = number - self._first - shift
            if 0 <= place < self.count:
                return place, shift
        raise LookupError(number)


def compare_posts(findings: Findings, posts: list[dict[str, Any]], places: Places) -> None:
    stored = {post["uri"]: post["cid"] for post in posts}
    findings.expect(len(stored) == len(posts), f"{len(posts) - len(stored)} posts are doubled")
    for uri, versions in places.versions.items():
        sent = [cid for place, cid in versions if place not in places.left_out]
        if sent:
            findings.expect(uri in stored, f"{uri} is lost")
        if sent and versions[-1][1] == sent[-1]:
            findings.expect(stored.get(uri) == sent[-1], f"{uri} is not at its last version")
    unknown = stored.keys() - places.versions.keys()
    findings.expect(not unknown, f"{len(unknown)} posts are of nobody")


def compare_gaps(
    findings: Findings, footers: list[Footer], places: Places, posts: list[dict[str, Any]]
) -> None:
    covered: set[int] = set()
    passed_over: set[int] = set()
    for footer in footers:
        for stretch in footer.stretches:
            (first, shift), (last, other) = places.of(stretch.first), places.of(stretch.last)
            findings.expect(shift == other, f"{stretch} is of two numberings")
            kept = passed_over if "passed over" in footer.events else covered
            kept.update(range(first, last + 1))
    told: set[int] = set()
    gaps = [gap for footer in footers for gap in footer.gaps]
    for gap in gaps:
        told |= explained(findings, gap, places)
    first = min(covered, default=0)
    missing = set(range(first, places.count)) - covered - passed_over
    findings.expect(missing <= told, f"{len(missing - told)} events are missing and not told of")
    stored = {post["uri"] for post in posts}
    for uri, versions in places.versions.items():
        if any(place in covered for place, _ in versions):
            findings.expect(uri in stored, f"{uri} is in a stretch and not stored")
    findings.counts |= {"gaps": len(gaps), "events_missing": len(missing)}


def explained(findings: Findings, gap: Gap, places: Places) -> set[int]:
    """The events that a gap says are missing; wrong if it is not so."""
    if gap.after is None or gap.before is None:
        findings.wrong.append(f"{gap} is open")
        return set()
    (after, shift), (before, other) = places.of(gap.after), places.of(gap.before)
    between = set(range(after + 1, before))
    if shift == other:
        findings.expect(between <= places.left_out, f"{gap} is invented")
        findings.expect(bool(between), f"{gap} is empty")
    return between & places.left_out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        findings = run(arguments.rounds, arguments.seed, Path(folder))
    for wrong in findings.wrong[:20]:
        print(wrong, file=sys.stderr)
    result = {
        "name": "chaos",
        "wrong": len(findings.wrong),
        "seconds": round(time.monotonic() - began, 1),
        **findings.counts,
    }
    print(json.dumps(result))
    sys.exit(1 if findings.wrong else 0)


if __name__ == "__main__":
    main()
