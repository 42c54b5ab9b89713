"""Every command in README and docs: run on a day of the sandbox or, for a reason, only read."""

import csv
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer

from bsky_assets import cli
from bsky_assets_tests.docs.pages import OURS, PAGES, REGISTERED, ROOT, Command, commands
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.legacy import old_document, old_row, write_database
from bsky_assets_tests.support.sandbox_day import SandboxDay

pytestmark = pytest.mark.scenario

ONLY_READ = {
    r"make \w+.*": "sets up an environment of its own, from a package registry",
    r"pip install.*": "downloads packages",
    r"python -m .*": "benchmarks take minutes",
    r"ollama .*": "another program; it downloads a model and serves it until it is stopped",
    r"(useradd|git clone|cd|apt-get|runuser|install|systemctl|systemd-run) .*": "sets up a server",
    r"(conda|crontab|docker|kubectl|ray) .*": "sets up a node of a cluster, or a cluster",
    r"bsky-assets collect( --dids .*)?": "reads until it is stopped",
    r"bsky-assets sandbox .*": "serves until it is stopped",
    r"bsky-assets run( .*)?": "the day that the others are run on is made so, in the same data",
    r"bsky-assets labels room .*": "serves until it is stopped",
    r"bsky-assets llm serve .*": "needs a language model, and serves until it is stopped",
    r"bsky-assets labels (export|eval) --codebook .*": "needs labels of a codebook",
    r"bsky-assets study (seal|verify) .*": "needs a sample that people coded",
    r"bsky-assets news .*": "needs news, and pairs that people coded",
    r"bsky-assets labels compare": "needs labels of a second model",
    r"bsky-assets labels optimise .*": "needs a hundred posts coded by people, and a model",
    r"bsky-assets materialize( --day .*)?": "the day that the others are run on was made by it",
}
"""What is not run here, and why. Of these it is held that they can be read."""

LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")
IN_DOCS = re.compile(r"\bdocs/\S+")
ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox_day: SandboxDay) -> Path:
    """Where the commands of a page are run: with the data of `make run`, and files they name."""
    # The views of news are there where a source is named; this one has nothing.
    monkeypatch.setenv("BSKY_NEWS_FEEDS", f"file={tmp_path / 'news.csv'}")
    monkeypatch.setenv("BSKY_NEWS_VIEWS", "yes")
    day = sandbox_day.copied(tmp_path / "data" / "sandbox")
    for name, value in day.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    write_database(tmp_path / "FILE", [old_row(number) for number in range(3)])
    (tmp_path / "FILE.jsonl").write_text(json.dumps(old_document(1)) + "\n")
    spam = [f"spam,Call {n} now to claim your free prize" for n in range(20)]
    ham = [f"ham,See you at {n} then" for n in range(20)]
    (tmp_path / "posts.csv").write_text("\n".join(["label,text", *spam, *ham]))
    for codebook in (ROOT / "docs" / "codebooks").glob("*.toml"):
        (tmp_path / codebook.name).write_bytes(codebook.read_bytes())
    cases = ["text,label", *(f"A quiet sentence {n},0" for n in range(5)), "Kill all of them,1"]
    for name, label in (("with", "left"), ("without", "right"), ("people", "left")):
        (tmp_path / f"{name}.csv").write_text(f"uri,label\nat://a,{label}\nat://b,unclear\n")
    (tmp_path / "speeches.csv").write_text("text,political_ideology\nA speech of mine,none\n")
    (tmp_path / "cases.csv").write_text("\n".join(cases))
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_runs(
    page: str,
    request: pytest.FixtureRequest,
    sandbox_day: SandboxDay,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    to_run = [one for one in commands(page) if not (is_only_read(one) or is_name(one))]
    # A folder is made only for a page that has any.
    folder = request.getfixturevalue("folder") if to_run else Path()
    for command in to_run:
        for name, value in command.variables:
            monkeypatch.setenv(name, value)
        if command.words[1:3] in (("labels", "eval"), ("labels", "import")):
            fill_in(folder / command.words[3], sandbox_day)
        if words := [ISO_DAY.sub(str(sandbox_day.day), word) for word in command.words[1:]]:
            status, _, error = run(monkeypatch, capsys, *words)
            assert status == 0, f"{command.place}: {command.text}: {error}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_can_be_read(page: str) -> None:
    for command in commands(page):
        problem = misread(command.words)
        assert not problem or is_name(command), f"{command.place}: {command.text}: {problem}"


def test_every_command_has_an_example_that_is_read() -> None:
    shown = [one for page in PAGES for one in commands(page) if misread(one.words) is None]
    missing = [
        words
        for words in REGISTERED
        if not any(one.words[: 1 + len(words)] == (OURS, *words) for one in shown)
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_repository_leads_to_a_file(page: str) -> None:
    targets = LINK.findall((ROOT / page).read_text())
    assert not [link for link in targets if not ((ROOT / page).parent / link).exists()]


def is_only_read(command: Command) -> bool:
    """Whether a command is in the table; one of another program has to be."""
    stated = any(re.fullmatch(pattern, command.text, re.DOTALL) for pattern in ONLY_READ)
    is_ours = not command.words or command.words[0] == OURS
    assert stated or is_ours, f"{command.place}: say in ONLY_READ why it is not run: {command.text}"
    return stated


def is_name(command: Command) -> bool:
    """Whether a sentence only names a command, without the arguments that it needs."""
    return command.is_mention and (misread(command.words) or "").startswith("Missing")


def misread(words: tuple[str, ...]) -> str | None:
    """What is wrong with a command as it stands, as far as it is ours."""
    match words:
        case ["bsky-assets", *arguments] if arguments:
            return misread_arguments(arguments)
        case ["make", *targets]:
            rules = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            unknown = {target for target in targets if "=" not in target} - set(rules)
            return f"the Makefile has no {unknown}" if unknown else None
        case ["python", "-m", module, *_]:
            return None if find_spec(module) else f"there is no module {module}"
        case ["pip", "install", *what] if named := re.search(r"\[(.+)\]", " ".join(what)):
            setup = (ROOT / "setup.py").read_text()
            unknown = {name for name in named[1].split(",") if f'"{name}": [' not in setup}
            return f"setup.py has no {unknown}" if unknown else None
    missing = [path for path in IN_DOCS.findall(" ".join(words)) if not any(ROOT.glob(path))]
    return f"there is no {missing}" if missing else None


def misread_arguments(arguments: list[str]) -> str | None:
    """What the command line would say against them, without doing what they ask for."""
    if arguments[0] not in cli.COMMANDS:
        return f"there is no command {arguments[0]}"
    try:
        parse(typer.main.get_command(cli.app), OURS, arguments)
    except Exception as error:
        return getattr(error, "message", None) or type(error).__name__
    return None


def parse(command: Any, name: str, arguments: list[str], parent: Any = None) -> None:
    """Go down to the command that the arguments name and have it read the rest."""
    is_group = hasattr(command, "resolve_command")
    if is_group and not arguments:
        return
    with command.make_context(name, list(arguments), parent=parent) as context:
        if is_group:
            below = [*context._protected_args, *context.args]
            below_name, below_command, rest = command.resolve_command(context, below)
            parse(below_command, below_name, rest, context)


def fill_in(gold: Path, day: SandboxDay) -> None:
    """Do what people do: label each post of the sample, here as the sandbox knows it."""
    truth = {post["uri"]: post for post in day.truth["posts"]}
    with gold.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        post = truth[row["uri"].lstrip("'")]
        row["is_sociopolitical"] = str(post["is_political"]).lower()
        row["political_ideology"] = post["ideology"] or ""
    with gold.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["statsu"], "there is no command statsu"),
        (["status", "--dya", "today"], "No such option"),
        (["schema", "impcat", "record.text"], "No such command"),
        (["schema", "impact"], "Missing"),
        (["run", "--port", "many"], "valid integer"),
    ],
)
def test_a_command_that_is_none_is_found_out(words: list[str], says: str) -> None:
    assert says in (misread_arguments(words) or "")
