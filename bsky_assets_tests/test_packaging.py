"""What the package says of itself: what it needs, and where a person can read on."""

import re
from importlib.metadata import packages_distributions
from typing import Any

import pytest
import setuptools

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
