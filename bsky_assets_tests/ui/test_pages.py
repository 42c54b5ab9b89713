"""The Dagster UI of a real `bsky-assets run`, as a person sees it in a browser."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect

import bsky_assets
from bsky_assets.contracts import ConsolidatedPost, FilteredPost, Quarantined, Row, columns
from bsky_assets.reporting.report import report_of, write_page
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake, Partition
from bsky_assets_tests.support.places import ROOT
from bsky_assets_tests.support.sandbox_day import plain_environment
from bsky_assets_tests.support.ui import (
    CHROMIUM,
    Platform,
    chromium,
    expand_graph,
    launch,
    outcome,
    page_of,
    running_platform,
)
from testbed.rows import NOON, table

pytestmark = [
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
    with running_platform(folder, events=1500, **news_of(folder)) as platform:
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
        subprocess.run(
            [sys.executable, "-m", "bsky_assets", "codebook", *arguments],
            cwd=folder,
            env=plain_environment() | {"BSKY_DATA_DIR": str(folder / "data")},
            check=True,
            capture_output=True,
        )

    codebook("new", CODEBOOK)
    path = folder / f"{CODEBOOK}.toml"
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
def runs(browser: Browser, platform: Platform) -> Runs:
    """Both at once, since a run takes its time to start."""
    before = current(platform, ConsolidatedPost)
    with page_of(browser) as page:
        consolidated = launch(page, platform, "consolidated_posts")
        nobody = "ops: {llm_labels: {config: {models: [nobody]}}}"
        return Runs(consolidated, launch(page, platform, "llm_labels", nobody), before)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with page_of(browser) as page:
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


def test_a_first_visitor_sees_assets_and_no_dialog(page: Page, platform: Platform) -> None:
    with page.expect_response(lambda answer: "ShouldShowNux" in (answer.request.post_data or "")):
        page.goto(platform.url)
    page.get_by_text("Lineage", exact=True).click()
    page.locator("foreignObject").filter(has_text="ingest").first.wait_for()
    expect(page.locator("[role=dialog]")).to_have_count(0)


def test_the_lineage_graph_shows_every_asset_in_its_group(page: Page, platform: Platform) -> None:
    page.goto(f"{platform.url}/asset-groups")
    expand_graph(page)
    boxes = graph_boxes(page)
    for group, assets in GROUPS.items():
        for asset in assets:
            assert is_inside(boxes[asset], boxes[group]), asset


@pytest.mark.parametrize("row", [ConsolidatedPost, FilteredPost])
def test_an_asset_shows_its_columns_and_where_they_come_from(
    page: Page, platform: Platform, row: type[Row]
) -> None:
    page.goto(f"{platform.url}/assets/{row.asset}")
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


def test_a_partition_is_materialised_from_the_page_of_its_asset(
    page: Page, platform: Platform, runs: Runs
) -> None:
    assert outcome(page, runs.consolidated_posts) == "Success"
    expect(page.get_by_text(f"partition: {platform.day}")).to_be_visible()
    after = current(platform, ConsolidatedPost)
    assert after.path != runs.before.path
    assert after.rows == runs.before.rows


def test_metadata_tell_rows_and_a_sample_without_what_posts_say(
    page: Page, platform: Platform
) -> None:
    page.goto(f"{platform.url}/assets/filtered_posts")
    ((rows, passed),) = platform.rows(
        "SELECT count(*), count(*) FILTER (passed_filters) FROM filtered_posts"
    )
    expect(metadata_row(page, "dagster/partition_row_count")).to_contain_text(str(rows))
    expect(metadata_row(page, "passed")).to_contain_text(str(passed))
    expect(metadata_row(page, "sample")).to_contain_text("at://did:plc:")
    body = page.locator("body").inner_text()
    said = platform.rows("SELECT record.text FROM filtered_posts WHERE length(record.text) > 20")
    assert said
    assert not [text for (text,) in said if text in body]


@pytest.mark.parametrize(
    ("asset", "key"),
    [
        ("filtered_posts", "funnel"),
        ("daily_report", "labels"),
        (f"labels_{CODEBOOK}", "shares"),
    ],
)
def test_a_plot_is_drawn_on_the_page_of_its_asset(
    page: Page, platform: Platform, asset: str, key: str
) -> None:
    page.goto(f"{platform.url}/assets/{asset}")
    metadata_row(page, key).get_by_text("Show Markdown").click()
    plot = page.locator("img[src^='data:image/png']").first
    plot.wait_for()
    assert plot.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300


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


def test_the_words_of_the_readme_are_those_of_the_pages(page: Page, platform: Platform) -> None:
    readme = (ROOT / "README.md").read_text()
    told = re.findall(r"\*\*(.+?)\*\*", readme.partition("## Look at it")[2].partition("\n## ")[0])
    assert len(told) >= 3
    page.goto(f"{platform.url}/assets/daily_report")
    metadata_row(page, "report").wait_for()
    for word in told:
        expect(page.get_by_text(word, exact=True).first).to_be_visible()


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
    ((labelled,),) = platform.rows(f"SELECT count(answer) FROM labels_{CODEBOOK}")
    assert labelled > 0
    files = (path for path in Path(bsky_assets.__file__).parent.rglob("*") if path.is_file())
    assert [path for path in files if CODEBOOK.encode() in path.read_bytes()] == []


def test_an_article_is_counted_on_the_page_of_its_asset(page: Page, platform: Platform) -> None:
    page.goto(f"{platform.url}/assets/news_articles")
    expect(metadata_row(page, "dagster/partition_row_count")).to_contain_text("1")
    assert platform.rows("SELECT title FROM news_articles") == [("Senate votes on the budget",)]


def test_checks_are_listed_as_passed(page: Page, platform: Platform) -> None:
    page.goto(f"{platform.url}/assets/filtered_posts?view=checks")
    page.get_by_text("every_post_has_a_verdict").first.wait_for()
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible()
    expect(page.get_by_text("This is a blocking asset check")).to_be_visible()
    expect(page.get_by_text("Passed", exact=True)).to_be_visible()
    page.get_by_text("every_post_has_a_verdict").first.click()
    expect(metadata_row(page, "checked")).to_be_visible()


def test_a_check_that_checked_nothing_is_not_listed_as_passed(
    page: Page, platform: Platform
) -> None:
    page.goto(f"{platform.url}/assets/filtered_posts?view=checks")
    page.get_by_text("stop_rates_are_usual").first.click()
    expect(page.get_by_text("nothing was checked").first).to_be_visible()


def test_the_schedule_is_listed_with_its_time_zone(page: Page, platform: Platform) -> None:
    page.goto(f"{platform.url}/automation")
    page.get_by_text("daily_sync_schedule").first.click()
    expect(page.get_by_text("America/Chicago")).to_be_visible()
    expect(page.get_by_text("(0 16 * * *)")).to_be_visible()


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
