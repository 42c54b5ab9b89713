"""What a changed contract puts out of date, as the Dagster UI shows it and a command lists it."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

from bsky_assets_tests.support.assets import EVERY_ASSET
from bsky_assets_tests.support.command import in_this_process
from bsky_assets_tests.support.sandbox_day import SandboxDay
from bsky_assets_tests.support.scratch_copy import TOUCHED, Scratch, scratch_copy
from bsky_assets_tests.support.ui import CHROMIUM, Platform, chromium, page_of, webserver

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium at /usr/bin or on PATH"),
]

TEXT = '    text: str = Field(description="The text, verbatim'
MOOD = '    mood: str | None = Field(None, description="A mood.")\n'


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_copy(tmp_path / "code")


@pytest.fixture
def ui(scratch: Scratch, sandbox_day: SandboxDay, tmp_path: Path) -> Iterator[Platform]:
    day = sandbox_day.copied(tmp_path / "data")
    with webserver(scratch.folder, day.data, scratch.environment(day.environment)) as platform:
        yield platform


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as browser, page_of(browser) as page:
        yield page


def test_a_column_added_to_the_record_shows_what_reads_it_as_unsynced_and_nothing_else(
    scratch: Scratch, ui: Platform, page: Page, sandbox_day: SandboxDay
) -> None:
    assert stale(ui, sandbox_day.day) == set()
    scratch.replace("contracts/records.py", TEXT, f"{MOOD}{TEXT}")
    reload_code(page, ui)
    assert stale(ui, sandbox_day.day) == set(TOUCHED)
    for asset in ("consolidated_posts", "raw_post_deletions"):
        assert is_marked(page, ui, asset, sandbox_day.day) == (asset in TOUCHED)
    # What is made from the text is the same in both packages: the loaded one need not load again.
    told = in_this_process("schema", "impact", "record.text", BSKY_DATA_DIR=str(ui.data))
    names = [line for line in told.stdout.splitlines() if not line.startswith(" ")]
    assert names == [f"{asset}: 1 day stored, {sandbox_day.day}" for asset in TOUCHED]


def stale(ui: Platform, day: date) -> set[str]:
    """The assets whose partition of `day` Dagster has for stale, as its pages are told."""
    status = f'{{ assetNodes {{ assetKey {{ path }} staleStatus(partition: "{day}") }} }}'
    asked = urllib.request.Request(
        f"{ui.url}/graphql",
        json.dumps({"query": status}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=240) as answer:
        nodes = json.load(answer)["data"]["assetNodes"]
    assert {node["assetKey"]["path"][0] for node in nodes} >= EVERY_ASSET
    return {node["assetKey"]["path"][0] for node in nodes if node["staleStatus"] == "STALE"}


def is_marked(page: Page, ui: Platform, asset: str, day: date) -> bool:
    """Whether the tab shows the mark; waits for it where the page was told to show it."""
    with page.expect_response(asking("AssetPartitionStaleQuery")) as told:
        page.goto(f"{ui.url}/assets/{asset}?view=partitions&partition={day}")
    is_stale = told.value.json()["data"]["assetNodeOrError"]["staleStatus"] == "STALE"
    page.get_by_text("Latest materialization").wait_for()
    expect(page.get_by_text("Unsynced")).to_have_count(int(is_stale))
    return is_stale


def reload_code(page: Page, ui: Platform) -> None:
    """Reload the code location as a person does."""
    page.goto(f"{ui.url}/locations")
    with page.expect_response(asking("reloadRepositoryLocation")):
        page.get_by_text("Reload", exact=True).click()


def asking(what: str) -> Callable[[Response], bool]:
    return lambda answer: what in (answer.request.post_data or "")
