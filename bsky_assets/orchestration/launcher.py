"""Where a partition is made, by BSKY_LAUNCHER: in the run itself, or as a job of a cluster.

Whichever it is, the asset gets the partition as the lake has it. A job that is gone without a
word, because it was cancelled or its node was lost, is started again. One that tells of an error
is not: it would come up again.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import date

from dagster import AssetExecutionContext, Failure, RetryRequested
from duckdb import DuckDBPyConnection

from bsky_assets.contracts import Row, contract_version
from bsky_assets.contracts.codebooks import holds_labels
from bsky_assets.contracts.details import Details
from bsky_assets.contracts.progress import Log
from bsky_assets.launching import kubernetes, ray, slurm
from bsky_assets.launching.jobs import Ended, Job, job_of
from bsky_assets.launching.work import make_partition
from bsky_assets.orchestration.partitions import day_of
from bsky_assets.orchestration.staleness import made_with
from bsky_assets.settings import LauncherName, Settings
from bsky_assets.storage.budget import slot
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

LOST_RETRIES = 2
"""So often a lost job is started again."""
LOST_SECONDS = 10
"""Before that, a node that died has time to be noticed."""

_SEEN_SECONDS = 120
"""A network file system may show another node's files so late, and hardly later."""

_ENGINES: dict[LauncherName, Callable[[AssetExecutionContext, Job, Settings], Ended]] = {
    "slurm": slurm.run,
    "ray": ray.run,
    "kubernetes": kubernetes.run,
}


def launch_partition(
    context: AssetExecutionContext,
    con: DuckDBPyConnection,
    lake: Lake,
    row: type[Row],
    settings: Settings,
) -> Partition:
    """Make the partition of `row` that this run is for, wherever the settings say.

    Raises:
        UserError: it cannot be made as things are, or the launcher cannot be used.
        Failure: a job told of an error.
        RetryRequested: a job was lost.
    """
    day = day_of(context.partition_key)
    if settings.launcher == "local" or row.asset not in settings.launcher_assets:
        with _slot(row, settings, context.log.info):
            return make_partition(
                con, lake, row, day, settings, lambda progress: context.log.info(str(progress))
            )
    before = lake.current(row, day)
    job = _job(row.asset, day, settings)
    ended = _ENGINES[settings.launcher](context, job, settings)
    partition = _seen(lake, row, day, _file(job, settings, ended), before)
    _require_as_here(partition, row, settings)
    return partition


def _slot(row: type[Row], settings: Settings, log: Log) -> AbstractContextManager[None]:
    """A slot of this machine; labels mostly wait for an endpoint, and need none."""
    return nullcontext() if holds_labels(row) else slot(settings, log)


def _job(asset: str, day: date, settings: Settings) -> Job:
    if settings.launcher == "kubernetes":
        return job_of(asset, day, settings, "python")  # the image's, not the one of this machine
    return job_of(asset, day, settings)


def _file(job: Job, settings: Settings, ended: Ended) -> str | None:
    """The name of the file that the job wrote; None if it ended well and its report was lost."""
    if ended.report is None and ended.problem:
        lost = Failure(
            f"the job of {job.asset} on {job.day} was lost ({settings.launcher}: {ended.problem}); "
            "what it printed is in the logs of this step"
        )
        raise RetryRequested(max_retries=LOST_RETRIES, seconds_to_wait=LOST_SECONDS) from lost
    if ended.report is None:
        return None
    if error := ended.report.get("error"):
        raise Failure(description=error, allow_retries=False)
    return str(ended.report["file"])


def _seen(
    lake: Lake, row: type[Row], day: date, file: str | None, before: Partition | None
) -> Partition:
    """The partition in `file`, or without one another than `before`, once it is seen here too."""
    old = before.path.name if before else None
    deadline = time.monotonic() + _SEEN_SECONDS
    while True:
        partition = lake.current(row, day)
        name = partition.path.name if partition else None
        if partition and (name == file if file else name != old):
            return partition
        if time.monotonic() > deadline:
            raise Failure(
                f"{row.asset} on {day} was written ({file or 'its job ended well'}), and this "
                "machine does not see it: are BSKY_DATA_DIR and BSKY_LAKE_URL the same place for "
                "all nodes?"
            )
        time.sleep(1)


def _require_as_here(partition: Partition, row: type[Row], settings: Settings) -> None:
    """Refuse what a node made with other code, word lists, models or prompt than are here."""
    versions = {"contract": contract_version(row), **made_with(row, settings)}
    made = {"contract": partition.contract, **partition.told(Details).versions()}
    for name, version in versions.items():
        if made.get(name) != version:
            raise Failure(
                f"{row.asset} on {partition.day} was made with {name} {made.get(name)}, and here "
                f"it is {version}: the code and the trained models of BSKY_DATA_DIR must be the "
                "same on all nodes",
                allow_retries=False,
            )
