"""The daily job and its schedule; what follows by itself is in `following`."""

from dagster import (
    AssetKey,
    AssetSelection,
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    in_process_executor,
)

from bsky_assets.settings import Settings
from bsky_assets.sync_day import sync_day_of, today

BY_ITSELF = AssetSelection.all() - AssetSelection.groups("archive")
"""What is made without being asked for by name: all but what reads an archive, whose bytes may be
metered."""

daily_sync = define_asset_job(
    "daily_sync",
    selection=AssetSelection.all(),
    executor_def=in_process_executor,
    description="Everything about one sync day: collect, consolidate, filter, label, report.",
)


def daily_sync_schedule(settings: Settings) -> ScheduleDefinition:
    """Run `daily_sync` for the present sync day at 16:00 in the sync timezone.

    A tick that was missed is made up for as long as its day lasts: later, no stream and no feed
    can be read for it, and what has landed is followed by `follow_inputs`.
    """

    def chosen(context: ScheduleEvaluationContext) -> list[AssetKey] | None:
        if not settings.archive_url:
            return None
        return sorted(BY_ITSELF.resolve(context.repository_def.asset_graph))

    def present_day(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        day = sync_day_of(context.scheduled_execution_time, settings.timezone)
        if day < today(settings.timezone):
            return SkipReason(f"{day} is over; `follow_inputs` makes what landed on it")
        key = day.isoformat()
        return RunRequest(run_key=key, partition_key=key, asset_selection=chosen(context))

    return ScheduleDefinition(
        name="daily_sync_schedule",
        job=daily_sync,
        cron_schedule="0 16 * * *",
        execution_timezone=settings.sync_timezone,
        execution_fn=present_day,
        default_status=(
            DefaultScheduleStatus.RUNNING if settings.live else DefaultScheduleStatus.STOPPED
        ),
        description="At 16:00 in the sync timezone, the sync day that is then under way.",
    )
