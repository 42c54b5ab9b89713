"""What the filters do to the shares of a sync day."""

import time

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.checks import filter_audit as checks
from bsky_assets.contracts import AuditedShare
from bsky_assets.contracts.details import AuditDetails
from bsky_assets.labelling.audit import audit_day
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.materialisation import (
    explained,
    frame_table,
    result,
    row_asset,
    sample,
)
from bsky_assets.orchestration.partitions import day_of
from bsky_assets.orchestration.resources import DataDirectory


@row_asset(
    AuditedShare,
    group="labels",
    kinds={"openai"},
    checks=checks.SPECS,
    deps=[filtered_posts, llm_labels],
    pool="llm_endpoint",
)
@skips_empty_days(checks.SPECS)
def filter_audit(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """What each filter does to the day's shares: which part of what it stops is political, on which
    side, and by how much the shares would move had it stopped nothing.

    A random sample of the English posts that each filter stopped goes to the model of record with
    the same prompt; its answers are in the ledger (`llm_answers`) and make no labels.
    """
    started = time.monotonic()
    day = day_of(context.partition_key)
    with explained(), data.published(), duckdb.get_connection() as con:
        partition = audit_day(con, data.lake, day, data.settings)
        outcomes = checks.evaluate(con, data.lake, data.settings, partition)
        rows = sample(
            con, data.lake, partition, AuditedShare, "filter, label, share, shift", each="filter"
        )
        shifts = data.lake.relation(con, AuditedShare, [day]).order("filter, label").df()
    shown = shifts[["filter", "label", "stopped", "sampled", "share", "shift"]].round(4)
    told = partition.told(AuditDetails)
    return result(
        AuditedShare,
        partition,
        started,
        sample=rows,
        metadata={
            "shifts": frame_table(shown),
            "asked": told.asked,
            "requests": told.requests,
        },
        checks=outcomes,
    )
