"""A version changes with what decides rows, and with nothing else."""

import ast
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bsky_assets import sync_day
from bsky_assets.bluesky import versions as readers
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.consolidation import consolidate
from bsky_assets.contracts import (
    AuditedShare,
    ConsolidatedPost,
    DisputedPost,
    FilteredPost,
    LlmLabel,
    RawFeedPost,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
)
from bsky_assets.contracts.versions import source_version
from bsky_assets.definitions import build_defs
from bsky_assets.filters import config
from bsky_assets.labelling import versions as labelling
from bsky_assets.orchestration import of_settings
from bsky_assets.orchestration.staleness import made_with, stale
from bsky_assets.reporting import version
from bsky_assets.settings import Settings
from bsky_assets.storage import chronology, compaction
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.support.labelling import DAY
from testbed.rows import filtered_post, table

ROOM = Path(labelling.__file__).parent
COMPILED = shutil.ignore_patterns("__pycache__")

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


SQL = """import x

def once(day):
    return f\"\"\"
        SELECT uri, 'a  b' AS text -- whatever
        FROM {day} WHERE x = 'it''s'
    \"\"\"
"""


@pytest.mark.parametrize(
    ("edit", "is_another"),
    [
        (lambda text: text.replace("-- whatever", "-- the posts' \"text"), False),
        (lambda text: text.replace("-- whatever", ""), False),
        (lambda text: text.replace("SELECT uri,", "SELECT  /* each */\n  uri , "), False),
        (lambda text: text.replace("'a  b'", "'a b'"), True),
        (lambda text: text.replace("'a  b'", "'a -- b'"), True),
        (lambda text: text.replace("it''s", "its"), True),
        (lambda text: text.replace("uri,", "cid,"), True),
        (lambda text: text.replace("{day}", "{x}"), True),
        (lambda text: text.replace("x = ", "-- x = "), True),
        (lambda text: text.replace(" -- whatever\n        FROM", " -- whatever FROM"), True),
    ],
)
def test_of_sql_in_python_the_statement_counts(
    tmp_path: Path, edit: Callable[[str], str], is_another: bool
) -> None:
    assert changed(tmp_path / "rule.py", SQL, edit) is is_another


@pytest.mark.parametrize("text", ["'a  b'", "f'a  {x}'", "'a -- b'", "'x\\n'"])
def test_space_counts_in_a_text_that_is_no_sql(tmp_path: Path, text: str) -> None:
    without = text.replace("  ", " ").replace(" -- b", "").replace("\\n", "")
    assert changed(tmp_path / "rule.py", f"A = {text}", lambda _: f"A = {without}")


IMPORTS = """import re
from statistics import median

from bsky_assets.storage.sql import identifier
from bsky_assets.storage.sql import literal as quoted

if TYPE_CHECKING:
    import duckdb


def judge(posts):
    from bsky_assets.settings import get_settings

    return median(posts), quoted(posts), identifier(get_settings())
"""


@pytest.mark.parametrize(
    ("before", "after", "is_another"),
    [
        ("storage.sql import identifier", "exports.tables import identifier", False),
        ("storage.sql import literal", "exports.tables import literal", False),
        ("bsky_assets.settings", "bsky_assets.news.names", False),
        ("from bsky_assets.storage.sql import identifier\n", "", False),
        ("if TYPE_CHECKING:\n    import duckdb\n", "", False),
        ("import re\nfrom statistics import median\n", "from statistics import median\nimport re\n",
         False),
        ("import literal as", "import identifier as", True),
        ("import re", "import regex", True),
        ("import re", "import regex as re", True),
        ("from statistics", "from numpy", True),
        ("import median", "import mean as median", True),
        ("if TYPE_CHECKING:", "if not TYPE_CHECKING:", True),
    ],
)  # fmt: skip
def test_an_import_counts_by_what_it_gives_and_not_by_where_it_is_in_this_package(
    tmp_path: Path, before: str, after: str, is_another: bool
) -> None:
    edit: Callable[[str], str] = lambda text: text.replace(before, after, 1)  # noqa: E731
    assert changed(tmp_path / "rule.py", IMPORTS, edit) is is_another


@pytest.mark.parametrize(("name", "is_another"), [("rule.py", False), ("rule.toml", True)])
def test_a_renamed_file_counts_where_it_is_no_code(
    tmp_path: Path, name: str, is_another: bool
) -> None:
    path = tmp_path / name
    path.write_text(WORDS)
    before = source_version([path])
    assert (source_version([path.rename(path.with_stem("renamed"))]) != before) is is_another


def definitions(path: Path) -> list[tuple[int, int]]:
    """The first and the last line of each function, class and constant at `path`, from 0."""
    found = ast.parse(path.read_text()).body
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    firsts = ((one, getattr(one, "decorator_list", [])) for one in found if isinstance(one, kinds))
    return [((deco[0] if deco else one).lineno - 1, one.end_lineno or 0) for one, deco in firsts]


@hypothesis_settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_definition_may_move_between_files_and_may_not_change_or_go(data: st.DataObject) -> None:
    """Of every file that decides labels, in a copy of the room."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        room = Path(shutil.copytree(ROOM, Path(folder, "labelling"), ignore=COMPILED))
        patched.setattr(labelling, "__file__", str(room / "versions.py"))
        before = labelling.labelling_version(LlmLabel)
        paths = [room / f"{name}.py" for name in labelling.RULES[LlmLabel]]
        source, target = data.draw(st.permutations(paths))[:2]
        start, end = data.draw(st.sampled_from(definitions(source)))
        lines, beside = source.read_text().splitlines(keepends=True), target.read_text()
        moved = "".join(lines[start:end])
        source.write_text("".join(lines[:start] + lines[end:]))
        assert labelling.labelling_version(LlmLabel) != before
        target.write_text(f"from bsky_assets.labelling.{source.stem} import y\n{beside}\n{moved}")
        assert labelling.labelling_version(LlmLabel) == before
        target.write_text(f"{beside}\n{with_another_value(moved)}")
        assert labelling.labelling_version(LlmLabel) != before


def with_another_value(definition: str) -> str:
    """The same with another constant, or with one more."""
    (statement,) = ast.parse(definition).body
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        statement.value = ast.Tuple([statement.value, ast.Constant(977)])
    else:
        statement.body.append(ast.parse("ANOTHER = 977").body[0])
    return ast.unparse(statement)


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


@pytest.mark.parametrize("module", [chronology, sync_day])
def test_the_filters_version_covers_what_they_ask_of_other_rooms(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, module: ModuleType
) -> None:
    source = Path(str(module.__file__))
    copy = tmp_path / source.name
    copy.write_text(source.read_text())
    monkeypatch.setattr(module, "__file__", str(copy))
    assert is_another_after(copy, lambda: config.config_version(settings))


@pytest.mark.parametrize("name", [*consolidate._RULES, "tombstones"])
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
    assert (consolidate.consolidation_version() != before) is (name != "tombstones")


def test_every_module_of_consolidation_is_a_rule_or_comes_later() -> None:
    folder = Path(consolidate.__file__).parent
    names = {path.stem for path in folder.glob("*.py")}
    later = {
        "erase", "erase_fetched", "erase_quarantine", "erase_segments", "forget", "returned",
        "tombstones",
        "__init__",
    }  # fmt: skip
    assert names == {*consolidate._RULES, *later}
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


def is_another_after(path: Path, version: Callable[[], str]) -> bool:
    """Whether the code at `path` decides `version`, of which its comments must be no part."""
    before, source = version(), path.read_text()
    path.write_text(with_comment(path, source))
    assert version() == before
    path.write_text(with_another_number(path, source))
    return version() != before


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], Path]:
    """Makes a module read versions off a copy of the folder that it is in."""

    def of(module: ModuleType) -> Path:
        folder = Path(str(module.__file__)).parent
        copy = tmp_path / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(module, "__file__", str(copy / Path(str(module.__file__)).name))
        return copy

    return of


@pytest.mark.parametrize(
    ("name", "touches"),
    [
        ("firehose", {RawFirehosePost, RawPostDeletion, RawModerationLabel}),
        ("records", {RawFirehosePost, RawPostDeletion, RawModerationLabel, RawFeedPost}),
        ("appview", {RawFeedPost}),
        ("labels_stream", {RawModerationLabel}),
        ("kinds/posts", {RawFirehosePost, RawPostDeletion, RawModerationLabel}),
        ("streaming", set()),
        ("session", set()),
    ],
)
def test_the_version_of_readers_covers_what_makes_rows(
    copied: Callable[[ModuleType], Path], name: str, touches: set[type[Row]]
) -> None:
    path = copied(readers) / f"{name}.py"
    source = path.read_text()
    for row in readers.READERS:
        path.write_text(source)
        assert is_another_after(path, partial(readers.reader_version, row)) is (row in touches)


def test_every_module_of_the_protocol_makes_rows_or_is_known_to_make_none() -> None:
    """A new one has to be put on one side."""
    makes_none = {
        "__init__", "accounting", "collector", "collected", "healing", "lateness", "profiles",
        "revisions", "session", "shapes", "spool", "streaming",
        "versions", "websocket", "xrpc",
        "archive/__init__", "archive/fetching", "archive/healing", "archive/host",
        "archive/ingest", "archive/reading", "archive/sealed", "archive/sheets",
        "accounts/__init__", "accounts/healing", "accounts/holding", "accounts/holes",
        "accounts/identity", "accounts/listed", "accounts/panel", "accounts/repository",
    }  # fmt: skip
    makes = {name for names in readers.READERS.values() for name in names}
    assert makes.isdisjoint(makes_none)
    folder = Path(readers.__file__).parent
    rooms = ("archive", "accounts")
    paths = [
        *folder.glob("*.py"),
        *(each for room in rooms for each in folder.glob(f"{room}/*.py")),
    ]
    found = {path.relative_to(folder).with_suffix("").as_posix() for path in paths}
    assert found == makes | makes_none


@pytest.mark.parametrize(
    ("name", "touches"),
    [
        ("statistics/agreement", {DisputedPost}),
        ("audit", {AuditedShare}),
        ("statistics/metrics", {AuditedShare}),
        ("asking/questions", {LlmLabel, AuditedShare}),
        ("asking/answers", {LlmLabel, AuditedShare, DisputedPost}),
        ("sample", {LlmLabel, AuditedShare}),
        ("asking/confidence", {LlmLabel, AuditedShare}),
        ("answer_sql", {LlmLabel, AuditedShare, DisputedPost}),
        ("asking/concurrency", set()),
        ("statistics/confusion_figure", set()),
        ("statistics/gold", set()),
    ],
)
def test_the_versions_of_labelling_cover_what_decides_rows(
    copied: Callable[[ModuleType], Path], name: str, touches: set[type[Row]]
) -> None:
    path = copied(labelling) / f"{name}.py"
    source = path.read_text()
    for row in labelling.RULES:
        path.write_text(source)
        assert is_another_after(path, partial(labelling.labelling_version, row)) is (row in touches)


def test_every_module_that_labelling_asks_decides_rows_or_is_known_to_decide_none() -> None:
    """Of its own room; prompt and form of answers have versions of their own."""
    decides_none = {
        "asking/breaker", "asking/budget", "asking/concurrency", "asking/prompt", "asking/usage",
        "asking/waiting", "context_proof", "details", "news_given",
        "statistics/confusion_figure", "statistics/consistency", "statistics/gold", "versions",
    }  # fmt: skip
    decides = set().union(*labelling.RULES.values())
    asked = set().union(*(asked_of_its_room(ROOM / f"{name}.py") for name in decides))
    assert asked - decides == decides_none


def asked_of_its_room(path: Path) -> set[str]:
    """The modules of labelling that the one at `path` imports from."""
    imports = (
        one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.ImportFrom)
    )
    modules = (str(one.module) for one in imports)
    ours = (one for one in modules if one.startswith(f"{labelling.__package__}."))
    return {one.removeprefix(f"{labelling.__package__}.").replace(".", "/") for one in ours}


@pytest.mark.parametrize(
    ("name", "decides"),
    [("compaction", True), ("chronology", True), ("segments", False), ("locks", False)],
)
def test_the_version_of_merging_covers_how_rows_become_one(
    copied: Callable[[ModuleType], Path], name: str, decides: bool
) -> None:
    path = copied(compaction) / f"{name}.py"
    assert is_another_after(path, partial(compaction.merge_version, RawFirehosePost)) is decides


@pytest.mark.parametrize(
    ("name", "decides"),
    [
        ("reporting/sections/audit.py", True),
        ("orchestration/unfinished.py", True),
        ("analysis/estimating/shares.py", True),
        ("checks/filter_audit.py", True),
        ("storage/coverage.py", True),
        ("reporting/index.py", False),
        ("reporting/summary.py", False),
        ("labelling/statistics/gold.py", False),
    ],
)
def test_the_version_of_the_report_covers_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, decides: bool
) -> None:
    copy = tmp_path / "package"
    for room in ("analysis", "reporting", "checks", "orchestration", "labelling", "storage"):
        shutil.copytree(version.PACKAGE / room, copy / room)
    monkeypatch.setattr(version, "PACKAGE", copy)
    assert is_another_after(copy / name, version.report_version.__wrapped__) is decides


def test_another_merging_makes_raw_days_stale_until_they_are_merged_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, con, segments = Lake.of(settings), duckdb.connect(), firehose_segments(settings)
    compaction.compact_firehose_day(con, lake, segments, DAY)
    assert list(stale(lake, settings)) == []
    monkeypatch.setattr(compaction, "_RULES", compaction._RULES[1:])
    found = {one.asset for one in stale(lake, settings)}
    assert found == {"raw_firehose_posts", "raw_post_deletions"}
    compaction.compact_firehose_day(con, lake, segments, DAY)
    assert list(stale(lake, settings)) == []


def test_a_raw_day_that_was_imported_is_as_it_would_be_made_today(settings: Settings) -> None:
    lake = Lake.of(settings)
    lake.write(RawFirehosePost, DAY, table(RawFirehosePost, []), {"imported": 1})
    assert list(stale(lake, settings)) == []


def test_every_asset_has_a_version_of_its_code(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def versions() -> dict[str, str | None]:
        graph = build_defs(settings).resolve_asset_graph()
        keys = graph.materializable_asset_keys
        return {key.to_user_string(): graph.get(key).code_version for key in keys}

    before = versions()
    monkeypatch.setattr(readers, "READERS", dict.fromkeys(readers.READERS, ("syntax",)))
    monkeypatch.setattr(of_settings, "READERS", readers.READERS)
    monkeypatch.setattr(labelling, "RULES", dict.fromkeys(labelling.RULES, ("asking/answers",)))
    after = versions()
    assert {name for name in before if before[name] != after[name]} == {
        row.asset for row in (*readers.READERS, *labelling.RULES)
    }
