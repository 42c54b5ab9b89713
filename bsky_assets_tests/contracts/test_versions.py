"""A version changes with what decides rows, and with nothing else."""

import ast
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bsky_assets.consolidation import consolidate
from bsky_assets.contracts import ConsolidatedPost, FilteredPost
from bsky_assets.contracts.versions import source_version
from bsky_assets.filters import config
from bsky_assets.orchestration.staleness import made_with, stale
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.support.labelling import DAY
from testbed.rows import filtered_post, table

RULE = '''"""A rule."""

LEAST = 3
"""Fewer are none."""


def judge(posts):
    """Whether they are many."""
    return len(posts) >= LEAST
'''
WORDS = 'words = ["a", "b"]  # two\nleast = 2\n'


def changed(path: Path, content: str, edit: Callable[[str], str]) -> bool:
    path.write_text(content)
    before = source_version([path])
    assert edit(content) != content
    path.write_text(edit(content))
    return source_version([path]) != before


@pytest.mark.parametrize(
    ("edit", "is_another"),
    [
        (lambda text: text.replace("return", "# why\n    return"), False),
        (lambda text: text.replace("A rule.", "Another description."), False),
        (lambda text: text.replace("Fewer are none.", "x"), False),
        (lambda text: text.replace("Whether they are many.", "x"), False),
        (lambda text: text.replace('    """Whether they are many."""\n', ""), False),
        (lambda text: text.replace("len(posts) >= LEAST", "(len(posts)   >=\n  LEAST)"), False),
        (lambda text: text.replace(">=", ">"), True),
        (lambda text: text.replace("LEAST = 3", "LEAST = 4"), True),
    ],
)
def test_of_python_what_it_does_counts(
    tmp_path: Path, edit: Callable[[str], str], is_another: bool
) -> None:
    assert changed(tmp_path / "rule.py", RULE, edit) is is_another


@pytest.mark.parametrize(
    ("edit", "is_another"),
    [
        (lambda text: text.replace("# two", "# some"), False),
        (lambda text: "\n" + text.replace('["a", "b"]', '[\n  "a",\n  "b",\n]'), False),
        (lambda text: text.replace('"b"', '"c"'), True),
        (lambda text: text.replace("2", "3"), True),
    ],
)
def test_of_words_and_thresholds_the_values_count(
    tmp_path: Path, edit: Callable[[str], str], is_another: bool
) -> None:
    assert changed(tmp_path / "words.toml", WORDS, edit) is is_another


def with_comment(path: Path, text: str) -> str:
    return f"# why\n{text}"


def with_another_number(path: Path, text: str) -> str:
    """The source with the first number in it replaced, which does something else."""
    if path.suffix == ".toml":
        return re.sub(r"= ([0-9.]+)$", "= 977", text, count=1, flags=re.MULTILINE)
    return f"{text}\nANOTHER = 977\n"


@pytest.fixture
def filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the filters' sources that versions are made of."""
    copy = tmp_path / "filters"
    shutil.copytree(config.FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(config, "FOLDER", copy)
    return copy


@pytest.mark.parametrize(
    ("name", "decides"),
    [
        ("measuring/evaluation.py", False),
        ("measuring/training.py", False),
        ("judging/spam.py", True),
        ("judging/bot.toml", True),
        ("facts/accounts.py", True),
        ("words/normalise.py", True),
        ("config.toml", True),
    ],
)
def test_the_filters_version_covers_what_judges(
    filters: Path, settings: Settings, name: str, decides: bool
) -> None:
    path, before = filters / name, config.config_version(settings)
    source = path.read_text()
    path.write_text(with_comment(path, source))
    assert config.config_version(settings) == before
    path.write_text(with_another_number(path, source))
    assert (config.config_version(settings) != before) is decides


@pytest.mark.parametrize("name", [*consolidate._RULES, "honour"])
def test_the_version_of_consolidation_covers_its_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = Path(consolidate.__file__).parent
    for path in folder.glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr(consolidate, "__file__", str(tmp_path / "consolidate.py"))
    before = consolidate.consolidation_version()
    path = tmp_path / f"{name}.py"
    path.write_text(with_comment(path, path.read_text()))
    assert consolidate.consolidation_version() == before
    path.write_text(with_another_number(path, path.read_text()))
    assert (consolidate.consolidation_version() != before) is (name != "honour")


def test_every_module_of_consolidation_is_a_rule_or_comes_later() -> None:
    folder = Path(consolidate.__file__).parent
    names = {path.stem for path in folder.glob("*.py")}
    assert names == {*consolidate._RULES, "erase", "erase_segments", "honour", "__init__"}
    assert not ast.parse((folder / "__init__.py").read_text()).body[1:]


def test_another_rule_of_consolidation_makes_its_days_stale_and_no_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.of(settings)
    for row in (ConsolidatedPost, FilteredPost):
        post = filtered_post(1, "a post")
        rows = [{name: post[name] for name in row.model_fields if name in post}]
        lake.write(row, DAY, table(row, rows), made_with(row, settings))
    assert list(stale(lake, settings)) == []
    monkeypatch.setattr(consolidate, "_RULES", consolidate._RULES[1:])
    assert [one.asset for one in stale(lake, settings)] == ["consolidated_posts"]
