"""How reports look: to a screen reader, on a telephone, in the dark, on paper."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bsky_assets.contracts import AuditedShare
from bsky_assets.reporting.day import CheckOutcome
from bsky_assets.reporting.palette import DARK, LIGHT
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.reporting.day_pages import DAY, Page, audited, days_before, store, write
from bsky_assets_tests.support.ui import CHROMIUM, chromium
from testbed.rows import table

pytestmark = pytest.mark.scenario

GROUNDS, TEXTS = ("ground", "card", "notice"), ("ink", "muted", "link")
MARKS = ("political", "left", "right", "moderate", "unclear", "neutral", "alarm")
A4_PIXELS = round((210 - 2 * 14) / 25.4 * 96)
"""The width that is printed on."""

CUT = """all => all.filter(each => each.scrollWidth > each.clientWidth + 1)
    .map(each => each.innerText)"""
"""The tables of which a part is outside of the screen or the paper."""
BROKEN = r"""all => all.flatMap(cell => {
    const words = /sociopolitical|moderate|\d{4}-\d\d-\d\d/.exec(cell.textContent);
    const text = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT).nextNode();
    if (!words || text.data.trim() != cell.textContent.trim()) return [];
    const range = document.createRange();
    range.setStart(text, words.index);
    range.setEnd(text, words.index + words[0].length);
    return range.getClientRects().length > 1 ? [words[0]] : [];
})"""
"""Labels and days that are on two lines."""

browser_test = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium at /usr/bin or on PATH"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of a data directory that no test changes."""
    return Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def pages(settings: Settings) -> dict[str, Page]:
    """A day's page and the index, with a course, notices, gaps and long names."""
    lake = Lake(settings.lake_dir)
    for day in days_before(4):
        store(lake, day)
        write(lake, settings, day=day)
    store(lake, hostile="an_unusually_long_name_without_a_space_that_somebody_thought_of" * 2)
    labels = ("left", "moderate", "not_sociopolitical", "sociopolitical")
    rows = [
        audited(name, label, share=1.0, shift=(-0.1234, -0.1456, 0.1089))
        for name in ("all", "hate_speech")
        for label in labels
    ]
    lake.write(AuditedShare, DAY, table(AuditedShare, rows))
    long = CheckOutcome(
        "llm_labels", "a_check", False, "at://did:plc:a/app.bsky.feed.post/" + "x" * 200
    )
    page = write(lake, settings, long, CheckOutcome("raw_firehose_posts", "another", True, ""))
    return {"report": page, "index": Page(settings.reports_dir / "index.html")}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize("name", ["report", "index"])
def test_headings_follow_each_other_without_a_jump(pages: dict[str, Page], name: str) -> None:
    levels = [int(tag[1]) for tag, _ in pages[name].found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("name", ["report", "index"])
def test_every_table_has_a_caption_and_headings_of_rows_and_columns(
    pages: dict[str, Page], name: str
) -> None:
    page = pages[name]
    assert page.elements["table"] == page.elements["caption"] > 0
    scopes = [heading["scope"] for heading in page.all("th")]
    assert set(scopes) == {"col", "row"}
    rows = page.elements["tr"] - page.elements["thead"]
    assert scopes.count("row") == rows


@pytest.mark.parametrize("name", ["report", "index"])
def test_every_picture_is_told_in_words(pages: dict[str, Page], name: str) -> None:
    page = pages[name]
    pictures = page.all("svg")
    assert len(pictures) >= 5
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for picture in pictures:
        assert picture["role"] == "img"
        assert set(picture["aria-labelledby"].split()) <= set(ids)
    told = re.findall(r"<(title|desc) id=[^>]*>([^<]*)<", page.source)
    assert len(told) == 2 * len(pictures)
    assert all(words.strip() for _, words in told)


def test_pictures_keep_their_text_and_take_the_colours_of_the_page(pages: dict[str, Page]) -> None:
    pictures = re.findall(r"<svg.*?</svg>", pages["report"].source, re.DOTALL)
    assert ">26.1%<" not in "".join(pictures)
    assert ">50.0%<" in "".join(pictures)
    assert not re.findall(r"#[0-9a-fA-F]{6}", "".join(pictures))
    assert {name for picture in pictures for name in re.findall(r"var\(--(\w+)\)", picture)} <= {
        *LIGHT
    }


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_marks_stand_out_from_their_ground(palette: dict[str, str]) -> None:
    assert palette.keys() == LIGHT.keys()
    for ground in GROUNDS:
        for text in TEXTS:
            assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground)
    for ground in ("ground", "card"):
        for mark in MARKS:
            assert contrast(palette[mark], palette[ground]) >= 3, (mark, ground)


def test_contrast_is_measured_as_the_guidelines_say() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", ["report", "index"])
@browser_test[0]
@browser_test[1]
def test_a_page_shows_all_of_itself_and_breaks_no_word_that_it_knows(
    pages: dict[str, Page], settings: Settings, browser: Browser, name: str
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(address(settings, name))
        assert page.locator("h1").inner_text()
        for width in (320, 390, 768, 820, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if width > 320:
                cut = page.locator(".scroll").evaluate_all(CUT)
                assert not cut, width
                broken = page.locator("tbody th, td").evaluate_all(BROKEN)
                assert not broken, width
        page.emulate_media(media="print")
        page.set_viewport_size({"width": A4_PIXELS, "height": 1000})
        assert page.evaluate("document.documentElement.scrollWidth") <= A4_PIXELS
        cut = page.locator(".scroll").evaluate_all(CUT)
        assert not cut, "on paper"
        hidden = page.locator(".meanings dl").evaluate_all(
            "all => all.filter(each => !each.checkVisibility()).length"
        )
        assert not hidden, "what a number means is not printed"


@browser_test[0]
@browser_test[1]
def test_the_dark_page_is_dark_and_prints_light(
    pages: dict[str, Page], settings: Settings, browser: Browser
) -> None:
    def ground(scheme: str, media: str) -> str:
        page.emulate_media(color_scheme=scheme, media=media)  # type: ignore[arg-type]
        found = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", found))

    with browser.new_context() as context:
        page = context.new_page()
        page.goto(address(settings, "report"))
        assert ground("light", "screen") == LIGHT["ground"]
        assert ground("dark", "screen") == DARK["ground"]
        assert ground("dark", "print") == LIGHT["ground"]
        page.emulate_media(color_scheme="dark", media="screen")
        ink = page.locator("svg text").first.evaluate("text => getComputedStyle(text).fill")
        assert re.findall(r"\d+", ink) == [str(int(DARK["ink"][n : n + 2], 16)) for n in (1, 3, 5)]


def address(settings: Settings, name: str) -> str:
    return Path(settings.reports_dir, f"{DAY if name == 'report' else name}.html").as_uri()


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2, from its definition of relative luminance."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
