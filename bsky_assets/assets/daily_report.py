"""The page that shows a sync day at a glance."""

import time
from dataclasses import replace

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, asset
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filter_audit import filter_audit
from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.checks import daily_report as checks
from bsky_assets.checks.day import evaluate_day
from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.contracts.lineage import DAILY_REPORT
from bsky_assets.orchestration.materialisation import DAILY, OWNERS, explained
from bsky_assets.orchestration.partitions import day_of
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.reporting.figures import funnel_figure, inline_png, labels_figure
from bsky_assets.reporting.health import CheckOutcome
from bsky_assets.reporting.report import write_report
from bsky_assets.reporting.unfinished import DayState, Look
from bsky_assets.sync_day import now


@asset(
    group_name="labels",
    kinds={"html", "matplotlib"},
    owners=OWNERS,
    freshness_policy=DAILY,
    deps=[filtered_posts, llm_labels, filter_audit],
    check_specs=checks.SPECS,
)
def daily_report(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """The day at a glance: what was collected, what the filters did, what the labels say.

    Also whether to trust it: gaps, checks, what could not be read, what changed in the schema.
    One HTML file, with its pictures inside and nothing from elsewhere.
    """
    started = time.monotonic()
    day = day_of(context.partition_key)
    with explained(), duckdb.get_connection() as con:
        outcomes = [
            CheckOutcome(
                found.asset_key.to_user_string() if found.asset_key else "",
                found.check_name or "",
                found.passed,
                found.description or "",
            )
            for found in evaluate_day(con, data.lake, data.settings, day)
        ]
        lacks = list(_without_report(Look(data.settings, now()).state(day)).lines())
        path = write_report(con, data.lake, data.settings, day, outcomes, lacks)
    state = Look(data.settings, now()).state(day)
    filtered, labels = data.lake.current(FilteredPost, day), data.lake.current(LlmLabel, day)
    pictures = {}
    if filtered and labels:
        pictures = {
            "funnel": MetadataValue.md(inline_png(funnel_figure(filtered), "Filter funnel")),
            "labels": MetadataValue.md(inline_png(labels_figure(labels), "Label shares")),
        }
    return MaterializeResult(
        metadata={
            # A path to copy: browsers do not follow a link from a page on http to a file.
            "report": MetadataValue.path(str(path)),
            **pictures,
            "bytes": path.stat().st_size,
            "seconds": round(time.monotonic() - started, 2),
        },
        check_results=checks.evaluate(state),
    )


def _without_report(state: DayState) -> DayState:
    """The day's state once the report is written."""
    others = {asset: why for asset, why in state.behind.items() if asset != DAILY_REPORT}
    return replace(state, behind=others)
