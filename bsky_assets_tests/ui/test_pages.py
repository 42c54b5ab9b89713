"""The Dagster UI of a real `bsky-assets run`, as a person sees it in a browser."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, BrowserContext, FloatRect, Locator, Page, expect

import bsky_assets
from bsky_assets.contracts import ConsolidatedPost, FilteredPost, Quarantined, Row, columns
from bsky_assets.reporting.report import report_of, write_page
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets_tests.support.command import in_this_process
from bsky_assets_tests.support.places import ROOT
from bsky_assets_tests.support.ui import (
    CHROMIUM,
    Platform,
    chromium,
    context_of,
    expand_graph,
    launch,
    outcome,
    page_of,
    running_platform,
)
from testbed.rows import NOON, table

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium at /usr/bin or on PATH"),
]

GROUPS = {
    "ingest": {
        "raw_firehose_posts",
        "raw_feed_posts",
        "raw_post_deletions",
        "raw_moderation_labels",
    },
    "posts": {"consolidated_posts", "filtered_posts"},
    "labels": {"llm_labels", "daily_report"},
    "news": {
        "news_articles",
        "article_embeddings",
        "news_context",
        "news_views",
        "context_effect",
    },
}
HOSTILE = "<script>document.title='taken'</script><img src=http://127.0.0.1:9/x onerror=alert(1)>"


CODEBOOK = "wistfulness"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("ui")
    add_codebook(folder)
    with running_platform(folder, events=600, **news_of(folder)) as platform:
        yield platform


def news_of(folder: Path) -> dict[str, str]:
    """News as their user sets them up: here a file with one article."""
    file = folder / "news.jsonl"
    told = {"title": "Senate votes on the budget", "url": "https://wire.example/1"}
    file.write_text(json.dumps({**told, "published": datetime.now(UTC).isoformat()}))
    return {"BSKY_NEWS_FEEDS": f"wire={file}", "BSKY_NEWS_VIEWS": "yes"}


def add_codebook(folder: Path) -> None:
    """A question of one's own, from `codebook new` to `codebook add`, as its user fills it in."""

    def codebook(*arguments: str) -> None:
        done = in_this_process("codebook", *arguments, BSKY_DATA_DIR=str(folder / "data"))
        assert done.returncode == 0, done.stderr

    with chdir(folder):
        codebook("new", CODEBOOK)
        path = Path(f"{CODEBOOK}.toml")
        text = path.read_text().replace('question = ""', 'question = "Is the post wistful?"')
        for said in ("It longs for what is gone.", "It does not."):
            text = text.replace('definition = ""', f'definition = "{said}"', 1)
        path.write_text(text)
        codebook("add", path.name)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@dataclass
class Runs:
    """Runs that a person started from the pages of assets: their addresses."""

    consolidated_posts: str
    llm_labels: str
    before: Partition
    """What was stored of consolidated_posts when its run was started."""


@pytest.fixture(scope="module")
def runs(visitor: BrowserContext, platform: Platform) -> Runs:
    """Both at once, since a run takes its time to start."""
    before = current(platform, ConsolidatedPost)
    with visitor.new_page() as page:
        consolidated = launch(page, platform, "consolidated_posts")
        nobody = "ops: {llm_labels: {config: {models: [nobody]}}}"
        return Runs(consolidated, launch(page, platform, "llm_labels", nobody), before)


@pytest.fixture(scope="module")
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """Somebody who looks at one page after another, and has the code of the UI from the first."""
    with context_of(browser) as context:
        yield context


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    with visitor.new_page() as page:
        yield page


def current(platform: Platform, row: type[Row]) -> Partition:
    partition = Lake(platform.data / "lake").current(row, date.fromisoformat(platform.day))
    assert partition
    return partition


def graph_boxes(page: Page) -> dict[str, FloatRect]:
    """Where the nodes of the lineage graph are; it shortens long names with an ellipsis."""
    boxes = {}
    names = [*GROUPS, *(asset for assets in GROUPS.values() for asset in assets)]
    for node in page.locator("foreignObject").all():
        shown, box = node.text_content() or "", node.bounding_box()
        head, cut, tail = shown.partition("…")
        for name in names:
            if box and (name == shown or (cut and name.startswith(head) and name.endswith(tail))):
                boxes[name] = box
    return boxes


def is_inside(inner: FloatRect, outer: FloatRect) -> bool:
    return (
        outer["x"] <= inner["x"]
        and outer["y"] <= inner["y"]
        and inner["x"] + inner["width"] <= outer["x"] + outer["width"]
        and inner["y"] + inner["height"] <= outer["y"] + outer["height"]
    )


def metadata_row(page: Page, key: str) -> Locator:
    """The row of the asset's page that tells `key`."""
    return page.locator("tr", has=page.locator("td").first.get_by_text(key, exact=True)).first


def show_plot(page: Page, key: str) -> None:
    """Have the plot drawn that the asset's page tells under `key`, and close it again."""
    metadata_row(page, key).get_by_text("Show Markdown").click()
    plot = page.locator("img[src^='data:image/png']").first
    plot.wait_for()
    assert plot.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    page.keyboard.press("Escape")
    plot.wait_for(state="detached")


def shows_columns(page: Page, row: type[Row]) -> None:
    """See that the asset's page shows its columns and where they come from."""
    schema = page.locator("table", has_text="Column name")
    schema.locator("tr").nth(1).wait_for()
    shown = {
        line.locator("td").first.inner_text().strip(): line.locator("td").last.inner_text()
        for line in schema.locator("tbody tr").all()
    }
    for column in columns(row):
        assert column.description in shown[column.name]
        for source in column.sources:
            assert source in shown[column.name].partition("←")[2]
    assert shown.keys() == {column.name for column in columns(row)}


def test_a_first_visitor_sees_every_asset_in_its_group_and_no_dialog(
    browser: Browser, platform: Platform
) -> None:
    with page_of(browser) as page:
        with page.expect_response(
            lambda answer: "ShouldShowNux" in (answer.request.post_data or "")
        ):
            page.goto(platform.url)
        page.get_by_text("Lineage", exact=True).click()
        page.locator("foreignObject").filter(has_text="ingest").first.wait_for()
        expect(page.locator("[role=dialog]")).to_have_count(0)
        expand_graph(page)
        boxes = graph_boxes(page)
    for group, assets in GROUPS.items():
        for asset in assets:
            assert is_inside(boxes[asset], boxes[group]), asset


def test_a_run_is_launched_from_the_page_of_an_asset(runs: Runs) -> None:
    # How they end is looked at last: meanwhile they run.
    assert runs.consolidated_posts != runs.llm_labels


def test_an_asset_shows_its_columns_and_where_they_come_from(
    page: Page, platform: Platform
) -> None:
    page.goto(f"{platform.url}/assets/consolidated_posts")
    shows_columns(page, ConsolidatedPost)


def test_an_asset_tells_columns_rows_a_plot_and_a_sample_without_what_posts_say(
    page: Page, platform: Platform
) -> None:
    page.goto(f"{platform.url}/assets/filtered_posts")
    ((rows, passed),) = platform.rows(
        "SELECT count(*), count(*) FILTER (passed_filters) FROM filtered_posts"
    )
    expect(metadata_row(page, "dagster/partition_row_count")).to_contain_text(str(rows))
    expect(metadata_row(page, "passed")).to_contain_text(str(passed))
    expect(metadata_row(page, "sample")).to_contain_text("at://did:plc:")
    shows_columns(page, FilteredPost)
    body = page.locator("body").inner_text()
    said = platform.rows("SELECT record.text FROM filtered_posts WHERE length(record.text) > 20")
    assert said
    assert not [text for (text,) in said if text in body]
    show_plot(page, "funnel")


def test_the_report_of_the_day_and_that_of_all_days_open_from_the_page_of_the_asset(
    page: Page, platform: Platform
) -> None:
    page.goto(f"{platform.url}/assets/daily_report")
    for key, title in {"report": f"Bluesky on {platform.day}", "index": "Bluesky"}.items():
        link = metadata_row(page, key).get_by_role("link").first
        with page.context.expect_page() as opened:
            link.click()
        opened.value.wait_for_load_state()
        assert opened.value.title().startswith(title)
        assert opened.value.locator("h1").count() == 1
        opened.value.close()
    readme = (ROOT / "README.md").read_text()
    told = re.findall(r"\*\*(.+?)\*\*", readme.partition("## Look at it")[2].partition("\n## ")[0])
    assert len(told) >= 3
    for word in told:  # the words of the README are those of the page
        expect(page.get_by_text(word, exact=True).first).to_be_visible()
    show_plot(page, "labels")


def test_nothing_that_run_printed_is_a_warning(platform: Platform) -> None:
    # What comes later is of runs that other tests here start from the pages.
    printed, served, _ = platform.output.read_text().partition("the UI is there")
    assert served
    warned = r"(?i)warn|deprecat|experimental|\bbeta\b|traceback|\bpreview\b"
    assert not [line for line in printed.splitlines() if re.search(warned, line)]


def test_a_question_of_ones_own_is_in_the_lineage_and_in_no_file_of_the_package(
    page: Page, platform: Platform
) -> None:
    page.goto(f"{platform.url}/assets/labels_{CODEBOOK}?view=lineage")
    page.locator("foreignObject").filter(has_text="filtered_posts").first.wait_for()
    page.goto(f"{platform.url}/assets/labels_{CODEBOOK}")
    page.get_by_text("Is the post wistful?").first.wait_for()
    show_plot(page, "shares")
    ((labelled,),) = platform.rows(f"SELECT count(answer) FROM labels_{CODEBOOK}")
    assert labelled > 0
    files = (path for path in Path(bsky_assets.__file__).parent.rglob("*") if path.is_file())
    assert [path for path in files if CODEBOOK.encode() in path.read_bytes()] == []


def test_an_article_is_counted_on_the_page_of_its_asset(page: Page, platform: Platform) -> None:
    page.goto(f"{platform.url}/assets/news_articles")
    expect(metadata_row(page, "dagster/partition_row_count")).to_contain_text("1")
    assert platform.rows("SELECT title FROM news_articles") == [("Senate votes on the budget",)]


def test_checks_are_listed_as_passed_but_one_that_checked_nothing(
    page: Page, platform: Platform
) -> None:
    page.goto(f"{platform.url}/assets/filtered_posts?view=checks")
    page.get_by_text("every_post_has_a_verdict").first.wait_for()
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible()
    expect(page.get_by_text("This is a blocking asset check")).to_be_visible()
    expect(page.get_by_text("Passed", exact=True)).to_be_visible()
    page.get_by_text("every_post_has_a_verdict").first.click()
    expect(metadata_row(page, "checked")).to_be_visible()
    page.get_by_text("stop_rates_are_usual").first.click()
    expect(page.get_by_text("nothing was checked").first).to_be_visible()


def test_the_schedule_is_listed_with_its_time_zone(page: Page, platform: Platform) -> None:
    page.goto(f"{platform.url}/automation")
    page.get_by_text("daily_sync_schedule").first.click()
    expect(page.get_by_text("America/Chicago")).to_be_visible()
    expect(page.get_by_text("(0 16 * * *)")).to_be_visible()


def test_a_partition_is_materialised_from_the_page_of_its_asset(
    page: Page, platform: Platform, runs: Runs
) -> None:
    assert outcome(page, runs.consolidated_posts) == "Success"
    expect(page.get_by_text(f"partition: {platform.day}")).to_be_visible()
    after = current(platform, ConsolidatedPost)
    assert after.path != runs.before.path
    assert after.rows == runs.before.rows


def test_a_failed_run_says_in_one_line_what_to_do(
    page: Page, platform: Platform, runs: Runs
) -> None:
    assert outcome(page, runs.llm_labels) == "Failure"
    told = page.get_by_text("has no model 'nobody'").first
    told.wait_for()
    assert "ollama pull nobody" in told.inner_text()
    ((labelled,),) = platform.rows("SELECT count(*) FROM llm_labels")
    assert labelled, "what was stored before is gone"


def test_the_report_takes_nothing_of_a_post_for_markup(
    browser: Browser, platform: Platform, tmp_path: Path
) -> None:
    report = hostile_report(platform, tmp_path)
    asked: list[str] = []
    with page_of(browser) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri(), wait_until="networkidle")
        assert page.title() == f"Bluesky on {platform.day}"
        assert HOSTILE in page.locator("body").inner_text()
        assert page.locator("script, iframe, link, img").count() == 0
        pictures = page.locator("figure svg")
        widths = pictures.evaluate_all("all => all.map(each => each.getBoundingClientRect().width)")
    assert widths
    assert min(widths) > 300
    assert {url for url in asked if not url.startswith("data:")} == {report.as_uri()}


def hostile_report(platform: Platform, folder: Path) -> Path:
    """The report of the day with markup in everything that came from the network."""
    day = date.fromisoformat(platform.day)
    shutil.copytree(platform.data / "lake", folder / "lake")
    lake = Lake(folder / "lake")
    filtered = lake.current(FilteredPost, day)
    assert filtered
    posts = pq.read_table(filtered.path).to_pylist()
    for post in posts:
        post["record"]["text"] = post["filter_reason"] = HOSTILE
    details = dict(filtered.details)
    details["funnel"] = [{**step, "reasons": {HOSTILE: 7}} for step in details["funnel"]]
    lake.write(FilteredPost, day, table(FilteredPost, posts), details)
    odd = {
        "source": HOSTILE,
        "origin": HOSTILE,
        "position": HOSTILE,
        "reason": HOSTILE,
        "detail": HOSTILE,
        "content": HOSTILE.encode(),
        "received_at": NOON,
    }
    lake.write_quarantine("raw_feed_posts", day, table(Quarantined, [odd]))
    with duckdb.connect() as con:
        settings = Settings(_env_file=None, data_dir=folder)
        return write_page(report_of(con, lake, settings, day), lake, settings)
