"""The page of a day: what it says in every state of the day, and what it warns of."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from dagster import AssetsDefinition, DagsterInstance, materialize
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from bsky_assets.assets.daily_report import daily_report
from bsky_assets.contracts import AuditedShare, FilteredPost, LlmLabel, RawFeedPost, Row
from bsky_assets.definitions import build_defs
from bsky_assets.orchestration.of_settings import of_settings
from bsky_assets.orchestration.resources import DataDirectory, duckdb_resource
from bsky_assets.orchestration.staleness import stale
from bsky_assets.reporting.day import CheckOutcome
from bsky_assets.reporting.measures import share
from bsky_assets.reporting.remedies import remedy
from bsky_assets.reporting.report import NothingToReport, report_of, write_page
from bsky_assets.reporting.version import report_version
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.pointers import POINTER
from bsky_assets.sync_day import today
from bsky_assets_tests.reporting.day_pages import (
    BEFORE,
    DAY,
    HOSTILE,
    Page,
    audited,
    days_before,
    store,
    store_filtered,
    store_labels,
    store_raw,
    write,
)
from testbed.rows import feed_post, table

LEAVES = "at://did:plc:a/app.bsky.feed.post/1"


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake_dir)


GAPS = CheckOutcome("raw_firehose_posts", "firehose_has_no_gaps", False, "3 events missing")
FINE = CheckOutcome("llm_labels", "label_shares_in_range", True, "")
EMPTY = CheckOutcome("llm_labels", "a_check", False, "nothing was checked: none", is_empty=True)


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a first day, on which a check failed twice and another had nothing to look at."""
    own = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("first_day"))
    lake = Lake(own.lake_dir)
    store(lake)
    return write(lake, own, GAPS, GAPS, FINE, EMPTY)


@pytest.fixture(scope="module")
def usual_day(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a day of which no check was made."""
    own = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("usual_day"))
    lake = Lake(own.lake_dir)
    store(lake)
    return write(lake, own)


def break_file(lake: Lake, row: type[Row], day: date = DAY) -> None:
    partition = lake.current(row, day)
    assert partition
    path = Path(str(partition.path))
    path.write_bytes(path.read_bytes()[:20])


def test_the_answer_comes_first_with_intervals(first_day: Page) -> None:
    page = first_day
    assert (
        "4 posts were received; 2 are in English and passed the filters. "
        "Of these, 50.0% (35.2% to 64.8%) are political. "
        "Of the political ones 50.0% (29.9% to 70.1%) take the side of the left, "
        "20.0% (8.1% to 41.6%) that of the right, 10.0% (2.8% to 30.1%) a moderate position "
        "and 20.0% (8.1% to 41.6%) no clear side."
    ) in page.text
    places = [page.text.index(said) for said in ("The answer", "Can it be trusted?", "Details")]
    assert places[0] < page.text.rindex("Can it be trusted?") < page.text.rindex("Details")


@given(
    st.integers(1, 10**7).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole)))
)
def test_intervals_are_wilsons(of: tuple[int, int]) -> None:
    part, whole = of
    found = share(DAY, part, whole)
    assert found
    expected = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("political", "said"),
    [
        (0.5, "within the range of the 3 days before (40.0% to 60.0%)"),
        (0.7, "more than on any of the 3 days before (40.0% to 60.0%)"),
        (0.2, "less than on any of the 3 days before (40.0% to 60.0%)"),
    ],
)
def test_the_day_is_held_against_the_fortnight(
    lake: Lake, settings: Settings, political: float, said: str
) -> None:
    for day, part in zip(days_before(3), (0.4, 0.6, 0.5), strict=True):
        store_filtered(lake, day)
        store_labels(lake, day, shares={"left": part, "not_sociopolitical": 1 - part})
    store_filtered(lake)
    store_labels(lake, shares={"left": political, "not_sociopolitical": 1 - political})
    page = write(lake, settings)
    assert said in page.text
    assert "Of the 14 days before, 3 are stored." in page.text


def test_two_days_make_nothing_usual(lake: Lake, settings: Settings) -> None:
    for day in days_before(2):
        store(lake, day)
    store(lake)
    page = write(lake, settings)
    assert "days before (" not in page.text
    assert "Of the 14 days before, 2 are stored." in page.text


def test_a_day_older_than_a_fortnight_is_not_compared_with(lake: Lake, settings: Settings) -> None:
    store(lake, DAY - timedelta(days=15))
    store(lake)
    assert "there is nothing to compare with" in write(lake, settings).text


def test_the_first_day_says_that_it_is(first_day: Page) -> None:
    told = "None of the 14 days before is stored: there is nothing to compare with."
    assert told in first_day.text
    assert "There is no earlier day to compare columns and versions with." in first_day.text


def test_the_page_tells_of_coverage_models_and_changes(lake: Lake, settings: Settings) -> None:
    store(lake, BEFORE)
    store(lake, version="v2")
    page = write(lake, settings)
    for said in (
        "Read of the day 26.1%",  # six of the 23 hours that this day has
        "Events 1,234",
        "Gaps 1",
        "Missing events 3",
        "Behind at most 9 h 25 min",
        "harmless 2 1 0 4 0.25, 1.50 s",
        "left 10 25.0% (14.2% to 40.2%)",
        "not political 20 50.0%",
        "harmless raw_feed_posts 1",
        f"Changed since {BEFORE}",
        "filtered_posts filter version v1 v2",
        f"mood raw_firehose_posts 1 {LEAVES}",
        "english harmless 1",
    ):
        assert said in page.text, said


def test_a_field_is_marked_as_new_on_the_first_day(first_day: Page) -> None:
    assert f"mood (new) raw_firehose_posts 1 {LEAVES}" in first_day.text


def test_each_failed_check_is_told_once_with_what_to_do(first_day: Page) -> None:
    assert first_day.text.count("3 events missing") == 1
    told = f"3 events missing ( raw_firehose_posts ) What to do: {remedy(GAPS.name)}"
    assert told in first_day.text
    assert "Passed: label shares in range." in first_day.text
    assert {"name": "bsky-assets-notices", "content": "1"} in first_day.all("meta")


def test_a_check_that_had_nothing_to_look_at_is_no_notice(first_day: Page) -> None:
    assert "1 of 4 passed." in first_day.text
    assert "Not made: a check: nothing was checked: none." in first_day.text
    assert first_day.text.count("What to do") == 1  # for the one that failed


def test_what_of_the_day_is_not_in_it_is_told(lake: Lake, settings: Settings) -> None:
    store(lake)
    with duckdb.connect() as con:
        told = report_of(con, lake, settings, DAY, (), ["llm_labels: is not made yet"])
    page = Page(write_page(told, lake, settings))
    assert "Not yet in this report: llm_labels: is not made yet." in page.text


def test_with_all_checks_passed_nothing_speaks_against_the_day(
    lake: Lake, settings: Settings
) -> None:
    store(lake)
    page = write(lake, settings, FINE)
    assert "No check speaks against these numbers." in page.text
    assert "What to do" not in page.text


@pytest.mark.parametrize(
    "checks",
    [(), (CheckOutcome("llm_labels", "a_check", False, "nothing was checked", is_empty=True),)],
)
def test_where_no_check_was_made_the_page_does_not_say_that_none_speaks_against_the_day(
    lake: Lake, settings: Settings, checks: tuple[CheckOutcome, ...]
) -> None:
    store(lake, gap=False)
    page = write(lake, settings, *checks)
    assert "No check speaks against these numbers." not in page.text
    assert "No check was made that could speak against these numbers." in page.text


def test_the_audit_of_the_filters_is_drawn_all_together_and_one_by_one(
    lake: Lake, settings: Settings, usual_day: Page
) -> None:
    assert not {"audit", "audit-by-filter"} & {one.get("id") for one in usual_day.all("section")}
    assert "Do the filters move the shares?" not in usual_day.text
    store(lake)
    rows = [
        audited("all", "left", share=0.125, shift=(-0.0123, -0.02, 0.001)),
        audited("spam", "left", share=0.25, shift=(0.0345, 0.01, 0.06)),
        audited("hate_speech", "left", share=0.5, shift=(None, None, None)),
    ]
    lake.write(AuditedShare, DAY, table(AuditedShare, rows))
    before, _, trust = write(lake, settings).text.partition("Do the filters move the shares?")
    assert "-1.23" not in before
    together, _, by_filter = trust.partition("What each filter does to the shares")
    assert "all left 20 12.5% -1.23 (-2.00 to +0.10)" in together
    assert "spam left" not in together
    assert "spam left 20 25.0% +3.45 (+1.00 to +6.00)" in by_filter
    assert "hate speech left" not in by_filter


def test_every_check_has_a_remedy_of_its_own(settings: Settings) -> None:
    unheard_of = remedy("no_such_check")
    with_all = settings.model_copy(update={"news_feeds": {"a": "https://a.example/rss"}})
    checks = {
        key.name
        for asset in build_defs(with_all).assets or ()
        if isinstance(asset, AssetsDefinition)
        for key in asset.check_keys
    }
    assert checks
    assert not [name for name in sorted(checks) if remedy(name) == unheard_of]


def test_a_day_without_labels_is_reported_on_and_says_how_to_make_them(
    lake: Lake, settings: Settings
) -> None:
    store_raw(lake)
    store_filtered(lake)
    page = write(lake, settings)
    assert "None of them has a label yet." in page.text
    assert f"bsky-assets materialize --day {DAY} --select 'llm_labels+'" in page.text
    assert "Political –" in page.text


def test_a_day_of_which_nothing_passed_says_so(lake: Lake, settings: Settings) -> None:
    store_raw(lake)
    store_filtered(lake, passed=0)
    store_labels(lake, labelled=0)
    page = write(lake, settings)
    assert "No post passed the filters" in page.text
    assert "There is none to label." in page.text
    assert "No labels yet" not in page.text


@pytest.mark.parametrize("row", [FilteredPost, LlmLabel, RawFeedPost])
@pytest.mark.parametrize("part", ["file", "pointer"])
def test_damage_costs_what_is_damaged_and_the_page_names_it(
    lake: Lake, settings: Settings, row: type[Row], part: str
) -> None:
    store(lake)
    if part == "file":
        break_file(lake, row)
    else:
        (settings.lake_dir / row.asset / f"sync_day={DAY}" / POINTER).write_text("")
    page = write(lake, settings)
    assert f"Damaged: {row.asset} on {DAY}" in page.text
    assert "bsky-assets doctor" in page.text
    assert "What is stored of the day" in page.text


def test_a_damaged_earlier_day_is_no_day_to_compare_with(lake: Lake, settings: Settings) -> None:
    for day in days_before(4):
        store(lake, day)
    store(lake)
    (settings.lake_dir / FilteredPost.asset / f"sync_day={BEFORE}" / POINTER).write_text("{")
    assert "Of the 14 days before, 3 are stored." in write(lake, settings).text


def test_the_asset_reports_on_a_damaged_day(lake: Lake, settings: Settings) -> None:
    store(lake)
    break_file(lake, RawFeedPost)
    with DagsterInstance.ephemeral() as instance:
        run = materialize(
            [of_settings(daily_report, settings)],
            partition_key=str(DAY),
            instance=instance,
            resources={"data": DataDirectory(settings), "duckdb": duckdb_resource(settings)},
        )
    (made,) = run.asset_materializations_for_node("daily_report")
    page = Page(Path(str(made.metadata["report"].value)))
    assert "Damaged: raw_feed_posts" in page.text
    assert "the others were not made" in page.text
    answer = str(made.metadata["answer"].value)
    assert "| Political | 50.0% (35.2% to 64.8%) |" in answer
    assert Path(str(made.metadata["index"].value)).is_file()


def test_a_part_that_cannot_be_read_is_named_and_the_others_stand(
    lake: Lake, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(lake)
    gold = tmp_path / "gold.csv"
    gold.write_text("nothing,of,use\n1,2,3\n")
    monkeypatch.setenv("BSKY_LLM_GOLD", str(gold))
    get_settings.cache_clear()
    page = write(lake, get_settings())
    assert "The part “people” of this page is missing." in page.text
    assert "This part cannot be made:" in page.text
    assert "Read of the day" in page.text


def test_a_day_that_is_not_over_says_until_when(
    lake: Lake, settings: Settings, usual_day: Page
) -> None:
    store_filtered(lake, day := today(settings.timezone))
    store_labels(lake, day)
    page = write(lake, settings, day=day)
    assert f"This day is not over: it ends at {day + timedelta(days=1)} 00:00." in page.text
    assert "not over" not in usual_day.text


def test_made_up_posts_are_marked_and_real_ones_are_not(
    lake: Lake, settings: Settings, usual_day: Page
) -> None:
    assert "Made up" not in usual_day.text
    store(lake)
    store_labels(lake, model="sandbox")
    page = write(lake, settings)
    assert "Made up: the labels are by sandbox" in page.text.replace("  ", " ")
    assert "Use no number of this page." in page.text


def test_times_are_of_one_timezone_which_is_named_once(lake: Lake, settings: Settings) -> None:
    store(lake)
    page = write(lake, settings)
    assert page.text.count("America/Chicago") == 1
    assert "UTC" not in page.text
    written = lake.current(FilteredPost, DAY)
    assert written
    assert f"{written.written_at.astimezone(settings.timezone):%Y-%m-%d %H:%M}" in page.text


def test_nothing_from_outside_is_markup_or_fetched(lake: Lake, settings: Settings) -> None:
    store(lake)
    plain = write(lake, settings, CheckOutcome("a", "b", False, "c"))
    store(lake, hostile=HOSTILE)
    page = write(lake, settings, CheckOutcome("a", "b", False, HOSTILE))
    assert not {"script", "img", "iframe", "link", "object", "form"} & set(page.elements)
    assert set(page.elements) == set(plain.elements)
    assert page.text.count("{{ 7*7 }}") >= 6
    for tag, attributes in page.found:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "src" not in attributes
        href = attributes.get("href", "#")
        assert href.startswith(("#", "https://bsky.app/profile/did:")) or (
            tag == "a" and href == "index.html"
        )
    assert "url(" not in page.source.replace("url(#", "")
    assert "@import" not in page.source


def test_addresses_of_posts_alone_become_links(lake: Lake, settings: Settings) -> None:
    links = {
        f"see {LEAVES}.": "https://bsky.app/profile/did:plc:a/post/1",
        "at://did:web:example.com/app.bsky.feed.post/3k-_~2": (
            "https://bsky.app/profile/did:web:example.com/post/3k-_~2"
        ),
        "https://evil.example/": None,
        "javascript:alert(1)": None,
        'at://did:plc:b/app.bsky.feed.post/1"onclick=x': (
            "https://bsky.app/profile/did:plc:b/post/1"
        ),
        "at://evil.example/app.bsky.feed.post/1": None,
        "at://did:plc:a/../../x/app.bsky.feed.post/1": None,
    }
    store_filtered(lake)
    store_labels(lake)
    checks = [CheckOutcome("llm_labels", f"check_{n}", False, said) for n, said in enumerate(links)]
    page = write(lake, settings, *checks)
    for number in range(len(links)):
        assert f"“check {number}”" in page.text
    hrefs = [each["href"] for each in page.all("a")]
    found = [href for href in hrefs if "bsky.app" in href]
    assert found == [link for link in links.values() if link]
    assert "evil.example" not in "".join(hrefs)
    assert "javascript" not in "".join(hrefs)


def test_the_page_does_not_grow_with_what_strangers_send(
    lake: Lake, settings: Settings, usual_day: Page
) -> None:
    store(lake)
    long = "x" * 5_000
    feeds = {f"{long}{n}": {"items": 1, "problem": long} for n in range(500)}
    items = table(RawFeedPost, [feed_post("did:plc:b", "2")])
    lake.write(RawFeedPost, DAY, items, {"feeds": feeds})
    checks = [CheckOutcome("a", f"b{n}", False, long) for n in range(500)]
    page = write(lake, settings, *checks)
    assert len(page.source) < len(usual_day.source) + 200_000
    assert "more are not shown" in page.text
    assert "more rows are not shown" in page.text


def test_the_page_says_which_lineage_it_is_of(lake: Lake, settings: Settings) -> None:
    store(lake)
    page = write(lake, settings)
    assert {"name": "bsky-assets-version", "content": report_version()} in page.all("meta")
    assert not [each for each in stale(lake, settings) if each.asset == "daily_report"]
    path = settings.reports_dir / f"{DAY}.html"
    path.write_text(path.read_text().replace(report_version(), "earlier"))
    found = [each.day for each in stale(lake, settings) if each.asset == "daily_report"]
    assert found == [DAY]


def test_a_day_without_filtered_posts_is_refused(lake: Lake, settings: Settings) -> None:
    store_raw(lake)
    with (
        duckdb.connect() as con,
        pytest.raises(NothingToReport, match=f"{DAY} has no filtered_posts"),
    ):
        report_of(con, lake, settings, DAY)


def test_agreement_with_people_and_corrected_shares_are_told(
    lake: Lake, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_filtered(lake)
    posts = {f"at://did:plc:a/app.bsky.feed.post/{n}": "left" if n < 5 else None for n in range(10)}
    store_labels(lake, posts=posts)
    assert "no share is corrected: there are no labels by people" in write(lake, settings).text
    gold = tmp_path / "gold.csv"
    lines = (f"{uri},{'left' if number < 4 else 'none'}" for number, uri in enumerate(posts))
    gold.write_text("\n".join(["uri,political_ideology", *lines]))
    monkeypatch.setenv("BSKY_LLM_GOLD", str(gold))
    get_settings.cache_clear()
    page = write(lake, get_settings())
    assert "political ideology 10 90.0%" in page.text
    assert "left 50.0% 40.0%" in page.text
    assert "there are no labels by people" not in page.text
