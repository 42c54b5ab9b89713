"""Healing days by itself: the job that asks for what they lack, and the sensor that starts it.

What is landed by it is followed like anything else that lands, by `follow_inputs`.
What does not belong here: what a day lacks, and how it is had (`bluesky.healing`).
"""

from datetime import date

from dagster import (
    Config,
    DefaultSensorStatus,
    OpExecutionContext,
    RunConfig,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    in_process_executor,
    job,
    op,
)
from dagster_duckdb import DuckDBResource
from pydantic import Field

from bsky_assets.bluesky.healing import due, heal_day
from bsky_assets.orchestration.following import UNDER_WAY
from bsky_assets.orchestration.materialisation import explained
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.settings import Settings
from bsky_assets.sync_day import now

LOOK_SECONDS = 3600


class DaysToHeal(Config):
    """Which days are healed."""

    days: list[str] = Field(description="Sync days, as YYYY-MM-DD.")


@op
def heal_lacking_days(
    context: OpExecutionContext, config: DaysToHeal, data: DataDirectory, duckdb: DuckDBResource
) -> None:
    """Land what an archive and repositories have of what days lack."""
    for day in map(date.fromisoformat, config.days):
        with explained(), data.published(), duckdb.get_connection() as con:
            found = heal_day(con, data.settings, day, context.log.info)
        context.log.info(
            f"{day}: {sum(one.is_healed for one in found.gaps):,} of {len(found.gaps):,} gaps and "
            f"{sum(one.is_healed for one in found.accounts):,} of {len(found.accounts):,} jumps "
            "of accounts healed"
        )


@job(
    executor_def=in_process_executor,
    description="Ask an archive and repositories for what days lack; what they have is landed.",
)
def healing() -> None:
    """One day after the other, as they share what is fetched."""
    heal_lacking_days()


def heal_days_sensor(settings: Settings) -> SensorDefinition:
    """Heal days that are over and lack something. Off, unless BSKY_HEAL is set."""

    def look(context: SensorEvaluationContext) -> RunRequest | SkipReason:
        at = now()
        days = due(settings, at)
        if not days:
            return SkipReason("no day that is over lacks something that is to be asked for now")
        if context.instance.get_runs(RunsFilter(job_name="healing", statuses=UNDER_WAY), limit=1):
            return SkipReason("days are being healed")
        asked = DaysToHeal(days=[str(day) for day in days])
        return RunRequest(
            run_key=f"{at:%Y-%m-%d} {' '.join(days.values())}",
            run_config=RunConfig({"heal_lacking_days": asked}),
        )

    return SensorDefinition(
        name="heal_days",
        evaluation_fn=look,
        job_name=healing.name,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=(
            DefaultSensorStatus.RUNNING if settings.heal else DefaultSensorStatus.STOPPED
        ),
        description="Asks BSKY_ARCHIVE_URL and repositories for what days lack, an hour after each "
        "is over, and what is not healed once a day for a week. What comes is followed.",
    )
