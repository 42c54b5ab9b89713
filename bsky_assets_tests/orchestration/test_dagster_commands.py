"""Dagster's own commands, as they stand, in the root of the checkout."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from bsky_assets_tests.support.places import ROOT
from bsky_assets_tests.support.sandbox_day import plain_environment
from testbed.ports import free_port

BIN = Path(sys.executable).parent
ASSETS = {"raw_firehose_posts", "consolidated_posts", "filtered_posts", "llm_labels"}

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(600)]


def environment(data: Path) -> dict[str, str]:
    return plain_environment() | {"BSKY_DATA_DIR": str(data)}


def output(data: Path, *words: str) -> str:
    """What a command prints; it must succeed, and warn of nothing."""
    done = subprocess.run(
        [str(BIN / words[0]), *words[1:]],
        cwd=ROOT,
        env=environment(data),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "arning" not in done.stderr
    assert "does not match" not in done.stderr
    return done.stdout


def leftovers() -> set[Path]:
    return set(ROOT.glob(".tmp_dagster_home*"))


def test_dg_checks_and_lists_the_definitions_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = leftovers()
    assert "All definitions loaded successfully" in output(tmp_path, "dg", "check", "defs")
    assert (tmp_path / "dagster" / "history").is_dir(), "the storage is not in the data directory"
    assert leftovers() <= before
    listed = output(tmp_path, "dg", "list", "defs", "--json")
    found = json.loads(listed[listed.index("{") :])
    assert {asset["asset_key"] for asset in found["assets"]} >= ASSETS


def test_dagster_lists_the_assets(tmp_path: Path) -> None:
    words = ("dagster", "asset", "list", "-m", "bsky_assets.definitions")
    assert set(output(tmp_path, *words).split()) >= ASSETS


def test_dg_serves_the_ui_without_being_told_what_to_load(tmp_path: Path) -> None:
    port = free_port()
    command = [str(BIN / "dg"), "dev", "--port", str(port)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        loaded = locations(process, port)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=120)
    assert loaded == [{"name": "bsky_assets", "type": "RepositoryLocation"}], said


def locations(process: "subprocess.Popen[str]", port: int) -> object:
    """The code locations that the UI has, as soon as it has loaded them; None if it never does."""
    query = (
        "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus "
        "locationOrLoadError { __typename } } } } }"
    )
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
        except OSError:
            entries = []
        if entries and all(entry["loadStatus"] == "LOADED" for entry in entries):
            return [
                {"name": entry["name"], "type": entry["locationOrLoadError"]["__typename"]}
                for entry in entries
            ]
        time.sleep(0.5)
    return None
