"""How the folders of tests and benchmarks stand to each other."""

import re

import pytest

from bsky_assets_tests.support.imported import OURS
from bsky_assets_tests.support.places import ROOT

FORBIDDEN = {
    "bsky_assets_tests": r"\btest_\w+\b|benchmarks\b",
    "benchmarks": r"bsky_assets_tests\b",
    "testbed": r"(bsky_assets_tests|benchmarks)\b",
    "bsky_assets": r"(bsky_assets_tests|benchmarks|testbed)\b",
    "bsky_sandbox": r"(bsky_assets_tests|benchmarks|testbed)\b",
}
"""What a package imports nothing of. Scripts that a test runs are read, too: they are its text."""
_IMPORT = re.compile(r"^\s*(?:from ([\w.]+) import ([\w, ]+|\()|import ([\w.]+))", re.MULTILINE)


def imports_of_ours(text: str) -> list[str]:
    """Modules of the repository that a source, or a script in it, imports."""
    found = []
    for package, names, module in _IMPORT.findall(text):
        if (module or package).partition(".")[0] in OURS:
            found += [module] if module else [f"{package}.{name}" for name in names.split(", ")]
    return found


def against(folder: str, text: str) -> list[str]:
    return [name for name in imports_of_ours(text) if re.search(FORBIDDEN[folder], name)]


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_nothing_is_imported_from_a_test_nor_across_tests_and_benchmarks(folder: str) -> None:
    sources = {path: path.read_text() for path in (ROOT / folder).rglob("*.py")}
    assert sources
    assert {p: found for p, text in sources.items() if (found := against(folder, text))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "from bsky_assets_tests.storage.test_lake import DAY",
        "from bsky_assets_tests.storage import rows, test_lake",
        "    import bsky_assets_tests.storage.test_lake",
        "from benchmarks import day_scale",
    ],
)
def test_an_import_that_goes_astray_is_found(line: str) -> None:
    assert against("bsky_assets_tests", f'SCRIPT = """\n{line}\n"""')
