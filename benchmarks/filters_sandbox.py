"""Precision and recall of each filter on sandbox days, against what the sandbox knows to be true.

A filter is measured on the posts that reach it: what an earlier filter stops, it never sees.
Usage: python -m benchmarks.filters_sandbox [SEED …]
"""

import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from benchmarks.measuring import report
from bsky_assets.bluesky.records import read_post_record
from bsky_assets.contracts import ConsolidatedPost, RawModerationLabel, Row, arrow_schema
from bsky_assets.filters.chain import filter_day
from bsky_assets.filters.measuring.measures import Confusion
from bsky_assets.filters.registry import chain
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import synctimestamp
from bsky_sandbox.world import World

DAY = date(2026, 3, 8)
END = datetime(2026, 3, 8, 23, 59, 59, tzinfo=UTC)
EVENTS = 40_000
FILTERS = tuple(one.name for one in chain())
SHOWN = 4


def consolidated(world: World) -> list[dict[str, Any]]:
    """The world's posts as the chain sees them; those of the firehose have no handle."""
    shown = {post.uri for post in world.feed_items}
    return [_consolidated(post, post.uri in shown) for post in world.posts]


def _consolidated(post: Any, in_feed: bool) -> dict[str, Any]:
    indexed_at = datetime.fromisoformat(str(post.indexed_at))
    return {
        "uri": post.uri,
        "cid": post.cid,
        "indexed_at": indexed_at,
        "author": {
            "did": post.did,
            "handle": post.handle if in_feed else None,
            "display_name": post.display_name if in_feed else None,
        },
        "metadata": {
            "synctimestamp": synctimestamp(indexed_at),
            "source": "most_liked" if in_feed else "firehose",
            "source_feeds": [],
            "processed_timestamp": indexed_at,
        },
        "record": read_post_record(post.record),
        "applied_labels": [],
    }


def labels(world: World) -> list[dict[str, Any]]:
    """The labeler's stream, and the self-labels on profiles."""
    truth = world.truth()
    before = [
        {"src": did, "uri": f"at://{did}/app.bsky.actor.profile/self", "val": value["val"]}
        for did, profile in world.profiles_before
        for value in profile.get("labels", {}).get("values", ())
    ]
    return [
        {
            "src": label["src"],
            "uri": label["uri"],
            "val": label["val"],
            "neg": label.get("neg", False),
            "cts": datetime.fromisoformat(label.get("cts", "2026-01-01T00:00:00Z")),
            "exp": datetime.fromisoformat(label["exp"]) if label.get("exp") else None,
            "origin": "sandbox",
            "seq": label.get("seq"),
            "received_at": END,
        }
        for label in [*truth["labels"], *truth["self_labels"], *before]
    ]


def table(row: type[Row], rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(row))


def verdicts(world: World) -> dict[str, tuple[Any, ...]]:
    """For each post the reason, and the verdict of each filter."""
    with TemporaryDirectory() as folder, duckdb.connect() as con:
        lake = Lake(Path(folder, "lake"))
        lake.write(ConsolidatedPost, DAY, table(ConsolidatedPost, consolidated(world)))
        lake.write(RawModerationLabel, DAY, table(RawModerationLabel, labels(world)))
        settings = Settings(data_dir=Path(folder), trusted_labelers=(world.labeler_did,))
        partition = filter_day(con, lake, DAY, settings)
        columns = ", ".join(f"is_{name}" for name in FILTERS)
        rows = con.execute(f"SELECT uri, filter_reason, {columns} FROM '{partition.path}'")
        return {row[0]: row[1:] for row in rows.fetchall()}


def expected(post: Any, name: str) -> bool:
    """Whether a filter should stop a post."""
    return post.language != "en" if name == "english" else bool(getattr(post, f"is_{name}"))


def main() -> None:
    judged: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    mistakes: dict[str, list[str]] = defaultdict(list)
    for seed in [int(argument) for argument in sys.argv[1:]] or [31, 32, 33]:
        world = World.generate(seed, day=DAY, events=EVENTS, now=END + timedelta(seconds=1))
        found = verdicts(world)
        for post in world.posts:
            reason, *said = found[post.uri]
            for name, verdict in zip(FILTERS, said, strict=True):
                if verdict is None:
                    continue
                should, did = expected(post, name), bool(verdict) != (name == "english")
                judged[name].append((should, did))
                if should != did:
                    kind = f"{name}: {str(reason).split(' ')[0] if did else 'missed'}"
                    mistakes[kind].append(str(post.record.get("text")))
    measured = {name: Confusion.count(*zip(*judged[name], strict=True)) for name in FILTERS}
    for name, one in measured.items():
        print(
            f"{name:12} reached {one.texts:7,}, to stop "
            f"{one.true_positives + one.false_negatives:6,}, "
            f"precision {one.precision or 0:.3f}, recall {one.recall or 0:.3f}"
        )
    for kind, count in Counter(
        {kind: len(texts) for kind, texts in mistakes.items()}
    ).most_common():
        print(f"{count:5} {kind}")
        for text in mistakes[kind][:SHOWN]:
            print(f"        {text[:110]!r}")
    figures = {name: one.figures() for name, one in measured.items()}
    report("filters_sandbox", **figures)


if __name__ == "__main__":
    main()
