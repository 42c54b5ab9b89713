"""A real `bsky-assets run` with its UI, and Chromium to look at it as a person does."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psutil
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from bsky_assets_tests.support.sandbox_day import plain_environment
from testbed.ports import free_port

CHROMIUM = next(
    filter(None, map(shutil.which, ("/usr/bin/chromium", "chromium", "chromium-browser"))), None
)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 300
STOP_SECONDS = 120
PATIENCE = 90_000
"""Milliseconds that a page may take to show something; the machine may be busy."""


@dataclass
class Platform:
    """A running platform: where its UI, its data and what it printed are."""

    url: str
    data: Path
    output: Path

    @property
    def day(self) -> str:
        """The sync day that was materialised, as its partition key."""
        (report,) = (self.data / "reports").glob("????-??-??.html")
        return report.stem

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query of the catalogue finds."""
        with duckdb.connect(str(self.data / "bsky.duckdb"), read_only=True) as con:
            return con.sql(sql).fetchall()


@contextmanager
def running_platform(folder: Path, events: int, **environment: str) -> Iterator[Platform]:
    """`bsky-assets run` in an empty folder, until the block ends; then it is interrupted.

    Raises:
        AssertionError: it did not come up, or the interrupt left something running.
    """
    port = free_port()
    platform = Platform(f"http://127.0.0.1:{port}", folder / "data", folder / "output.txt")
    command = [
        sys.executable, "-m", "bsky_assets", "run", "--events", str(events), "--port", str(port)
    ]  # fmt: skip
    with platform.output.open("w") as output:
        process = subprocess.Popen(
            command,
            env=plain_environment() | {"BSKY_DATA_DIR": str(platform.data)} | environment,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # A suite in the background ignores interrupts, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    try:
        _wait_for_ui(process, platform)
        sandbox = _sandbox_of(process)
        yield platform
        _interrupt(process, platform)
        assert not sandbox.is_running(), "the sandbox outlived the platform"
    finally:
        _kill(process)


@contextmanager
def webserver(code: Path, data: Path, environment: Mapping[str, str]) -> Iterator[Platform]:
    """The Dagster UI alone, of the package in the folder `code`, over a data directory."""
    port = free_port()
    platform = Platform(f"http://127.0.0.1:{port}", data, data.parent / "output.txt")
    command = [sys.executable, "-m", "dagster_webserver", "-w", "workspace.yaml", "-p", str(port)]
    with platform.output.open("w") as output:
        process = subprocess.Popen(
            command,
            env={**environment, "DAGSTER_HOME": str(data / "dagster")},
            cwd=code,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for_ui(process, platform)
        yield platform
    finally:
        process.terminate()
        _kill(process)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window; what is expected of its pages may take as long as they."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@contextmanager
def context_of(browser: Browser, width: int = 1400, height: int = 900) -> Iterator[BrowserContext]:
    """What has visited nothing yet; it fails if one of its pages asks for anything outside."""
    outside: list[str] = []

    def note(url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "file:", "data:", "blob:")):
            outside.append(url)

    with browser.new_context(viewport={"width": width, "height": height}) as context:
        context.set_default_timeout(PATIENCE)
        context.on("request", lambda request: note(request.url))
        yield context
    assert not outside, f"a page asked for {outside}"


@contextmanager
def page_of(browser: Browser, width: int = 1400, height: int = 900) -> Iterator[Page]:
    """A page that no one has visited anything with; it fails if anything outside is asked for."""
    with context_of(browser, width, height) as context:
        yield context.new_page()


def expand_graph(page: Page) -> None:
    """Expand every group of the lineage graph that the page shows."""
    nodes = page.locator("foreignObject")
    nodes.first.wait_for()
    page.keyboard.press("Alt+e")
    nodes.filter(has_text="consolidated_posts").first.wait_for()


def launch(page: Page, platform: Platform, asset: str, config: str = "") -> str:
    """Materialise the latest partition from the asset's page; returns the address of the run."""
    page.goto(f"{platform.url}/assets/{asset}")
    page.get_by_role("button", name="Materialize…").click()
    page.get_by_role("button", name="Latest", exact=True).click()
    if config:
        page.get_by_text("Config", exact=True).click()
        page.get_by_role("button", name="Add config").click()
        page.locator(".CodeMirror").click()
        page.keyboard.insert_text(config)
        page.get_by_role("button", name="Save config").click()
    page.get_by_role("button", name="Launch 1 run").click()
    page.get_by_text("View", exact=True).click()
    page.wait_for_url("**/runs/*")
    return page.url


def outcome(page: Page, run: str) -> str:
    """How the run at an address ended, as its page says."""
    page.goto(run)
    ended = page.get_by_text("Success", exact=True).or_(page.get_by_text("Failure", exact=True))
    ended.first.wait_for(timeout=2 * PATIENCE)
    return ended.first.inner_text()


def _wait_for_ui(process: "subprocess.Popen[bytes]", platform: Platform) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{platform.url}/server_info", timeout=10).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"the UI did not come up:\n{platform.output.read_text()[-4000:]}")


def _sandbox_of(process: "subprocess.Popen[bytes]") -> psutil.Process:
    children = psutil.Process(process.pid).children()
    (sandbox,) = (child for child in children if "sandbox" in child.cmdline())
    return sandbox


def _interrupt(process: "subprocess.Popen[bytes]", platform: Platform) -> None:
    """What Ctrl-C does: every process of the terminal's group is told."""
    os.killpg(process.pid, signal.SIGINT)
    process.wait(STOP_SECONDS)
    port = int(platform.url.rpartition(":")[2])
    with socket.socket() as knocking:
        assert knocking.connect_ex(("127.0.0.1", port)), "the UI outlived the interrupt"


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End what a failure left of the platform, and its sandbox with it."""
    if process.poll() is None:
        # It ends its sandbox, which is in a session of its own, as long as it can.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
