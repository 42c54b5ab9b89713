"""The page of all days: made anew with each report, and of every day that has one."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from shutil import copytree

import pytest

from bsky_assets.contracts import FilteredPost
from bsky_assets.reporting.day import CheckOutcome
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.pointers import POINTER
from bsky_assets_tests.reporting.day_pages import BEFORE, DAY, Page, days_before, store, write


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake_dir)


def index(settings: Settings) -> Page:
    return Page(settings.reports_dir / "index.html")


def linked(page: Page) -> list[str]:
    return [link["href"] for link in page.all("a")]


@dataclass(frozen=True)
class Two:
    """Two days that were reported on one after the other."""

    settings: Settings
    after_one: Page
    """The page of all days when there was one."""
    page: Page
    """The page of the other day."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    """Nobody changes them; a third day is stored, and without a report."""
    own = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("two_days"))
    lake = Lake(own.lake_dir)
    for day in (BEFORE, DAY, DAY - timedelta(days=1)):
        store(lake, day)
    write(lake, own, day=BEFORE)
    return Two(own, index(own), write(lake, own))


def test_every_day_that_has_a_report_is_linked_latest_first(two: Two) -> None:
    assert linked(index(two.settings)) == [f"{DAY}.html", f"{BEFORE}.html"]
    assert "2 days." in index(two.settings).text


def test_a_day_has_its_numbers_and_how_many_notices(lake: Lake, settings: Settings) -> None:
    store(lake)
    failed = (CheckOutcome("a", name, False, "odd") for name in ("one", "two"))
    write(lake, settings, *failed)
    line = f"{DAY} 4 2 50.0% (35.2% to 64.8%) 50.0% (29.9% to 70.1%) 20.0% (8.1% to 41.6%) 2"
    assert line in index(settings).text


def test_a_course_is_drawn_from_the_second_day_on(two: Two) -> None:
    assert two.after_one.elements["svg"] == 0
    assert index(two.settings).elements["svg"] == 5


def test_a_damaged_day_is_listed_and_costs_no_other(
    lake: Lake, settings: Settings, two: Two
) -> None:
    copytree(two.settings.data_dir, settings.data_dir, dirs_exist_ok=True)
    (settings.lake_dir / FilteredPost.asset / f"sync_day={BEFORE}" / POINTER).write_text("")
    write(lake, settings)
    assert linked(index(settings)) == [f"{DAY}.html", f"{BEFORE}.html"]
    assert f"{BEFORE} – – " in index(settings).text


def test_files_of_somebody_else_are_left_out(lake: Lake, settings: Settings) -> None:
    store(lake)
    settings.reports_dir.mkdir(parents=True)
    (settings.reports_dir / "2026-99-99.html").write_text("not a day")
    (settings.reports_dir / "notes.html").write_text("notes")
    write(lake, settings)
    assert linked(index(settings)) == [f"{DAY}.html"]


def test_of_days_reported_on_together_none_is_left_out(lake: Lake, settings: Settings) -> None:
    days = [*days_before(3), DAY]
    for day in days:
        store(lake, day)
    with ThreadPoolExecutor(4) as together:
        list(together.map(lambda day: write(lake, settings, day=day), days))
    assert sorted(linked(index(settings))) == [f"{day}.html" for day in days]


def test_a_page_leads_to_the_index_and_to_the_report_before(two: Two) -> None:
    assert {"index.html", f"{BEFORE}.html"} <= set(linked(two.page))
