"""What the filters do to the shares of a sync day."""

from dagster import AssetExecutionContext, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.checks import filter_audit as checks
from bsky_assets.contracts import AuditedShare
from bsky_assets.contracts.details import AuditDetails
from bsky_assets.labelling.audit import audit_day
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.materialisation import frame_table, making, row_asset
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
    with making(AuditedShare, context, data, duckdb) as run:
        partition = audit_day(run.con, run.lake, run.day, data.settings)
        outcomes = checks.evaluate(run.con, run.lake, data.settings, partition)
        rows = run.sample(partition, "filter, label, share, shift", each="filter")
        shifts = run.rows().order("filter, label").df()
    shown = shifts[["filter", "label", "stopped", "sampled", "share", "shift"]].round(4)
    told = partition.told(AuditDetails)
    return run.result(
        partition,
        sample=rows,
        checks=outcomes,
        shifts=frame_table(shown),
        asked=told.asked,
        requests=told.requests,
    )
