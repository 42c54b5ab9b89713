"""`bsky-assets status`: what is stored, day by day, and how complete it is."""

from typing import Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo
from bsky_assets.sync_day import parse_day


def status(
    day: Annotated[
        str | None, typer.Option(metavar="DAY", help="One sync day in detail; default: the last.")
    ] = None,
) -> None:
    """Show what is stored: rows of each asset by sync day, or one day in detail.

    \b
    Example:
      bsky-assets status --day today
    """
    from bsky_assets.bluesky.collected import is_collecting
    from bsky_assets.commands.stored import show_day, show_days
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    lake = Lake.of(settings)
    echo(f"data directory  {settings.data_dir}")
    if settings.lake_url:
        echo(f"lake            {settings.lake_url}")
    echo(f"collector       {'running' if is_collecting(settings) else 'not running'}")
    if day:
        show_day(lake, parse_day(day, settings.timezone), settings)
    else:
        show_days(lake, settings)
