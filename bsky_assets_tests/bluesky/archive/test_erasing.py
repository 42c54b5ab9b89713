"""What was deleted since is in nothing that was fetched of an archive."""

from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from bsky_assets.bluesky.archive.ingest import ingest_day
from bsky_assets.bluesky.collected import archive_segments, firehose_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.consolidation.erase_fetched import erase_in_fetched
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.bluesky.archive.serving import DAY, archive_of, reachable, world_of
from bsky_assets_tests.sandbox.streams import relay_of
from bsky_assets_tests.support.serving import served


def posts_in_index(settings: Settings) -> set[str]:
    return {
        f"at://{row['did']}/{row['collection']}/{row['rkey']}"
        for path in (settings.data_dir / "archive").glob("*/index/*.parquet")
        for row in pq.read_table(path).to_pylist()
        if row["payload"] and row["collection"]
    }


def erase(settings: Settings) -> int:
    with duckdb.connect() as con:
        segments = archive_segments(settings)
        return erase_in_fetched(con, Lake.of(settings), settings.data_dir, segments)


def test_a_post_that_was_deleted_since_leaves_the_local_index(tmp_path: Path) -> None:
    world = world_of(1_500)
    gone = {
        post.uri
        for post in world.posts
        if post.in_firehose and (post.is_deleted or post.account_status == "deleted")
    }
    archive = archive_of(world, is_compacted=False)
    with served(relay_of(world).app()) as url, reachable(archive, tmp_path) as settings:
        settings = settings.model_copy(update={"relay_url": url.replace("http", "ws")})
        assert erase(settings) == 0  # nothing has been fetched
        ingest_day(settings, DAY, lambda _: None)
        before = posts_in_index(settings)
        assert gone & before
        assert erase(settings) == 0
        sync_firehose(settings, Limits(max_seconds=60), idle_seconds=0.1)
        with duckdb.connect() as con:
            for day in firehose_segments(settings).days():
                compact_firehose_day(con, Lake.of(settings), firehose_segments(settings), day)
        (left := tmp_path / "archive" / "host" / "fetched").mkdir(parents=True)
        with archive_segments(settings).collecting():
            assert erase(settings) == 0  # somebody fetches
        assert left.exists()
        assert erase(settings) >= len(gone & before)
        assert not left.exists()
        after = posts_in_index(settings)
        assert not gone & after
        assert {p.uri for p in world.posts if p.in_firehose} & before - gone <= after
        assert erase(settings) == 0
        fetched = archive.served
        ingest_day(settings, DAY, lambda _: None)
        assert archive.served == fetched  # what was erased is not fetched again
