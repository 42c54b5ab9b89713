"""What the pages say that is not a command: selections, settings, links."""

import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from bsky_assets.commands.running import selection
from bsky_assets.definitions import build_defs
from bsky_assets.settings import Settings
from bsky_assets_tests.docs.pages import PAGES, commands
from bsky_assets_tests.support.places import ROOT

VARIABLE = re.compile(r"\bBSKY_[A-Z0-9_]*[A-Z0-9]\b")
SETTINGS = {f"BSKY_{name.upper()}" for name in Settings.model_fields}


def variables(*, in_tables: bool) -> set[str]:
    """The variables that the pages name, in the first cell of a table's row or anywhere."""
    lines = [line for page in PAGES for line in (ROOT / page).read_text().splitlines()]
    if in_tables:
        lines = [line.split("|")[1] for line in lines if line.startswith("|")]
    return {name for line in lines for name in VARIABLE.findall(line)}


def test_every_setting_is_in_a_table_and_every_variable_is_a_setting() -> None:
    assert sorted(SETTINGS - variables(in_tables=True)) == []
    assert sorted(variables(in_tables=False) - SETTINGS) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_selection_in_the_docs_selects_something(page: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs" / "codebooks", tmp_path / "codebooks")
    # The asset that measures an archive is there where one is named; nothing is asked of this one.
    settings = Settings(_env_file=None, data_dir=tmp_path, archive_url="https://archive.example")
    graph = build_defs(settings).resolve_asset_graph()
    names = [key.to_user_string() for key in graph.get_all_asset_keys()]
    for command in commands(page):
        words = [word.rstrip("`") for word in command.words]
        for option, select in pairwise(words):
            if option == "--select":
                assert selection(select, names).resolve(graph), command.text


def test_no_page_joins_posts_by_their_address_without_the_day() -> None:
    """An address may be there on two days, more than the look-back apart: rows would double."""
    joined = re.compile(r"USING \(([^)]*)\)|\bON ([^\n]*\.uri = [^\n]*)")
    found = [
        by
        for page in PAGES
        for match in joined.finditer((ROOT / page).read_text())
        if re.search(r"\buri\b", by := match[1] or match[2])
    ]
    assert len(found) > 3
    assert [by for by in found if "sync_day" not in by] == []


@pytest.mark.parametrize("page", sorted(Path(ROOT, "docs").rglob("*.md")), ids=str)
def test_pages_link_to_projects_and_not_to_a_registry(page: Path) -> None:
    assert not re.search(
        r"https?://(pypi|files\.pythonhosted|hub\.docker|registry)\b", page.read_text()
    )


def test_what_is_installed_from_the_folder_is_pinned_and_stays_the_folder() -> None:
    # Without -e a copy takes its place, which no later change of the folder reaches.
    sources = [*(ROOT / "bsky_assets").rglob("*.py"), *(ROOT / "docs").rglob("Dockerfile")]
    texts = [path.read_text() for path in [*(ROOT / page for page in PAGES), *sources]]
    folder = re.compile(r"pip install ((?:[\w.-]+ )*)'?\.(?:\[| |$)", re.MULTILINE)
    options = folder.findall("\n".join(texts))
    assert len(options) > 5
    assert [said for said in options if "-c constraints.txt -e " not in said] == []
    # No registry has it: by its name it is found only where it is installed, and then unpinned.
    assert re.findall(r"pip install [^`\n]*bsky_assets\[\w+", "\n".join(texts)) == []
