"""What importing does: load what is needed and no more, and change nothing outside."""

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import bsky_assets
import bsky_sandbox
from bsky_assets.analysis.estimating import outcomes, population, regression
from bsky_assets.analysis.students import lessons
from bsky_assets.commands import choices
from bsky_assets.contracts import codebooks, lineage
from bsky_assets.exports import levels
from bsky_assets.exports.export import DEFAULT_ASSETS
from bsky_assets.labelling.statistics import sampling
from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import Settings
from bsky_assets_tests.support.imported import modules_of_others

pytestmark = pytest.mark.scenario

HEAVY = {"aiohttp", "atproto", "dagster", "fasttext", "openai", "pandas", "scipy", "sklearn"}
NO_PAGE_NEEDS = HEAVY | {
    *("asyncio", "duckdb", "httpx", "libipld", "numpy", "pyarrow"),
    *("pydantic_settings", "stamina"),
}
"""What help, a version, an error of usage and completion of words do without."""

MODULES = [
    found.name
    for package in (bsky_assets, bsky_sandbox)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.name.endswith(".__main__")
]

STATE = """
def state():
    import logging, multiprocessing, os, signal, socket, sys, threading, warnings
    from decimal import getcontext
    from locale import setlocale, LC_ALL
    from stamina.instrumentation import get_on_retry_hooks
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "hooks of retries": repr([type(hook).__name__ for hook in get_on_retry_hooks()]),
        "warnings": [str(filter) for filter in warnings.filters],
        "signals": {str(n): str(signal.getsignal(n)) for n in signal.valid_signals()},
        "logging": [str(logging.root.handlers), logging.root.level, logging.root.manager.disable],
        "processes": str(multiprocessing.get_start_method(allow_none=True)),
        "time-out of sockets": str(socket.getdefaulttimeout()),
        "hooks of errors": [str(hook) for hook in (sys.excepthook, threading.excepthook)],
        "recursion": sys.getrecursionlimit(),
        "decimals": str(getcontext()),
        "locale": setlocale(LC_ALL),
        "threads": sorted(thread.name for thread in threading.enumerate()),
    }
"""

ONE_BY_ONE = """
import importlib, json, sys
for other in json.loads(sys.argv[2]):
    try:
        importlib.import_module(other)
    except ImportError:
        pass
before, changed = state(), {}
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
    after = state()
    if keys := [key for key in before if before[key] != after[key]]:
        changed[name] = {key: [before[key], after[key]] for key in keys}
    before = after
print(json.dumps(changed))
"""


def python(code: str, *arguments: str, folder: Path) -> str:
    environment = {**os.environ, "BSKY_DATA_DIR": str(folder), "PYTHONWARNINGS": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=True, env=environment, timeout=250,
    )  # fmt: skip
    return done.stdout


def changed_by(modules: list[str], others: list[str], folder: Path) -> dict[str, object]:
    """What importing each of `modules` changes, when `others` have been imported before."""
    printed = python(STATE + ONE_BY_ONE, json.dumps(modules), json.dumps(others), folder=folder)
    return dict(json.loads(printed.splitlines()[-1]))


def test_importing_any_module_changes_nothing_outside_it(tmp_path: Path) -> None:
    # What other people's packages do when they are imported is theirs: they come first.
    assert changed_by(MODULES, sorted(modules_of_others()), tmp_path) == {}


@pytest.mark.parametrize(
    "does",
    [
        "import os; os.environ['X'] = '1'",
        "import warnings; warnings.simplefilter('ignore')",
        "import stamina.instrumentation as i; i.set_on_retry_hooks([])",
        "import logging; logging.basicConfig()",
        # A handler of its own: to be ignored may be inherited.
        "import signal; signal.signal(signal.SIGTERM, lambda *_: None)",
        "import multiprocessing; multiprocessing.set_start_method('spawn')",
    ],
)
def test_a_module_that_changes_something_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    (tmp_path / "meddler.py").write_text(does)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert list(changed_by(["meddler"], [], tmp_path)) == ["meddler"]


ONE_AFTER_ANOTHER = """
import contextlib, json, sys
from bsky_assets import cli
heavy, loaded = set(json.loads(sys.argv[1])), {}
for arguments in json.loads(sys.argv[2]):
    sys.argv = ["bsky-assets", *arguments]
    with contextlib.suppress(SystemExit):
        cli.main()
    if found := heavy & set(sys.modules):
        loaded[" ".join(arguments)] = sorted(found)
        heavy -= found
print()
print(json.dumps(loaded))
"""


def loaded(heavy: set[str], *commands: list[str], folder: Path) -> dict[str, list[str]]:
    """What the commands, one after another in one process, load of `heavy`, and which does."""
    told = json.dumps(sorted(heavy)), json.dumps(commands)
    return dict(json.loads(python(ONE_AFTER_ANOTHER, *told, folder=folder).splitlines()[-1]))


def test_help_version_and_a_typo_load_nothing_heavy(tmp_path: Path) -> None:
    commands = [["--help"], ["-h"], ["--version"], ["staus"], [], ["labels", "--help"]]
    assert loaded(NO_PAGE_NEEDS | {"pydantic"}, *commands, folder=tmp_path) == {}


def test_a_command_that_loads_something_heavy_is_found_out(tmp_path: Path) -> None:
    assert loaded({"pydantic"}, ["--help"], ["config"], folder=tmp_path) == {"config": ["pydantic"]}


def test_completion_of_a_command_loads_nothing_heavy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_BSKY_ASSETS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "bsky-assets que")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert loaded(NO_PAGE_NEEDS | {"pydantic"}, [], folder=tmp_path) == {}


EVERY_PAGE = """
import contextlib, io, json, sys
from typer.main import get_command
from bsky_assets import cli
heavy, loaded = set(json.loads(sys.argv[1])), {}
for name in cli.COMMANDS:
    command = cli.command_of(name)
    for below in [[], *([one] for one in getattr(command, "commands", {}))]:
        with contextlib.redirect_stdout(io.StringIO()) as page, contextlib.suppress(SystemExit):
            get_command(cli.app)([name, *below, "--help"])
        assert "Usage:" in page.getvalue()
        if found := heavy & {module.partition(".")[0] for module in sys.modules}:
            loaded[" ".join([name, *below])] = sorted(found)
            heavy -= found
print(json.dumps(loaded))
"""


def test_no_command_loads_anything_heavy_to_show_its_help(tmp_path: Path) -> None:
    heavy = json.dumps(sorted(NO_PAGE_NEEDS))
    assert json.loads(python(EVERY_PAGE, heavy, folder=tmp_path)) == {}


@pytest.mark.parametrize("words", ["heal --day 2", "schema show raw", "export --level "])
def test_completion_of_days_assets_and_choices_loads_nothing_heavy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("_BSKY_ASSETS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"bsky-assets {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
    assert loaded(HEAVY | {"duckdb", "pyarrow"}, [], folder=tmp_path) == {}


def test_what_a_completion_and_an_option_offer_is_what_their_rooms_have() -> None:
    assert (*(row.asset for row in lineage.ROWS), lineage.DAILY_REPORT) == choices.ASSETS
    assert tuple(row.asset for row in DEFAULT_ASSETS) == choices.EXPORTED
    assert choices.Level == levels.Level
    assert choices.AnswerKind == codebooks.Kind
    assert get_args(choices.Regression) == (regression.LINEAR, regression.LOGISTIC)
    assert get_args(choices.Teacher) == (lessons.MODEL, lessons.PEOPLE)
    assert get_args(choices.ReadBy) == (lessons.EMBEDDINGS, lessons.WORDS)
    assert tuple(sampling.STRATA) == choices.STRATA
    assert tuple(outcomes.BUILT_IN.answers) == choices.OUTCOMES
    assert tuple(population.COVARIATES) == choices.COVARIATES


def test_definitions_load_no_client_and_no_statistics_that_few_runs_need(tmp_path: Path) -> None:
    code = "import sys, bsky_assets.definitions; print(' '.join(sys.modules))"
    late = {"atproto", "fasttext", "matplotlib", "openai", "scipy.stats", "sklearn", "statsmodels"}
    assert not late & set(python(code, folder=tmp_path).split())


def test_looking_at_data_loads_no_orchestration(settings: Settings) -> None:
    publish(settings)  # a command makes the catalogue only where there is none
    commands = [["config"], ["query", "SELECT 1"], ["status"]]
    assert loaded(HEAVY | {"pyarrow.compute"}, *commands, folder=settings.data_dir) == {}
