"""The room for coders in a browser, with the keyboard alone."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import krippendorff
import pytest
from playwright.sync_api import Browser, Page, expect

from bsky_assets.analysis.coding.agreement import agreement
from bsky_assets.analysis.coding.room import coded
from bsky_assets_tests.analysis.coding.rooms import ANSWERS, made, opened, settings_of
from bsky_assets_tests.support.ui import CHROMIUM, PATIENCE, chromium, page_of

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium at /usr/bin or on PATH"),
]
POSTS = 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def visit(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#progress")).to_have_text(f"0 of {POSTS}")


def press(page: Page, key: str, done: int) -> None:
    """Press a key, and wait until the page shows what came of it."""
    page.keyboard.press(key)
    # At every frame: what is expected of a locator is looked for ten times a second.
    shown = "said => document.querySelector('#progress').textContent === said"
    page.wait_for_function(shown, arg=f"{done} of {POSTS}", timeout=PATIENCE)


def test_two_coders_code_every_post_with_the_keyboard_alone(
    browser: Browser, tmp_path: Path
) -> None:
    room = made(tmp_path, POSTS, "ada", "ben")
    dice = random.Random(1)
    truth = dice.choices(range(5), weights=[60, 20, 5, 5, 10], k=POSTS)
    keys = {
        coder: [t if dice.random() < 0.8 else dice.randrange(5) for t in truth]
        for coder in ("ada", "ben")
    }
    with opened(room, settings_of(tmp_path)) as server:
        for coder, mine in keys.items():
            with page_of(browser) as page:
                visit(page, server.addresses[coder])
                for done, key in enumerate(mine, start=1):
                    press(page, str(key + 1), done)
                expect(page.locator("#text")).to_have_text("All done. Thank you.")
    said = {
        coder: {n: entry.value for n, entry in mine.items()} for coder, mine in coded(room).items()
    }
    assert {c: [ANSWERS.index(said[c][n]) for n in range(1, POSTS + 1)] for c in said} == keys
    expected = krippendorff.alpha([*keys.values()], level_of_measurement="nominal")
    assert agreement(said, [])[0].alpha.value == pytest.approx(expected)


def test_undo_memo_and_markup_in_a_post(browser: Browser, tmp_path: Path) -> None:
    room = made(tmp_path, POSTS, "ada")
    with opened(room, settings_of(tmp_path)) as server, page_of(browser) as page:
        visit(page, server.addresses["ada"])
        expect(page.locator("#text")).to_have_text("Text number 1 <b>&")
        expect(page.locator("#codebook")).to_contain_text("politics of the United States")
        press(page, "2", 1)
        press(page, "u", 0)
        press(page, "3", 1)
        page.keyboard.press("m")
        page.keyboard.type("1 u 2")
        page.keyboard.press("Escape")
        expect(page.locator("#progress")).to_have_text(f"1 of {POSTS}")
        press(page, "1", 2)
        press(page, "u", 1)
        expect(page.locator("#memo")).to_have_value("1 u 2")
        assert page.locator("#text b").count() == 0
    assert {n: entry.value for n, entry in coded(room)["ada"].items()} == {1: "right"}


def test_a_page_whose_room_was_closed_says_that_nothing_is_saved(
    browser: Browser, tmp_path: Path
) -> None:
    room = made(tmp_path, POSTS, "ada")
    with page_of(browser) as page:
        with opened(room, settings_of(tmp_path)) as server:
            visit(page, server.addresses["ada"])
            press(page, "2", 1)
        for key in itertools.islice(itertools.cycle("12"), 3):
            page.keyboard.press(key)
            expect(page.locator("#told")).to_contain_text("NOT SAVED: the room is closed")
        expect(page.locator("#progress")).to_have_text(f"1 of {POSTS}")
    assert len(coded(room)["ada"]) == 1
