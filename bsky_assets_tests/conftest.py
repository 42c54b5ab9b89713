"""What all tests share: settings of their own, a sandbox, and where the real data are."""

import gc
import os
import signal
import ssl
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import is_hypothesis_test, settings

from bsky_assets.settings import Settings, get_settings
from bsky_assets_tests.support import appearance
from bsky_assets_tests.support.bucket import bucket_endpoint
from bsky_assets_tests.support.dagster_storage import quick_storage
from bsky_assets_tests.support.left_behind import nothing_left_behind
from bsky_assets_tests.support.places import REAL_DATA
from bsky_assets_tests.support.sandbox_day import sandbox_day
from bsky_assets_tests.support.settings_source import quick_settings

# Definitions are read when tests are collected: not of the data of whoever runs them.
os.environ["BSKY_DATA_DIR"] = str(Path(tempfile.gettempdir(), "bsky_assets_tests", "nothing_here"))

# Modules are not garbage: what is imported until all tests are collected is not looked through.
gc.disable()

# A busy machine is no fault: no example is judged by the clock. The quick profile draws the same
# examples in every run, so that a commit passes or fails always; the thorough one draws new ones.
settings.register_profile("quick", deadline=None, derandomize=True)
settings.register_profile("thorough", deadline=None)
_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")
settings.load_profile(_PROFILE)
_QUICK_SHARE, _FEWEST = 4, 5
"""Of the examples that a property names, the quick profile tries every fourth, but five."""

_LONGEST = (
    "orchestration", "test_packaging", "storage", "labelling", "ui", "consolidation", "docs",
    "migrations", "exports", "test_secrets", "bluesky",
)  # fmt: skip

__all__ = ["appearance", "bucket_endpoint", "sandbox_day"]


def pytest_configure() -> None:
    """Have signals end what tests start, also where the tests run in the background: a shell lets
    that ignore interrupts, Dagster then lets it ignore SIGTERM, and programs inherit both."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest begin first, so that several processes end at about the same time."""
    if _PROFILE == "quick":
        for test in {item.function for item in items if isinstance(item, pytest.Function)}:
            _try_fewer(test)
    here = Path(__file__).parent
    items.sort(key=lambda item: not str(item.path.relative_to(here)).startswith(_LONGEST))


def pytest_collection_finish() -> None:
    """Have what is there now never looked through again: that takes a second each time."""
    gc.freeze()
    gc.enable()


def _try_fewer(test: Callable[..., None]) -> None:
    """Have fewer examples of a property tried; any other test is let be."""
    told = getattr(test, "_hypothesis_internal_use_settings", None)
    if told and is_hypothesis_test(test):
        fewer = max(told.max_examples // _QUICK_SHARE, min(told.max_examples, _FEWEST))
        test._hypothesis_internal_use_settings = type(told)(told, max_examples=fewer)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of captured data, which is not in the repository."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"there is no folder of real data at {REAL_DATA}; BSKY_REAL_DATA names it")
    return REAL_DATA


@pytest.fixture(scope="session", autouse=True)
def _quick_disk() -> Iterator[None]:
    """Nothing waits for the disk in this process: no kill or failure of power is of a process of
    tests, but of processes that it starts."""
    with quick_storage(), quick_settings(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _authorities_once() -> Iterator[None]:
    """Every client of HTTP reads all certificate authorities, which takes longer than what most
    tests ask of it: they are read once for each place that the environment names."""
    create = ssl.create_default_context

    @cache
    def read(_cert_file: str | None, _cert_dir: str | None, *args: Any, **named: Any) -> Any:
        return create(*args, **named)

    def once(*args: Any, **named: Any) -> Any:
        places = (os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
        return read(*places, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", once)
        yield


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """A file leaves constants as they were; the environment, which commands set, is put back."""
    with nothing_left_behind(), patch.dict(os.environ):
        yield


@pytest.fixture(autouse=True)
def _settings_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """No test sees the variables, the `.env` or the data of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("BSKY_")]:
        if name != "BSKY_REAL_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path_factory.mktemp("data")))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def settings() -> Settings:
    """The settings in force in the test."""
    return get_settings()
