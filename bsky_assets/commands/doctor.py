"""`bsky-assets doctor`: what is damaged, and what it can be made again from."""

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo, one_line


def doctor() -> None:
    """List what is damaged or stray, and what each can be made again from.

    The length and the footer of every file are looked at, not its rows, and Dagster's own storage
    is not. Exit status 1 if something is damaged.

    \b
    Example:
      bsky-assets doctor
    """
    from bsky_assets.commands.examining import cure_of, examine
    from bsky_assets.storage.examination import STRAY

    settings = get_settings()
    damaged = 0
    for found in examine(settings):
        damaged += found.reason != STRAY
        day = f" on {found.day}" if found.day else ""
        line = f"{found.what}{day}: {found.path}: {found.reason}; {cure_of(found)}"
        echo(one_line(line))
    if damaged:
        raise typer.Exit(1)
    echo("nothing is damaged")
