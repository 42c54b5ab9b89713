"""A day on which nothing was collected, in a backfill: it is skipped, with the reason.

Dagster has no other way: it ends a backfill as failed, and never makes what reads such a day, if
a partition that it asked for is not materialised, also where a run ends well without it. So in a
backfill, and only there, such a partition is told to Dagster with a reason and without rows.
Nothing is stored. By itself, such a day fails and says what to do.
"""

from collections.abc import Callable, Sequence
from functools import wraps

from dagster import AssetCheckSpec, AssetExecutionContext, MaterializeResult
from dagster._core.storage.tags import BACKFILL_ID_TAG

from bsky_assets.consolidation.consolidate import SOURCES, is_source
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.orchestration.materialisation import Materialise, check, explained
from bsky_assets.orchestration.partitions import day_of
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.orchestration.unfinished import Look
from bsky_assets.sync_day import now

_SKIPPED = "skipped"
"""What the reason is called on the page of a partition."""


def skips_empty_days(checks: Sequence[AssetCheckSpec]) -> Callable[[Materialise], Materialise]:
    """Let what an asset does leave out days without data in a backfill; it has these `checks`."""

    def leaving_out(materialise: Materialise) -> Materialise:
        @wraps(materialise)
        def asset(
            context: AssetExecutionContext, data: DataDirectory, **others: object
        ) -> MaterializeResult:
            with explained():
                reason = _why_empty(context, data)
            if reason is None:
                return materialise(context, data=data, **others)
            context.log.warning(f"{_SKIPPED}: {reason}")
            return _skipped(reason, checks)

        return asset

    return leaving_out


def _why_empty(context: AssetExecutionContext, data: DataDirectory) -> str | None:
    if BACKFILL_ID_TAG not in context.run.tags:
        return None
    day = day_of(context.partition_key)
    if any(is_source(data.lake.current(row, day)) for row in SOURCES):
        return None
    if RawFirehosePost.asset in Look(data.settings, now()).state(day).behind:
        return None  # it landed, and its raw partitions are to be made first
    return f"nothing was collected on {day}"


def _skipped(reason: str, checks: Sequence[AssetCheckSpec]) -> MaterializeResult:
    outcomes = [check(spec, [], checked=0, nothing=reason) for spec in checks]
    return MaterializeResult(
        metadata={_SKIPPED: reason, "dagster/partition_row_count": 0}, check_results=outcomes
    )
