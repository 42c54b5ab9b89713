"""Precision and recall of each filter on sandbox days, against what the sandbox knows to be true.

A filter is measured on the posts that reach it: what an earlier filter stops, it never sees.
Usage: python benchmarks/filters_sandbox.py [SEED …]
"""

import json
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from bsky_assets.bluesky.records import read_post_record
from bsky_assets.contracts import (
    ConsolidatedPost,
    FilteredPost,
    RawModerationLabel,
    Row,
    arrow_schema,
)
from bsky_assets.filters.chain import filter_day
from bsky_assets.filters.measures import Confusion
from bsky_assets.sandbox.world import World
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import synctimestamp

DAY = date(2026, 3, 8)
EVENTS = 40_000
FILTERS = ("english", "bot", "nsfw", "spam", "hate_speech")


def consolidated(world: World) -> list[dict[str, Any]]:
    """The world's posts as the chain sees them; those of the firehose have no handle."""
    shown = {post.uri for post in world.feed_items}
    rows = []
    for post in world.posts:
        in_feed = post.uri in shown
        indexed_at = datetime.fromisoformat(str(post.indexed_at))
        rows.append(
            {
                "uri": post.uri,
                "cid": post.cid,
                "indexed_at": indexed_at,
                "author": {
                    "did": post.did,
                    "handle": post.handle if in_feed else None,
                    "display_name": post.display_name if in_feed else None,
                    "avatar": None,
                },
                "metadata": {
                    "synctimestamp": synctimestamp(indexed_at),
                    "url": None,
                    "source": "most_liked" if in_feed else "firehose",
                    "source_feeds": [],
                    "processed_timestamp": indexed_at,
                },
                "record": read_post_record(post.record),
                "metrics": None,
                "applied_labels": [],
            }
        )
    return rows


def labels(world: World) -> list[dict[str, Any]]:
    """The labeler's stream, and the self-labels on profiles."""
    truth = world.truth()
    streamed = [(label, label["cts"], label["exp"], label["neg"]) for label in truth["labels"]]
    own = [(label, label["cts"], None, False) for label in truth["self_labels"]]
    profiles = [
        (
            {"src": did, "uri": f"at://{did}/app.bsky.actor.profile/self", "val": value["val"]},
            "2026-01-01T00:00:00Z",
            None,
            False,
        )
        for did, profile in world.profiles_before
        for value in profile.get("labels", {}).get("values", ())
    ]
    return [
        {
            "src": label["src"],
            "uri": label["uri"],
            "cid": None,
            "val": label["val"],
            "neg": neg,
            "cts": datetime.fromisoformat(cts),
            "exp": datetime.fromisoformat(exp) if exp else None,
            "origin": "sandbox",
            "seq": label.get("seq"),
            "received_at": datetime(2026, 3, 8, tzinfo=UTC),
        }
        for label, cts, exp, neg in [*streamed, *own, *profiles]
    ]


def table(row: type[Row], rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(row))


def expected(post: Any, name: str) -> bool:
    """Whether a filter should stop a post."""
    return post.language != "en" if name == "english" else bool(getattr(post, f"is_{name}"))


def main() -> None:
    total: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    wrong: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)
    for seed in [int(argument) for argument in sys.argv[1:]] or [11, 12, 13]:
        world = World.generate(
            seed,
            day=DAY,
            events=EVENTS,
            now=datetime(2026, 3, 9, tzinfo=UTC) - timedelta(seconds=1),
        )
        with TemporaryDirectory() as folder, duckdb.connect() as con:
            lake = Lake(Path(folder, "lake"))
            lake.write(ConsolidatedPost, DAY, table(ConsolidatedPost, consolidated(world)))
            lake.write(RawModerationLabel, DAY, table(RawModerationLabel, labels(world)))
            settings = Settings(data_dir=Path(folder), trusted_labelers=(world.labeler_did,))
            partition = filter_day(con, lake, DAY, settings)
            found = {
                row[0]: row
                for row in con.execute(
                    "SELECT uri, filter_reason, filtered_by_func, "
                    + ", ".join(f"is_{name}" for name in FILTERS)
                    + f" FROM '{partition.path}'"
                ).fetchall()
            }
        assert lake.current.__name__ and FilteredPost.asset == partition.dataset
        for post in world.posts:
            row = found[post.uri]
            for name, verdict in zip(FILTERS, row[3:], strict=True):
                if verdict is None:
                    continue
                stopped = bool(verdict) != (name == "english")
                should = expected(post, name)
                total[name].append((should, stopped))
                if should != stopped:
                    kind = (
                        f"{name} {'wrongly ' + str(row[1]).split(' ')[0] if stopped else 'missed'}"
                    )
                    wrong[kind] += 1
                    if len(examples[kind]) < 6:
                        examples[kind].append(str(post.record.get("text"))[:140])
    for name in FILTERS:
        one = Confusion.count(*zip(*total[name], strict=True))
        print(
            f"{name:12} reached {one.texts:7,} to stop {one.stopped_rightly + one.passed_wrongly:6,} "
            f"precision {one.precision or 0:.3f} recall {one.recall or 0:.3f}"
        )
    if "-v" in sys.argv or True:
        for kind, count in wrong.most_common():
            print(kind, count)
            for text in examples[kind]:
                print("     ", repr(text))
    print(
        json.dumps(
            {
                "name": "filters_sandbox",
                **{
                    name: Confusion.count(*zip(*total[name], strict=True)).figures()
                    for name in FILTERS
                },
            }
        )
    )


if __name__ == "__main__":
    main()
