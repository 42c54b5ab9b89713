"""The command line: `bsky-assets`. Each command is a module of `commands`, by its name."""

import sys
from collections.abc import Iterable
from importlib import import_module

import typer

from bsky_assets.console import stderr, tell_retries
from bsky_assets.errors import UserError

COMMANDS = (
    "run",
    "collect",
    "sync",
    "materialize",
    "status",
    "query",
    "schema",
    "filters",
    "labels",
    "llm",
    "migrate",
    "export",
    "config",
    "sandbox",
)


def build_app(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The application with these commands.

    A module has an `app` where its command has commands of its own, and otherwise a function of
    the command's name.
    """
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="Collect a day of Bluesky, filter it, label it, and trace every label.",
    )
    app.callback()(lambda: None)
    for name in names:
        module = import_module(f"bsky_assets.commands.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def main() -> None:
    """Run the command; exit 0 on success, 1 on failure with one line, 2 on bad usage."""
    # Only what was asked for is imported: Dagster alone takes seconds.
    wanted = sys.argv[1:2]
    tell_retries()
    try:
        build_app(wanted if set(wanted) & set(COMMANDS) else COMMANDS)()
    except UserError as error:
        stderr.print(f"error: {' '.join(str(error).split())}", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
