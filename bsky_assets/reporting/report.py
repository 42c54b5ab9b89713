"""The daily report: one page that a researcher reads each morning, with nothing from outside.

What belongs here: putting the page of a day together and in its place, and the index of all days
beside it. What it says is in `sections` and `marks`, how it looks in `rendering` and `templates`.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa

from bsky_assets.contracts import FilteredPost
from bsky_assets.errors import UserError
from bsky_assets.reporting.day import CheckOutcome, StoredDay
from bsky_assets.reporting.head import MADE_FROM, NOTICES, VERSION, WRITTEN_AT, report_path
from bsky_assets.reporting.index import report_days, write_index
from bsky_assets.reporting.marks import marks
from bsky_assets.reporting.page import Notice, Page, Section, Text
from bsky_assets.reporting.rendering import render
from bsky_assets.reporting.sections import ANSWER, DETAILS, TRUST, Maker
from bsky_assets.reporting.version import report_version
from bsky_assets.settings import Settings
from bsky_assets.storage.files import staged
from bsky_assets.storage.inputs import report_inputs, versions
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import now

UNREADABLE = (OSError, duckdb.Error, pa.ArrowException, UserError)
"""What a section that reads a damaged file raises."""


class NothingToReport(UserError):
    """The day is not filtered."""


def write_page(page: Page, lake: Lake, settings: Settings) -> Path:
    """Write what a report says, and the index anew; returns the page's path.

    Raises:
        UnusableDataDirectory: the folder cannot be written to.
    """
    target = report_path(settings.reports_dir, page.day)
    head = {
        VERSION: page.version,
        NOTICES: str(len(page.notices) + len(page.marks)),
        WRITTEN_AT: page.written_at.isoformat(),
        MADE_FROM: orjson.dumps(page.made_from).decode(),
    }
    with staged(target) as path:
        html = render("report.html", page.timezone, page=page, head=head)
        path.write_text(html, encoding="utf-8")
    write_index(lake, settings.reports_dir, page.timezone)
    return target


def report_of(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    settings: Settings,
    day: date,
    checks: Sequence[CheckOutcome] = (),
    lacks: Sequence[str] = (),
) -> Page:
    """What the report of `day` says.

    Raises:
        NothingToReport: the day is not filtered.
    """
    stored = StoredDay(con, lake, settings, day, checks, lacks)
    asset = FilteredPost.asset
    if stored.filtered is None and asset not in stored.damaged:
        raise NothingToReport(f"{day} has no {asset} to report on; materialise them first")
    answer, trust, details = (_made(makers, stored) for makers in (ANSWER, TRUST, DETAILS))
    earlier = (known for known in report_days(settings.reports_dir) if known < day)
    return Page(
        day=day,
        version=report_version(),
        made_from=versions(lake, report_inputs(lake), day),
        written_at=now(),
        timezone=settings.timezone,
        marks=tuple(marks(stored)),
        answer=answer,
        trust=trust,
        details=details,
        notices=_notices((*answer, *trust, *details)),
        checked=sum(not check.is_empty for check in checks),
        earlier=max(earlier, default=None),
    )


def _made(makers: Iterable[Maker], day: StoredDay) -> tuple[Section, ...]:
    return tuple(section for maker in makers if (section := _section(maker, day)))


def _section(maker: Maker, day: StoredDay) -> Section | None:
    """What `maker` makes of the day; where it cannot read it, a section that says so."""
    try:
        return maker(day)
    except UNREADABLE as error:
        name = maker.__module__.rpartition(".")[2]
        said = f"This part cannot be made: {str(error).splitlines()[0]}"
        todo = f"Make the day again: `bsky-assets materialize --day {day.day}`."
        notice = Notice("", f"The part “{name}” of this page is missing.", todo, is_error=True)
        return Section(name, name.capitalize(), (Text((said,)),), (notice,))


def _notices(sections: Iterable[Section]) -> tuple[Notice, ...]:
    """What all sections have to tell, each once, errors first."""
    found: Iterator[Notice] = (notice for section in sections for notice in section.notices)
    return tuple(sorted(dict.fromkeys(found), key=lambda notice: not notice.is_error))
