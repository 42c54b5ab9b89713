"""When assets are materialised: the daily job, its schedule, and what follows by itself."""

from dagster import (
    AssetSelection,
    AutomationCondition,
    AutomationConditionSensorDefinition,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    define_asset_job,
    in_process_executor,
)

from bsky_assets.settings import Settings

_not_made_today = (
    AutomationCondition.missing()
    & AutomationCondition.in_latest_time_window()
    & ~AutomationCondition.will_be_requested()
)
when_inputs_land = AutomationCondition.eager().without(
    ~AutomationCondition.any_deps_missing()
) & ~AutomationCondition.any_deps_match(_not_made_today).ignore(AssetSelection.groups("ingest"))
"""Follow the inputs of the present day once those that are made here are there.

What is collected need not all be: one source is enough. Nor are days before it waited for.
"""

daily_sync = define_asset_job(
    "daily_sync",
    selection=AssetSelection.all(),
    executor_def=in_process_executor,
    description="Everything about one sync day: collect, consolidate, filter, label, report.",
)


def daily_sync_schedule(settings: Settings) -> ScheduleDefinition:
    """Run `daily_sync` for the present sync day at 16:00 in the sync timezone."""

    def present_day(context: ScheduleEvaluationContext) -> RunRequest:
        day = context.scheduled_execution_time.astimezone(settings.timezone).date().isoformat()
        return RunRequest(run_key=day, partition_key=day)

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


def follow_inputs_sensor(settings: Settings) -> AutomationConditionSensorDefinition:
    """Materialise what is downstream when its inputs of the present day have landed."""
    return AutomationConditionSensorDefinition(
        "follow_inputs",
        target=AssetSelection.all(),
        default_status=(
            DefaultSensorStatus.RUNNING if settings.live else DefaultSensorStatus.STOPPED
        ),
        description="Consolidates, filters and labels the present day when its inputs land.",
    )
