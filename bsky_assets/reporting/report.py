"""The daily report: one page that a researcher opens each morning, with nothing from outside.

What belongs here: which numbers stand on it. Their look is in `templates/report.html`, whose
escaping is on, so that nothing that came from the network is taken for markup.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import orjson
import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from matplotlib.figure import Figure
from scipy.stats import binomtest

from bsky_assets.contracts import ALL, AuditedShare, FilteredPost, LlmLabel, Quarantined
from bsky_assets.contracts.lineage import report_version
from bsky_assets.errors import UserError
from bsky_assets.reporting import figures, health
from bsky_assets.reporting.head import report_path
from bsky_assets.reporting.health import CheckOutcome
from bsky_assets.settings import Settings
from bsky_assets.storage.coverage import hours
from bsky_assets.storage.files import staged
from bsky_assets.storage.inputs import REPORT_INPUTS, versions
from bsky_assets.storage.lake import Lake, Partition, select_rows
from bsky_assets.sync_day import now

TRAILING_DAYS = 14
TOP_REASONS = 12
POLITICAL = ("left", "right", "moderate", "unclear")


class NothingToReport(UserError):
    """The day is not filtered or not labelled."""


def write_report(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    settings: Settings,
    day: date,
    checks: Sequence[CheckOutcome] = (),
    lacks: Sequence[str] = (),
) -> Path:
    """Write the report of `day`, with what its checks came to and what it `lacks`.

    Returns its path.

    Raises:
        NothingToReport: the day is not filtered or not labelled.
        UnusableDataDirectory: the folder cannot be written to.
    """
    target = report_path(settings.reports_dir, day)
    made_from = orjson.dumps(versions(lake, REPORT_INPUTS, day)).decode()
    page = _template().render(
        checks=checks,
        lacks=lacks,
        made_from=made_from,
        **_numbers(con, lake, day),
        **_health(con, lake, day, settings.timezone),
    )
    with staged(target) as path:
        path.write_text(page, encoding="utf-8")
    return target


def share_intervals(labels: Partition) -> Iterator[dict[str, Any]]:
    """Each label's share of the labelled posts, with its 95% Wilson interval."""
    total = labels.details["labelled"]
    shares = labels.details["shares"]
    for label in POLITICAL if total else ():
        share = shares.get(label, 0.0)
        interval = binomtest(round(share * total), total).proportion_ci(method="wilson")
        yield {
            "day": labels.day,
            "label": label,
            "share": share,
            "low": interval.low,
            "high": interval.high,
        }


def _template() -> Any:
    loader = PackageLoader("bsky_assets.reporting")
    environment = Environment(loader=loader, autoescape=select_autoescape(default=True))
    environment.filters["percent"] = lambda share: f"{share:.1%}"
    environment.filters["points"] = lambda share: f"{100 * share:+.2f}"
    environment.filters["span"] = _span
    environment.filters["count"] = lambda number: f"{number:,}"
    return environment.get_template("report.html")


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else hours(timedelta(seconds=seconds))


def _numbers(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> dict[str, Any]:
    filtered, labels = lake.current(FilteredPost, day), lake.current(LlmLabel, day)
    if filtered is None or labels is None:
        missing = FilteredPost if filtered is None else LlmLabel
        raise NothingToReport(f"{day} has no {missing.asset} to report on; materialise them first")
    shares = pd.DataFrame(
        entry
        for partition in _trailing(lake, LlmLabel, day)
        for entry in share_intervals(partition)
    )
    return {
        "day": day,
        "version": report_version(),
        "written_at": now(),
        "partitions": [
            (row.asset, row.__doc__, partition)
            for row in ALL
            if row is not Quarantined and (partition := lake.current(row, day))
        ],
        "funnel": filtered.details["funnel"],
        "passed": filtered.details["passed"],
        "funnel_figure": figures.png(figures.funnel_figure(filtered)),
        "languages": list(filtered.details["languages"].items())[:TOP_REASONS],
        "posts": filtered.rows,
        "stop_rates_figure": _course(figures.stop_rates_figure, _stop_rates(lake, day)),
        "labels": labels.details,
        "labels_figure": figures.png(figures.labels_figure(labels)),
        "shares": list(share_intervals(labels)),
        "shares_figure": _course(figures.shares_over_time_figure, shares),
        "audit": _audit(con, lake, day),
        "quarantine": _quarantine(con, lake, day),
        "filter_version": filtered.details["filter_version"],
        "models": list(health.model_health(labels)),
    }


def _health(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date, timezone: ZoneInfo
) -> dict[str, Any]:
    day_before, changes = health.schema_changes(lake, day)
    return {
        "firehose": health.firehose_health(lake, day, timezone),
        "feeds": health.feeds_health(lake, day),
        "unknown_fields": health.fields_nobody_knows(con, lake, day),
        "day_before": day_before,
        "changes": changes,
    }


def _trailing(lake: Lake, row: Any, day: date) -> Iterator[Partition]:
    for back in range(TRAILING_DAYS - 1, -1, -1):
        if partition := lake.current(row, day - timedelta(days=back)):
            yield partition


def _course(draw: Callable[[pd.DataFrame], Figure], by_day: pd.DataFrame) -> str | None:
    """A picture of what changed from day to day; one day alone has no course."""
    if by_day.empty or by_day["day"].nunique() == 1:
        return None
    return figures.png(draw(by_day))


def _stop_rates(lake: Lake, day: date) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "day": partition.day,
            "filter": step["filter"],
            "rate": step["stopped"] / step["reached"] if step["reached"] else 0.0,
        }
        for partition in _trailing(lake, FilteredPost, day)
        for step in partition.details["funnel"]
    )


def _audit(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> list[dict[str, Any]]:
    """What each filter does to the shares; none where the day is not audited."""
    rows = lake.relation(con, AuditedShare, [day]).filter("shift IS NOT NULL")
    found: list[dict[str, Any]] = (
        rows.order("filter = 'all', filter, label").to_arrow_table().to_pylist()
    )
    return found


def _quarantine(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date
) -> list[tuple[str, str, int]]:
    # What each asset quarantined is a dataset of its own.
    aside = [partition for partition in lake.partitions(Quarantined) if partition.day == day]
    lake.attach(con)
    rows = con.sql(select_rows(Quarantined, aside))
    counted = rows.aggregate("source, reason, count(*) AS rows").order("rows DESC, source, reason")
    return counted.limit(TOP_REASONS).fetchall()
