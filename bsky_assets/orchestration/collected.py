"""Taking in what a collector has landed: through the day, and once more when the day is over."""

from collections.abc import Iterator
from datetime import date

from dagster import (
    AssetSelection,
    DefaultSensorStatus,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    define_asset_job,
    in_process_executor,
)

from bsky_assets.bluesky.landed import firehose_segments, label_segments
from bsky_assets.contracts import RawFirehosePost, RawModerationLabel, RawPostDeletion
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import news
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import today

LOOK_SECONDS = 600
"""How often what has landed is taken in."""

take_in_landed = define_asset_job(
    "take_in_landed",
    selection=AssetSelection.assets(
        RawFirehosePost.asset, RawPostDeletion.asset, RawModerationLabel.asset
    ),
    executor_def=in_process_executor,
    description="Bring the raw partitions of a sync day up to date with what a collector landed.",
)

ONLY_LANDED = {
    RawFirehosePost.asset: {"config": {"read_stream": False}},
    RawModerationLabel.asset: {"config": {"read_stream": False, "query": False}},
}
"""Run config by asset: take in what has landed, and read nothing from the network."""


def collector_landed_sensor(settings: Settings) -> SensorDefinition:
    """Take in what landed since; a day that is over is closed by the last such run."""

    def landed(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        days = dict(_days_with_news(settings))
        for day, last in sorted(days.items()):
            closing = day < today(settings.timezone)
            yield RunRequest(
                run_key=f"{day}/{last}",
                partition_key=day.isoformat(),
                run_config={"ops": ONLY_LANDED},
                tags={"closes_the_day": str(closing).lower()},
            )
        if not days:
            yield SkipReason("nothing has landed since")

    return SensorDefinition(
        name="collector_landed",
        evaluation_fn=landed,
        job=take_in_landed,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=(
            DefaultSensorStatus.RUNNING if settings.live else DefaultSensorStatus.STOPPED
        ),
        description="Takes in what `bsky-assets collect` landed, and closes a day that is over.",
    )


def _days_with_news(settings: Settings) -> Iterator[tuple[date, str]]:
    """Days with segments that are not in their partition yet, and the last of these."""
    lake = Lake.of(settings)
    for segments in (firehose_segments(settings), label_segments(settings)):
        for day in segments.days():
            if fresh := news(lake, segments, day):
                yield day, f"{segments.stream}-{max(map(max, fresh.values())).number}"
