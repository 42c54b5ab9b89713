"""Jobs that keep stored days as they should be: deletions honoured, old files removed."""

from collections.abc import Iterator
from datetime import timedelta

import pyarrow as pa
from dagster import (
    AssetMaterialization,
    DefaultScheduleStatus,
    In,
    JobDefinition,
    Nothing,
    OpExecutionContext,
    ScheduleDefinition,
    in_process_executor,
    job,
    op,
)
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from bsky_assets.bluesky.collected import all_segments, archive_segments
from bsky_assets.consolidation.erase import Forget, erase_deleted
from bsky_assets.consolidation.erase_fetched import erase_in_fetched
from bsky_assets.consolidation.erase_segments import erase_in_segments
from bsky_assets.consolidation.tombstones import apply_tombstones
from bsky_assets.labelling.forgetting import forget_words
from bsky_assets.orchestration.forgetting import forget_again
from bsky_assets.orchestration.prune import prune_runs
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import vacuum_segments
from bsky_assets.storage.files import remove_unfinished
from bsky_assets.storage.lake import GRACE, Lake
from bsky_assets.sync_day import now


def erase_words(
    con: DuckDBPyConnection, settings: Settings, forget: Forget
) -> Iterator[tuple[str, int]]:
    """Erase the words of posts that were deleted for good: where, and from how many rows."""
    lake = Lake.of(settings)
    for erased in erase_deleted(con, lake, forget):
        yield f"{erased.partition.dataset} on {erased.partition.day}", erased.rows
    for segments in all_segments(settings):
        yield f"segments of {segments.stream}", erase_in_segments(con, lake, segments)
    fetched = erase_in_fetched(con, lake, settings.data_dir, archive_segments(settings))
    yield "what was fetched of an archive", fetched


def remove_replaced(settings: Settings, grace: timedelta = GRACE) -> int:
    """Remove files that were replaced so long ago, and what killed writers left; how many bytes."""
    lake = Lake.of(settings)
    freed = lake.vacuum(grace)
    freed += sum(vacuum_segments(lake, segments) for segments in all_segments(settings))
    return freed + remove_unfinished(settings.data_dir.rglob(".*"), now() - GRACE)


def _forgetting(
    context: OpExecutionContext, data: DataDirectory, con: DuckDBPyConnection
) -> Forget:
    """Removes words of posts from the ledger of what models were asked."""

    def forget(posts: pa.Table) -> None:
        changed = forget_words(con, data.lake, data.settings, posts)
        context.log.info(f"{changed:,} questions forgotten")

    return forget


@op
def remove_deleted_posts(
    context: OpExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> None:
    """Remove from every stored day the posts that have been deleted since, and their labels.

    Their words also leave the ledger of what models were asked.
    """
    removed = 0
    with data.published(), duckdb.get_connection() as con:
        for removal in apply_tombstones(con, data.lake, _forgetting(context, data, con)):
            removed += removal.rows
            partition = removal.partition
            context.log.info(f"{partition.dataset} on {partition.day}: {removal.rows:,} rows left")
            context.log_event(
                AssetMaterialization(
                    partition.dataset,
                    partition=partition.day.isoformat(),
                    description="Posts that were deleted since have left.",
                    tags={DATA_VERSION_TAG: partition.version},
                    metadata={
                        "dagster/partition_row_count": partition.rows,
                        "removed_rows": removal.rows,
                        "posts_by_reason": removal.reasons,
                    },
                )
            )
    context.log.info(f"{removed:,} rows removed in all")


@op(ins={"after": In(Nothing)})
def erase_deleted_words(
    context: OpExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> None:
    """Erase the words of posts that were deleted for good, wherever they came in."""
    with data.published(), duckdb.get_connection() as con:
        for where, rows in erase_words(con, data.settings, _forgetting(context, data, con)):
            context.log.info(f"{where}: {rows:,} rows erased")
        again = len([*forget_again(con, data.settings)])
        context.log.info(f"{again:,} that are to be forgotten had come in again")


@op(ins={"after": In(Nothing)})
def vacuum_lake(context: OpExecutionContext, data: DataDirectory) -> None:
    """Remove files that were replaced a while ago, and what killed writers left."""
    context.log.info(f"{remove_replaced(data.settings):,} bytes freed")


@op
def prune_old_runs(context: OpExecutionContext, data: DataDirectory) -> None:
    """Remove what Dagster keeps of runs that ended BSKY_KEEP_RUNS_DAYS ago."""
    pruned = prune_runs(context.instance, now() - timedelta(days=data.settings.keep_runs_days))
    context.log.info(
        f"{pruned.runs:,} runs removed, and {pruned.logs:,} logs of runs that made what is stored; "
        f"{pruned.bytes:,} bytes freed"
    )


@job(
    executor_def=in_process_executor,
    description="Honour deletions in older days, labels included; erase their words; remove files "
    "of old partitions and logs of old runs.",
)
def maintenance() -> None:
    """One op after the other, so that they do not work on the same partition."""
    vacuum_lake(erase_deleted_words(remove_deleted_posts()))
    prune_old_runs()


def maintenance_schedule(settings: Settings) -> ScheduleDefinition:
    """Run `maintenance` each night at 03:00 in the sync timezone."""
    status = DefaultScheduleStatus.RUNNING if settings.live else DefaultScheduleStatus.STOPPED
    definition: JobDefinition = maintenance
    return ScheduleDefinition(
        name="maintenance_schedule",
        job=definition,
        cron_schedule="0 3 * * *",
        execution_timezone=settings.sync_timezone,
        default_status=status,
    )
