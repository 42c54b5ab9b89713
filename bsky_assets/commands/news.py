"""`bsky-assets news`: pairs of post and article for people to code, and the gate made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo

app = typer.Typer(
    no_args_is_help=True,
    help="Code pairs of post and article, and calibrate from them what is near enough.",
)


@app.command()
def pairs(
    out: Annotated[Path, typer.Option("--out", metavar="FILE.csv", help="Where they go.")],
    count: Annotated[int, typer.Option(min=1, help="At most so many.")] = 200,
) -> None:
    """Write pairs of a post and an article that share a name in the news, to be coded.

    They are drawn at random from the stored days; `is_about` is to be filled in with yes or no.

    \b
    Example:
      bsky-assets news pairs --count 200 --out pairs.csv
    """
    from bsky_assets.contracts.news import NewsContext
    from bsky_assets.news.calibrating import pairs_to_code
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.files import staged
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    lake = Lake.of(settings)
    with connect(settings) as con:
        found = pairs_to_code(con, lake, lake.days(NewsContext), count)
    with staged(out) as path:
        found.to_csv(path, index=False)
    echo(f"{out}: {len(found):,} pairs; fill in is_about with yes or no")


@app.command()
def calibrate(
    coded: Annotated[Path, typer.Argument(metavar="FILE.csv", help="The coded pairs.")],
) -> None:
    """Learn from coded pairs how near an article must be to a post, and keep it.

    \b
    Example:
      bsky-assets news calibrate pairs.csv
    """
    from bsky_assets.news.calibrating import calibrate_from
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    with connect(settings) as con:
        gate, found, model = calibrate_from(con, Lake.of(settings), settings, coded)
    echo(
        f"{model}: a distance of {gate.largest_distance:.2f} at most and a margin of "
        f"{gate.least_margin:.2f} at least; of these pairs {found.precision:.0%} of what is let "
        f"through belongs together, and {found.recall:.0%} of what does is let through"
    )
