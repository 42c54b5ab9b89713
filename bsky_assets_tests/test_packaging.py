"""What the package says of itself: what it needs, and where a person can read on."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from compileall import compile_dir
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
import setuptools

from bsky_assets.bluesky.compiled import SHARED, SOURCES
from bsky_assets_tests.support.imported import ROOT, modules_of_others, package_of
from bsky_assets_tests.support.sandbox_day import plain_environment

pytestmark = pytest.mark.scenario

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


@cache
def distributions_of_packages() -> Mapping[str, list[str]]:
    """What each importable package comes from; to find out takes seconds."""
    return packages_distributions()


def undeclared(names: set[str], *folders: str) -> dict[str, set[str]]:
    """The packages that `folders` import and `names` do not have, and what imports them."""
    known = {**distributions_of_packages(), **NAMES}
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


@pytest.mark.parametrize("name", ["dagster.yaml", "workspace.yaml"])
def test_what_dagster_reads_in_a_checkout_is_what_the_package_brings(name: str) -> None:
    brought = ROOT / "bsky_assets" / "orchestration" / name
    assert brought.read_text() == (ROOT / name).read_text()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files of a wheel, in a folder with a space in its name, that nobody may write to."""
    folder = tmp_path_factory.mktemp("a wheel")
    ignored = ignore_patterns("__pycache__")
    for name in ("bsky_assets", "bsky_sandbox"):
        copytree(ROOT / name, folder / "source" / name, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "setup.py", "-q", "bdist_wheel", "-d", str(folder)]
    subprocess.run(build, cwd=folder / "source", check=True, capture_output=True, timeout=240)
    (wheel,) = folder.glob("*.whl")
    site = folder / "site packages"
    with zipfile.ZipFile(wheel) as files:
        files.extractall(site)
    compile_dir(site, quiet=1)  # as whoever installs it does: no process that runs it has to
    (folder / "source").rename(folder / "gone")
    for path in [site, *site.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield site
    for path in [site, *site.rglob("*")]:
        path.chmod(0o755)


@pytest.mark.skipif(not shutil.which("c++"), reason="there is no C++ compiler")
def test_a_wheel_has_the_readers_that_are_compiled(installed: Path, tmp_path: Path) -> None:
    code = (
        "from bsky_assets.bluesky import compiled;"
        f"assert compiled.__file__.startswith({str(installed)!r});"
        "assert compiled.are_compiled()"
    )
    environment = plain_environment() | {"PYTHONPATH": str(installed)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


def built(folder: Path, **environment: str) -> tuple[list[Path], str]:
    """The compiled readers in `folder`, made from the sources there, and what was told."""
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        cwd=folder,
        env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    made = (folder / "bsky_assets").rglob("*.so")
    return list(made), done.stderr


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with the sources of the readers, and what builds them."""
    for one in (SHARED, *SOURCES.values(), ROOT / "setup.py"):
        copy = tmp_path / one.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(one, copy)
    return tmp_path


def test_without_a_compiler_all_else_is_built(source: Path) -> None:
    made, told = built(source, CC="false", CXX="false")
    assert made == []
    assert all(reader in told for reader in SOURCES)


def test_what_was_compiled_before_is_not_compiled_again_unless_something_changed(
    source: Path,
) -> None:
    log = source / "compiled.txt"
    compiler = source / "compiler"
    compiler.write_text(
        # In the place of one that takes seconds: what it is to write, it makes.
        f'#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done; echo "$2" >> "{log}"; echo x > "$2"\n'
    )
    compiler.chmod(0o755)
    by = {"CC": str(compiler), "CXX": str(compiler)}

    def compiled(**changed: str) -> int:
        """How often the compiler was run to build them in a folder where they are not yet."""
        for path in [*source.rglob("*.so"), source / "build"]:
            if "cache" not in path.parts:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        log.write_text("")
        made, _ = built(source, **by, **changed)
        assert [path.read_text() for path in made] == ["x\n"] * len(SOURCES)
        return len(log.read_text().splitlines())

    assert compiled() > 0
    assert compiled() == 0
    assert compiled(CXXFLAGS="-O0") > 0
    for one in (SHARED, *SOURCES.values()):
        text = source / one.relative_to(ROOT)
        text.write_text(text.read_text() + "\n// another\n")
        assert compiled() > 0
    (source / "no folder").write_text("")
    assert compiled(XDG_CACHE_HOME=str(source / "no folder")) > 0, "it needs a place to keep it"


@pytest.mark.timeout(600)
def test_a_wheel_runs_in_an_empty_folder_without_a_home(installed: Path, tmp_path: Path) -> None:
    """Its UI, too, is started: what that loads has to be in the wheel."""
    before = set(installed.rglob("*"))
    folder = tmp_path / "an empty folder"
    (folder / "bin").mkdir(parents=True)
    code = (
        "import sys; from bsky_assets import cli; from bsky_assets.commands import run;"
        f"assert cli.__file__.startswith({str(installed)!r}), cli.__file__;"
        "sys.argv = ['bsky-assets', 'run', '--events', '300'];"
        # The UI itself is looked at in a browser elsewhere; here, whether it finds what to load.
        "run.shutil.which = lambda *_, **__: sys.argv.append('checked') or 'bin/dg'; cli.main()"
    )
    script = folder / "bin" / "dg"
    script.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m dagster definitions validate -w "$3"\n'
    )
    script.chmod(0o755)
    environment = {k: v for k, v in plain_environment().items() if k not in ("HOME", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Validation successful for code location bsky_assets" in done.stderr + done.stdout
    assert (folder / "data" / "sandbox" / "bsky.duckdb").exists()
    assert not {path.name for path in folder.iterdir()} - {"bin", "data"}
    assert set(installed.rglob("*")) == before
