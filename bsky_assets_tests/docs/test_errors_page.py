"""Every error that a person can do something about is on one page, and says what it is."""

from importlib import import_module
from pkgutil import walk_packages

import pytest

import bsky_assets
import bsky_sandbox
from bsky_assets.errors import UserError
from bsky_assets_tests.support.places import ROOT

PAGE = ROOT / "docs" / "errors.md"


def table_of_errors() -> list[str]:
    """The rows of the page as the classes state them, by name."""
    for package in (bsky_assets, bsky_sandbox):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(".__main__") or package is bsky_sandbox:
                import_module(module.name)
    return sorted(map(row_of, subclasses(UserError)))


def subclasses(error: type[Exception]) -> set[type[Exception]]:
    own = set(error.__subclasses__())
    return own.union(*map(subclasses, own))


def row_of(error: type[Exception]) -> str:
    doc = (error.__doc__ or "").partition("\n\n")[0]
    return f"| `{error.__name__}` | {' '.join(doc.split())} |"


def rows_of_page() -> list[str]:
    return [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]


def test_the_page_has_every_error_and_no_other() -> None:
    assert rows_of_page() == table_of_errors()


def test_every_error_says_what_it_means() -> None:
    assert [row for row in table_of_errors() if row.endswith("|  |")] == []


def test_an_error_that_is_not_on_the_page_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    added = type("Added", (UserError,), {"__module__": "bsky_assets.added", "__doc__": "New."})
    assert row_of(added) in table_of_errors()
    assert row_of(added) not in rows_of_page()
