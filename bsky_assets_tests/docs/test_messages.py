"""What messages lead to is there: files, commands, variables."""

import ast
import re
from collections.abc import Iterator

import pytest

from bsky_assets.settings import Settings
from bsky_assets_tests.docs.pages import REGISTERED
from bsky_assets_tests.support.places import ROOT

PATH = re.compile(r"(?<![\w./-])(?:docs/[\w./-]*\w|(?:[\w-]+/)+[\w-]+\.(?:md|py|toml|ya?ml)\b)")
COMMAND = re.compile(r"\bbsky-assets ((?:[a-z-]+ ?)+)")
VARIABLE = re.compile(r"\bBSKY_[A-Z0-9_]*[A-Z0-9]\b")
SETTINGS = {f"BSKY_{name.upper()}" for name in Settings.model_fields}
ROOTS = (ROOT, ROOT / "bsky_assets")


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


def astray(text: str) -> list[str]:
    """What a message names of the repository, its commands and variables, and is not there."""
    return [
        *(path for path in PATH.findall(text) if not any((at / path).exists() for at in ROOTS)),
        *(name for name in COMMAND.findall(text) if not is_registered(tuple(name.split()))),
        *(name for name in VARIABLE.findall(text) if name not in SETTINGS),
    ]


def is_registered(words: tuple[str, ...]) -> bool:
    """Whether words are a command, or a group of them, whatever is said after it."""
    return any(words[: len(known)] == known or known[: len(words)] == words for known in REGISTERED)


def test_all_that_a_message_names_is_there() -> None:
    found = [(source, text) for source, text in messages()]
    assert sum("docs/" in text for _, text in found)
    assert [(source, wrong) for source, text in found if (wrong := astray(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "see docs/llm.md",
        "in contracts/chances.py",
        "run `bsky-assets sync feedz`",
        "set BSKY_LLM_MODEL",
    ],
)
def test_what_is_not_there_is_found_out(text: str) -> None:
    assert astray(text)


def test_messages_on_the_page_of_troubleshooting_are_messages() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    named = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    told = [text for _, text in messages()]
    assert len(named) > 20
    assert [name for name in named if not any(name in text for text in told)] == []
