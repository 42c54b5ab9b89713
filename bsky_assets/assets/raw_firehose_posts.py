"""The posts that the firehose brought on a sync day."""

from collections.abc import Mapping
from typing import Any

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue
from dagster_duckdb import DuckDBResource
from pydantic import Field

from bsky_assets.bluesky.collected import firehose_segments, is_collecting
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.checks import raw_firehose_posts as checks
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.orchestration.launchpad import OfSettings
from bsky_assets.orchestration.materialisation import (
    NETWORK_RETRIES,
    counts_table,
    making,
    row_asset,
)
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.reporting.coverage import coverage_figure
from bsky_assets.reporting.figures import inline_png
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.completeness import Completeness, StreamDetails
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import today


def _source(partition: Partition) -> dict[str, Any]:
    """What came of a day from an archive."""
    lines = partition.told(StreamDetails).source_lines()
    return {"archive": MetadataValue.text(". ".join(lines))} if lines else {}


class StreamSync(OfSettings):
    """Whether a stream is read, and when that ends: whichever comes first."""

    read_stream: bool = Field(
        True, description="Read the stream first; otherwise only take in what has landed."
    )
    max_events: int | None = Field(None, ge=1, description="Events. None: BSKY_SYNC_MAX_EVENTS.")
    max_seconds: float | None = Field(
        None, gt=0, description="Seconds. None: BSKY_SYNC_MAX_SECONDS."
    )

    @classmethod
    def defaults(cls, settings: Settings) -> Mapping[str, Any]:
        """What is read by default."""
        limits = (name for name in cls.model_fields if name.startswith("max_"))
        return {name: getattr(settings, f"sync_{name}") for name in limits}

    def limits(self, settings: Settings) -> Limits:
        """Those of this run, or else of the settings."""
        default = self.defaults(settings)
        return Limits(**{name: getattr(self, name) or default[name] for name in default})


class FirehoseSync(StreamSync):
    """When a reading of the firehose ends."""

    max_posts: int | None = Field(None, ge=1, description="Posts. None: BSKY_SYNC_MAX_POSTS.")


@row_asset(
    RawFirehosePost,
    group="ingest",
    kinds={"bluesky"},
    checks=checks.SPECS,
    retry_policy=NETWORK_RETRIES,
)
def raw_firehose_posts(
    context: AssetExecutionContext,
    config: FirehoseSync,
    data: DataDirectory,
    duckdb: DuckDBResource,
) -> MaterializeResult:
    """Posts created on the network, from com.atproto.sync.subscribeRepos.

    One row is a post. Today's partition reads the stream first, unless a collector is running;
    then it takes in what has landed, now or earlier. An event that cannot be read is in the view
    `quarantine`, with its bytes and the reason. Gaps in the stream are in the details. A
    past day can be made from an archive instead (`materialize --from archive`): then the details
    say so, and `dated_by` how each post's day is known.
    """
    settings = data.settings
    with making(RawFirehosePost, context, data, duckdb) as run:
        is_today = run.day == today(settings.timezone)
        if config.read_stream and is_today and not is_collecting(settings):
            report = sync_firehose(settings, config.limits(settings))
            context.log.info(f"{report.events:,} events, ended by {report.ended_by}")
        segments = firehose_segments(settings)
        partition, _ = compact_firehose_day(run.con, run.lake, segments, run.day)
        outcomes = checks.evaluate(run.con, run.lake, partition, settings)
        rows = run.sample(
            partition,
            "commit_time, seq, record.langs AS langs, uri",
            each="record.langs[1]",
        )
    completeness = partition.told(StreamDetails).completeness or Completeness()
    picture = inline_png(coverage_figure(completeness, settings.timezone), "Events per minute")
    return run.result(
        partition,
        sample=rows,
        checks=outcomes,
        events=counts_table("kind", completeness.events),
        gaps=completeness.gap_count,
        missing_events=completeness.missing_events,
        uncounted_gaps=completeness.uncounted_gaps,
        jumps=completeness.jump_count,
        reconnects=completeness.reconnect_count,
        quarantined=sum(completeness.quarantined.values()),
        largest_lag_seconds=completeness.largest_lag_seconds,
        **_source(partition),
        events_per_minute=MetadataValue.md(picture),
    )
