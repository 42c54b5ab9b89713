"""The page that shows a sync day at a glance."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

from dagster import (
    AssetCheckSeverity,
    AssetExecutionContext,
    MaterializeResult,
    MetadataValue,
    asset,
)
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from bsky_assets.assets.filter_audit import filter_audit
from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.llm_labels import llm_labels
from bsky_assets.checks import daily_report as checks
from bsky_assets.checks.day import evaluate_day
from bsky_assets.contracts.lineage import DAILY_REPORT
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.materialisation import DAILY, explained
from bsky_assets.orchestration.partitions import day_of
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.orchestration.unfinished import DayState, Look
from bsky_assets.reporting.day import CheckOutcome, stored
from bsky_assets.reporting.figures import funnel_figure, inline_png, labels_figure
from bsky_assets.reporting.index import NAME
from bsky_assets.reporting.report import UNREADABLE, report_of, write_page
from bsky_assets.reporting.summary import answer_table, corrected_table
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import now


@asset(
    group_name="labels",
    kinds={"html", "matplotlib"},
    freshness_policy=DAILY,
    deps=[filtered_posts, llm_labels, filter_audit],
    check_specs=checks.SPECS,
)
@skips_empty_days(checks.SPECS)
def daily_report(
    context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> MaterializeResult:
    """The day at a glance: how many posts, how many political, which way, and is that usual?

    Then whether to trust it: coverage, filters, people, checks, each with what to do; then all
    details. One HTML file with nothing from elsewhere, and beside it `index.html`, the page of
    all days. Where reports are served (`bsky-assets run` does, or BSKY_REPORTS_URL), `report` below
    leads to it; elsewhere open it by its path, as a browser follows no link from here to a file.
    """
    started = time.monotonic()
    day, settings = day_of(context.partition_key), data.settings
    with explained(), duckdb.get_connection() as con:
        lacks = list(_without_report(Look(settings, now()).state(day)).lines())
        outcomes = list(_outcomes(con, data, day))
        page = report_of(con, data.lake, settings, day, outcomes, lacks)
        path = write_page(page, data.lake, settings)
    return MaterializeResult(
        metadata={
            "answer": MetadataValue.md(answer_table(page)),
            "corrected_shares": MetadataValue.md(corrected_table(settings, day)),
            "report": _place(settings, path),
            "index": _place(settings, settings.reports_dir / NAME),
            "path": MetadataValue.path(str(path)),
            **_pictures(data.lake, day),
            "notices": len(page.notices),
            "bytes": path.stat().st_size,
            "seconds": round(time.monotonic() - started, 2),
        },
        check_results=checks.evaluate(Look(settings, now()).state(day)),
    )


def _place(settings: Settings, path: Path) -> MetadataValue:
    """A link to a page of the reports, where they are served; or else its path."""
    if settings.reports_url is None:
        return MetadataValue.path(str(path))
    return MetadataValue.url(f"{settings.reports_url.rstrip('/')}/{path.name}")


def _without_report(state: DayState) -> DayState:
    """What the day lacks once the report is written; the page itself says that it is not over."""
    others = {asset: why for asset, why in state.behind.items() if asset != DAILY_REPORT}
    return replace(state, behind=others, is_over=True)


def _outcomes(con: DuckDBPyConnection, data: DataDirectory, day: date) -> Iterator[CheckOutcome]:
    """What the checks of the day come to; a damaged file ends them with one that says so."""
    try:
        for found in evaluate_day(con, data.lake, data.settings, day):
            yield CheckOutcome(
                found.asset_key.to_user_string() if found.asset_key else "",
                found.check_name or "",
                found.passed,
                found.description or "",
                is_error=found.severity is AssetCheckSeverity.ERROR,
                is_empty=found.metadata["checked"].value == 0,
            )
    except UNREADABLE as error:
        said = f"the others were not made: {str(error).splitlines()[0]}"
        yield CheckOutcome("daily_report", "all_checks_can_be_made", False, said, is_error=True)


def _pictures(lake: Lake, day: date) -> Mapping[str, MetadataValue]:
    found = stored(lake, day)
    pictures = {}
    if found.filtered:
        picture = inline_png(funnel_figure(found.filtered), "Filter funnel")
        pictures["funnel"] = MetadataValue.md(picture)
    if found.labels:
        picture = inline_png(labels_figure(found.labels), "Sides of political posts")
        pictures["labels"] = MetadataValue.md(picture)
    return pictures
