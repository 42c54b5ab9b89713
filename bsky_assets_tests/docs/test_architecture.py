"""What pages for developers say of the tree is so: paths, rooms, and which way imports point."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bsky_assets_tests.support.places import ROOT

PAGES = ("docs/architecture.md", "CONTRIBUTING.md")
PACKAGE = ROOT / "bsky_assets"
PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)*)`")
TOP = {path.name for path in ROOT.iterdir()}
ROOM = re.compile(r"^\| `bsky_assets/(\w+)` \|", re.MULTILINE)
ROOMS = ROOM.findall((ROOT / PAGES[0]).read_text())
"""From those that know to those that are known."""


def paths(page: str) -> list[str]:
    """What a page names that is a path: it begins with something at the top of the tree."""
    return [path for path in PATH.findall(page) if path.split("/")[0] in TOP or "/" in path]


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_is_there(page: str) -> None:
    named = paths((ROOT / page).read_text())
    assert len(named) > 5
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_folder_of_the_package_is_a_room_of_the_table() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(ROOMS) == sorted(folders)


def imported(source: str) -> Iterator[str]:
    """The rooms that a source imports from."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{each.name}" for each in node.names]
        elif isinstance(node, ast.Import):
            whole = [each.name for each in node.names]
        else:
            continue
        parts = [name.split(".") for name in whole]
        yield from (part[1] for part in parts if part[0] == "bsky_assets" and part[1] in ROOMS)


def upwards(order: list[str]) -> list[tuple[str, str]]:
    """Imports from a room that stands above the one that imports it."""
    place = {room: at for at, room in enumerate(order)}
    return [
        (str(path.relative_to(PACKAGE)), known)
        for room in order
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for known in imported(path.read_text())
        if place[known] < place[room]
    ]


def test_rooms_know_rooms_below_them_and_none_above() -> None:
    assert upwards(ROOMS) == []
    assert upwards([*reversed(ROOMS)])


@pytest.mark.parametrize(
    "path",
    sorted(PACKAGE.rglob("__init__.py")),
    ids=lambda path: str(path.parent.relative_to(ROOT)),
)
def test_a_folder_says_what_belongs_in_it_what_does_not_and_what_goes_through(path: Path) -> None:
    if path.parent == PACKAGE:
        return
    said = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split())
    assert "What belongs here: " in said
    assert "What does not" in said
    assert re.search(r"\bcomes? in\b|Nothing flows through", said)


def test_the_changes_of_the_page_are_twelve() -> None:
    page = (ROOT / PAGES[0]).read_text()
    table = page.split("| change | where | files | before |")[1].split("\n\n")[0].splitlines()
    rows = [line for line in table if line.startswith("| ") and not line.startswith("|-")]
    assert len(rows) == 12
    assert all(len(line.split("|")) == 6 for line in rows)
