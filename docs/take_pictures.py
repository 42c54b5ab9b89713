"""Take the pictures of the UI again that README and docs show: `python -m docs.take_pictures`.

Runs the platform on its sandbox in a folder of its own and drives Chromium, as the tests do.
"""

import tempfile
from datetime import date, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page

from bsky_assets_tests.support.ui import (
    Platform,
    chromium,
    expand_graph,
    page_of,
    running_platform,
)

IMAGES = Path(__file__).parent / "images"
EVENTS = 30_000
WIDTH = 1400
SETTLED = 3_000
"""Milliseconds after which the UI has fetched every status and drawn it."""


def take_pictures(platform: Platform, folder: Path) -> None:
    """Write every picture into `folder`."""
    with chromium() as browser:
        lineage(browser, platform, folder / "lineage.png")
        partitions(browser, platform, folder / "partitions.png")
        filtered_posts(browser, platform, folder / "filtered_posts.png")
        funnel(browser, platform, folder / "funnel.png")
        daily_report(browser, platform, folder / "daily_report.png")


def lineage(browser: Browser, platform: Platform, target: Path) -> None:
    """The graph of all assets, with its groups expanded."""
    with page_of(browser, WIDTH, 1000) as page:
        page.goto(f"{platform.url}/asset-groups")
        hide_navigation(page)
        page.locator("button:has([aria-label=panel_show_right])").last.click()
        expand_graph(page)
        page.wait_for_timeout(SETTLED)
        page.screenshot(path=target)


def partitions(browser: Browser, platform: Platform, target: Path) -> None:
    """Two weeks of an asset's sync days, of which the sandbox has filled the last."""
    day = date.fromisoformat(platform.day)
    with page_of(browser, WIDTH, 820) as page:
        page.goto(f"{platform.url}/assets/filtered_posts?view=partitions")
        hide_navigation(page)
        days = page.get_by_placeholder("ex:").first
        days.fill(f"[{day - timedelta(days=11)}...{day}]")
        days.press("Enter")
        page.get_by_text(str(day), exact=True).filter(visible=True).last.click()
        page.wait_for_timeout(SETTLED)
        page.screenshot(path=target)


def filtered_posts(browser: Browser, platform: Platform, target: Path) -> None:
    """An asset's page: what it is, and what its last materialisation told."""
    with page_of(browser, WIDTH, 1000) as page:
        page.goto(f"{platform.url}/assets/filtered_posts")
        hide_navigation(page)
        page.get_by_text("Columns", exact=True).click()
        page.wait_for_timeout(SETTLED)
        page.screenshot(path=target)


def funnel(browser: Browser, platform: Platform, target: Path) -> None:
    """A plot of the last materialisation, on the page of its asset."""
    with page_of(browser, WIDTH, 820) as page:
        page.goto(f"{platform.url}/assets/filtered_posts")
        hide_navigation(page)
        page.get_by_text("Columns", exact=True).click()
        page.get_by_text("Show Markdown").first.click()
        page.locator("img[src^='data:image/png']").first.wait_for()
        page.wait_for_timeout(SETTLED)
        page.screenshot(path=target)


def daily_report(browser: Browser, platform: Platform, target: Path) -> None:
    """The upper part of the report's page."""
    with page_of(browser, 1000, 1250) as page:
        page.goto((platform.data / "reports" / f"{platform.day}.html").as_uri())
        page.screenshot(path=target)


def hide_navigation(page: Page) -> None:
    """Leave the width to what is shown."""
    page.get_by_text("Hide navigation").click()


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_platform(Path(folder), EVENTS) as platform,
    ):
        take_pictures(platform, IMAGES)
