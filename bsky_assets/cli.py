"""The command line: `bsky-assets`. Each command is a module of `commands`, by its name.

A module is imported when its command is run, or asked for its help: what several of them need
takes seconds to load. So the names, and the line of each, stand here; a test holds them equal.
"""

import sys
from collections.abc import Callable, Iterator
from functools import wraps
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from bsky_assets.commands.completion import complete
from bsky_assets.console import echo_err, one_line, tell_retries
from bsky_assets.errors import BadUsage, UserError

COMMANDS = {
    "run": "Materialise today's sync day, print a summary, then serve the Dagster UI.",
    "collect": "Collect the firehose and the labeler's stream until stopped; made to run long.",
    "sync": "Collect now, up to limits, into today's raw partitions.",
    "materialize": "Materialise a sync day, or several, through Dagster.",
    "heal": "Fill what the firehose lacks, from an archive and repositories; say what is gone.",
    "status": "Show what is stored: rows of each asset by sync day, or one day in detail.",
    "doctor": "List what is damaged or stray, and what each can be made again from.",
    "query": "Ask the catalogue: a table in a terminal, CSV elsewhere.",
    "schema": "Show columns, what they are made from, and what a change of them touches.",
    "filters": "Measure the filters, train models for them, ask their canaries.",
    "estimate": "Estimate shares, differences and trends, corrected by what people coded.",
    "study": "Declare a study as a file, run it, seal it, verify one that was sealed.",
    "labels": "Check labels against people, and models against each other.",
    "codebook": "Ask the language model questions of your own: a text file each.",
    "news": "Code pairs of post and article, and calibrate from them what is near enough.",
    "llm": "Serve a language model on this machine.",
    "migrate": "Bring older data into today's shape.",
    "export": "Write a sync day, or several, to Parquet or CSV files to archive with a paper.",
    "rehydrate": "Fetch the posts of a dehydrated export as they are now; tell what is lost.",
    "forget": "Take an account or a post out of all that is stored, and keep it out.",
    "maintain": "Honour deletions in every stored day, erase their words, remove replaced files.",
    "config": "Print every variable, what is in force and what it means; secrets are masked.",
    "sandbox": "Serve a small Bluesky and an LLM on loopback, speaking the real protocols.",
}


def command_of(name: str) -> Any:
    """The command called `name`, imported.

    A module has an `app` where its command has commands of its own, and otherwise a function of
    the command's name.
    """
    module = import_module(f"bsky_assets.commands.{name}")
    if hasattr(module, "app"):
        command: Any = typer.main.get_command(module.app)
        command.name = name
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(getattr(module, name))
        command = typer.main.get_command(alone)
    for one in _with_those_below(command):
        one.help = _flowing(one.help or "")
        complete(one)
        if not hasattr(one, "commands"):
            # Once it runs: what tries again takes time to import, and help has nothing to try.
            one.callback = _after(tell_retries, one.callback)
    return command


def _with_those_below(command: Any) -> Iterator[Any]:
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from _with_those_below(below)


def _flowing(page: str) -> str:
    """Help whose paragraphs have the terminal's width; what begins with \\b keeps its lines."""
    parts = page.split("\n\n")
    return "\n\n".join(part if part.startswith("\b") else " ".join(part.split()) for part in parts)


def _after(before: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        before()
        return function(*arguments, **options)

    return run


class _Commands(TyperGroup):
    """Shows every command by its line, and imports one when it is resolved."""

    def __init__(self, **attributes: Any) -> None:
        lines = {name: TyperCommand(name, help=line) for name, line in COMMANDS.items()}
        super().__init__(**{**attributes, "commands": lines})

    def get_params(self, ctx: Any) -> list[Any]:
        options = super().get_params(ctx)
        for option in options:
            # typer's own flags have no value where they are not given: it loads pydantic for it.
            if isinstance(option, TyperOption) and option.is_flag and option.default is None:
                option.default = False
        return options

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and command_of(str(name)), rest


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"bsky_assets {version('bsky_assets')}")
        raise typer.Exit


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Collect a day of Bluesky, filter it, label it, and trace every label.",
)


@app.callback()
def bsky_assets(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Collect a day of Bluesky, filter it, label it, and trace every label."""


def main() -> None:
    """Run the command; exit 0 on success, 1 on failure with one line, 2 on bad usage."""
    try:
        app()
    except UserError as error:
        echo_err(f"error: {one_line(error)}")
        sys.exit(2 if isinstance(error, BadUsage) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
