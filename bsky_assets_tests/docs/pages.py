"""The commands that README and docs name, as a person would type them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bsky_assets import cli
from bsky_assets_tests.support.places import ROOT

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"{p.relative_to(ROOT)}" for p in (ROOT / "docs").rglob("*.md")),
)

OURS = "bsky-assets"
SHELL = {"sh", "bash", "shell"}
_BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_PROGRAM = re.compile(r"(\.venv/bin/)?(bsky-assets|make|pip|python -m) ")
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=")
_OPERATORS = {"|", ">", ">>", "<", "&&", "||", ";", "&"}


def _registered() -> Iterator[tuple[str, ...]]:
    for name in cli.COMMANDS:
        below = getattr(cli.command_of(name), "commands", None)
        yield from ((name, one) for one in below) if below else [(name,)]


REGISTERED = tuple(_registered())
"""Every command of ours, by its words."""


@dataclass(frozen=True)
class Command:
    """A command, and the variables that stand before it."""

    place: str
    """Page and line."""
    words: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()
    is_mention: bool = False
    """Whether it stands in a sentence, where it may be no more than a name."""

    @property
    def text(self) -> str:
        return shlex.join(self.words)


def commands(page: str) -> list[Command]:
    """Every command of a page, in its order."""
    text = (ROOT / page).read_text()
    found = [*_in_blocks(page, text), *_in_sentences(page, text)]
    return sorted(found, key=lambda command: int(command.place.rpartition(":")[2]))


def _in_blocks(page: str, text: str) -> Iterator[Command]:
    """All of a shell's block; of others, such as a terminal's, the lines that begin as ours do."""
    for block in _BLOCK.finditer(text):
        first = text[: block.start(3)].count("\n") + 1
        if block[2] == "sql":
            yield Command(f"{page}:{first}", (OURS, "query", block[3]))
            continue
        for number, statement in _statements(block[3], is_shell=block[2] in SHELL):
            yield from _split(f"{page}:{first + number}", statement)


def _in_sentences(page: str, text: str) -> Iterator[Command]:
    outside = _BLOCK.sub(lambda block: "\n" * block[0].count("\n"), text)
    for span in _SPAN.finditer(outside):
        if _PROGRAM.match(f"{span[1]} "):
            line = outside[: span.start()].count("\n") + 1
            for command in _split(f"{page}:{line}", span[1]):
                yield replace(command, is_mention=True)


def _statements(block: str, *, is_shell: bool) -> Iterator[tuple[int, str]]:
    """Each statement with the number of its line; quotes and backslashes may span lines."""
    waiting: list[str] = []
    for number, line in enumerate(block.splitlines()):
        shown = line if waiting else line.strip().removeprefix("$ ")
        if not waiting and not is_shell and not _PROGRAM.match(f"{shown} "):
            continue
        waiting.append(shown)
        statement = "\n".join(waiting).replace("\\\n", "")
        if statement.endswith("\\") or not _is_whole(statement):
            continue
        if shlex.split(statement, comments=True):
            yield number - len(waiting) + 1, statement
        waiting = []
    assert not waiting, f"a statement that does not end: {waiting}"


def _is_whole(statement: str) -> bool:
    try:
        shlex.split(statement, comments=True)
    except ValueError:
        return False
    return True


def _split(place: str, line: str) -> Iterator[Command]:
    """The commands of a line, which pipes and the like may join."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _OPERATORS:
            words.append(word)
        elif words:
            yield _command(place, words)
            words = []


def _command(place: str, words: list[str]) -> Command:
    given = words[1:] if words[0] == "export" else words
    count = next((n for n, word in enumerate(given) if not _ASSIGNMENT.match(word)), len(given))
    variables = [(name, value) for name, _, value in (w.partition("=") for w in given[:count])]
    program = [word.removeprefix(".venv/bin/") for word in given[count : count + 1]]
    return Command(place, (*program, *given[count + 1 :]), tuple(variables))
