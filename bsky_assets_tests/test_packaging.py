"""What the package says of itself: what it needs, and where a person can read on."""

import ast
import re
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import setuptools
from dagster import AssetSelection

from bsky_assets.definitions import defs
from bsky_assets_tests.docs.pages import PAGES, commands
from bsky_assets_tests.support.imported import ROOT, modules_of_others, package_of

NAMES = {"dagster_ray": ["dagster-ray"], "ray": ["ray"], "xllamacpp": ["xllamacpp"]}
"""Of extras that need not be installed here."""

DEVELOPMENT = ("bsky_assets_tests", "benchmarks", "testbed")


def declared(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The distributions that setup.py names, by extra; the base is under the empty name."""
    told: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **given: told.update(given))
    monkeypatch.chdir(ROOT)
    exec(compile((ROOT / "setup.py").read_text(), "setup.py", "exec"), {"__name__": "setup"})
    listed = {"": told["install_requires"], **told["extras_require"]}
    return {
        extra: {normal(re.split(r"[\[=<>;]", name)[0]) for name in names}
        for extra, names in listed.items()
    }


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def undeclared(names: set[str], *folders: str) -> dict[str, set[str]]:
    """The packages that `folders` import and `names` do not have, and what imports them."""
    known = packages_distributions() | NAMES
    found: dict[str, set[str]] = {}
    for module, importers in modules_of_others(*folders).items():
        distributions = {normal(one) for one in known.get(package_of(module), ["?"])}
        if not distributions & names:
            found.setdefault(package_of(module), set()).update(importers)
    return found


def test_what_is_imported_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    names = declared(monkeypatch)
    at_run_time = set().union(*(found for extra, found in names.items() if extra != "dev"))
    assert undeclared(at_run_time) == {}
    assert undeclared(at_run_time | names["dev"], *DEVELOPMENT) == {}
    for base in ({"httpx2"}, {"dagster-pipes"}, {"duckdb"}):
        assert undeclared(at_run_time - base)


def messages() -> Iterator[tuple[str, str]]:
    """Each text of the source but docstrings, and the file that it is in."""
    for path in sorted((ROOT / "bsky_assets").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and id(node) not in docs:
                yield str(path.relative_to(ROOT)), node.value


def test_every_page_that_a_message_names_is_there() -> None:
    named = {
        (source, found)
        for source, text in messages()
        for found in re.findall(r"\bdocs/[\w./-]*\w", text)
    }
    assert named
    assert [(source, found) for source, found in named if not (ROOT / found).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_selection_in_the_docs_selects_something(page: str) -> None:
    graph = defs.resolve_asset_graph()
    for command in commands(page):
        words = [word.rstrip("`") for word in command.words]
        for option, select in pairwise(words):
            if option == "--select":
                assert AssetSelection.from_string(select).resolve(graph), command.text


@pytest.mark.parametrize("page", sorted(Path(ROOT, "docs").rglob("*.md")), ids=str)
def test_pages_link_to_projects_and_not_to_a_registry(page: Path) -> None:
    assert not re.search(
        r"https?://(pypi|files\.pythonhosted|hub\.docker|registry)\b", page.read_text()
    )
