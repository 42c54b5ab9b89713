"""The page that shows a sync day at a glance."""

import time

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, asset
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.checks.day import evaluate_day
from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.contracts.lineage import report_version
from bsky_assets.orchestration.automation import when_inputs_land
from bsky_assets.orchestration.materialisation import DAILY, OWNERS, explained
from bsky_assets.orchestration.partitions import day_of, sync_days
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.reporting.figures import funnel_figure, inline_png, labels_figure
from bsky_assets.reporting.health import CheckOutcome
from bsky_assets.reporting.report import write_report


@asset(
    partitions_def=sync_days,
    group_name="labels",
    kinds={"html", "matplotlib"},
    owners=OWNERS,
    code_version=report_version(),
    freshness_policy=DAILY,
    deps=[filtered_posts, llm_labels],
    automation_condition=when_inputs_land,
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
        path = write_report(con, data.lake, data.settings.reports_dir, day, outcomes)
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
        }
    )
