"""The posts that 'most liked' feeds showed on a sync day."""

from dagster import AssetExecutionContext, Config, MaterializeResult
from dagster_duckdb import DuckDBResource
from pydantic import Field

from bsky_assets.bluesky.feeds import sync_feeds
from bsky_assets.checks import raw_feed_posts as checks
from bsky_assets.contracts import RawFeedPost
from bsky_assets.contracts.details import FeedDetails
from bsky_assets.orchestration.materialisation import NETWORK_RETRIES, making, row_asset
from bsky_assets.orchestration.resources import DataDirectory


class FeedSync(Config):
    """How much of each feed to read."""

    max_posts: int | None = Field(
        None, description="Items of each feed after which to stop; none reads it to its end."
    )


@row_asset(
    RawFeedPost,
    group="ingest",
    kinds={"bluesky"},
    checks=checks.SPECS,
    retry_policy=NETWORK_RETRIES,
)
def raw_feed_posts(
    context: AssetExecutionContext,
    config: FeedSync,
    data: DataDirectory,
    duckdb: DuckDBResource,
) -> MaterializeResult:
    """Posts of the 'most liked' feeds, read page by page with app.bsky.feed.getFeed.

    One row is an item seen in a feed. Reading again on the same day adds what is new and brings
    counts up to date. Feeds cannot be read back in time: another day than today stays as it is.
    A feed that is down stops no other and not the day: a check names it.
    An item that cannot be read is in the view `quarantine`, with its bytes and the reason.
    """
    with making(RawFeedPost, context, data, duckdb) as run:
        partition = sync_feeds(
            run.con,
            run.lake,
            data.settings,
            run.day,
            max_posts=config.max_posts,
            progress=lambda progress: context.log.info(str(progress)),
        )
        outcomes = checks.evaluate(run.con, run.lake, partition, data.settings)
        rows = run.sample(
            partition, "indexed_at, like_count, position, uri", each="record.langs[1]"
        )
    readings = partition.told(FeedDetails).readings
    failed = [name for name, feed in readings.items() if feed.problem]
    return run.result(partition, sample=rows, checks=outcomes, failed_feeds=failed)
