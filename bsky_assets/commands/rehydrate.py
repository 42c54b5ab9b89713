"""`bsky-assets rehydrate`: the posts of a dehydrated export, as they are now."""

from pathlib import Path
from typing import Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo


def rehydrate(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Parquet or CSV with a column `uri`.")
    ],
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file to make; default: beside it."),
    ] = None,
) -> None:
    """Fetch the posts of a dehydrated export as they are now; tell what is lost.

    25 are asked for at a time. Whoever is interrupted runs the same command again: what was fetched
    is not fetched again.

    \b
    Example:
      bsky-assets rehydrate march-first-dehydrated/dehydrated_posts.parquet
    """
    from bsky_assets.commands.progress import shown
    from bsky_assets.exports.rehydrate import rehydrate as fetch
    from bsky_assets.storage.connection import connect

    settings = get_settings()
    target = to or file.with_name("rehydrated_posts.parquet")
    with connect(settings) as con, shown() as progress:
        made = fetch(con, settings, file, target, progress)
    echo(f"{made.path}: {sum(made.outcomes.values()):,} posts")
    for outcome, count in made.outcomes.items():
        echo(f"  {outcome}: {count:,}")
