"""Nothing is lost or doubled between the raw posts and the consolidated ones."""

from collections.abc import Iterator
from datetime import date

from dagster import AssetCheckResult, AssetCheckSpec
from duckdb import DuckDBPyConnection

from bsky_assets.contracts import ConsolidatedPost
from bsky_assets.contracts.details import ConsolidationDetails
from bsky_assets.orchestration.materialisation import check
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

_ACCOUNTED_FOR = AssetCheckSpec(
    "every_raw_post_is_accounted_for",
    asset=ConsolidatedPost.asset,
    blocking=True,
    description="Posts in are posts out and those left out for a reason that is counted.",
)
UNIQUE = AssetCheckSpec(
    "uris_are_unique",
    asset=ConsolidatedPost.asset,
    blocking=True,
    description="A post is there once.",
)
SPECS = [_ACCOUNTED_FOR, UNIQUE]


def evaluate(
    con: DuckDBPyConnection, lake: Lake, day: date, partition: Partition
) -> list[AssetCheckResult]:
    told = partition.told(ConsolidationDetails)
    return [
        check(
            _ACCOUNTED_FOR,
            _unaccounted(told, partition.rows),
            checked=told.firehose_posts + told.feed_items,
            nothing="there are no raw posts",
        ),
        check(
            UNIQUE,
            _doubled(con, lake, day),
            checked=partition.rows,
            nothing="there are no posts",
        ),
    ]


def _unaccounted(told: ConsolidationDetails, rows: int) -> Iterator[str]:
    merged = told.shown_by_several_feeds + told.in_firehose_and_feed
    left_out = sum(told.left_out.values())
    expected = told.firehose_posts + told.feed_items - merged - left_out
    if expected != rows:
        yield f"{expected:,} posts should be there, {rows:,} are"


def _doubled(con: DuckDBPyConnection, lake: Lake, day: date) -> Iterator[str]:
    posts = lake.relation(con, ConsolidatedPost, [day])
    # As many hashes as rows means as many URIs, for a tenth of the memory.
    ((rows, hashes),) = posts.aggregate("count(*), count(DISTINCT hash(uri))").fetchall()
    if rows == hashes:
        return
    ((uris,),) = posts.aggregate("count(DISTINCT uri)").fetchall()
    if rows != uris:
        yield f"{rows - uris:,} rows repeat a URI"
