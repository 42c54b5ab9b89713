"""The moderation labels that arrived on a sync day."""

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource
from pydantic import Field

from bsky_assets.assets.raw_feed_posts import raw_feed_posts
from bsky_assets.assets.raw_firehose_posts import StreamSync, raw_firehose_posts
from bsky_assets.bluesky.collected import firehose_segments, is_collecting, label_segments
from bsky_assets.bluesky.collector import sync_labels
from bsky_assets.bluesky.label_query import QueriedLabels, query_labels
from bsky_assets.checks import new_fields
from bsky_assets.contracts import RawFeedPost, RawModerationLabel
from bsky_assets.orchestration.materialisation import (
    NETWORK_RETRIES,
    Making,
    counts_table,
    making,
    row_asset,
)
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.settings import Settings
from bsky_assets.storage import quarantine
from bsky_assets.storage.compaction import compact_labels_day
from bsky_assets.sync_day import today


class LabelSync(StreamSync):
    """When a reading of the labeler's stream ends, and whether the labeler is asked as well."""

    query: bool = Field(
        True, description="Ask the labeler what stands on the day's feed posts and their authors."
    )


@row_asset(
    RawModerationLabel,
    group="ingest",
    kinds={"bluesky"},
    checks=[new_fields.spec(RawModerationLabel)],
    deps=[raw_firehose_posts, raw_feed_posts],
    retry_policy=NETWORK_RETRIES,
)
def raw_moderation_labels(
    context: AssetExecutionContext,
    config: LabelSync,
    data: DataDirectory,
    duckdb: DuckDBResource,
) -> MaterializeResult:
    """Moderation labels applied or taken back, by a labeler or by accounts themselves.

    From com.atproto.label.subscribeLabels, from com.atproto.label.queryLabels for the posts that
    feeds showed and their authors, and from the profiles that the firehose brought. Which
    labelers count is decided by the filters (BSKY_TRUSTED_LABELERS).
    """
    settings = data.settings
    with making(RawModerationLabel, context, data, duckdb) as run:
        is_today = run.day == today(settings.timezone)
        if config.read_stream and is_today and not is_collecting(settings):
            report = sync_labels(settings, config.limits(settings))
            context.log.info(f"{report.events:,} events, ended by {report.ended_by}")
        asked = _ask(run, settings) if config.query and is_today else None
        if asked:
            kept = asked.quarantined
            quarantine.add(run.con, run.lake, RawModerationLabel.asset, run.day, kept)
        partition = compact_labels_day(
            run.con,
            run.lake,
            label_segments(settings),
            firehose_segments(settings),
            run.day,
            asked.labels if asked else None,
        )
        counts = dict(run.rows().aggregate("val, count(*)").fetchall())
        outcome = new_fields.evaluate(run.con, run.lake, RawModerationLabel, run.day)
        rows = run.sample(partition, "src, val, neg, cts, exp", each="concat_ws(' ', val, neg)")
    by_value = counts_table("label", counts)
    return run.result(partition, sample=rows, checks=[outcome], by_value=by_value)


def _ask(run: Making, settings: Settings) -> QueriedLabels:
    posts = run.lake.relation(run.con, RawFeedPost, [run.day]).select("uri, author.did").fetchall()
    return query_labels(settings, (uri for uri, _ in posts), (did for _, did in posts))
