"""`bsky-assets collect`: collect until stopped."""

import time
from pathlib import Path
from typing import Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo_err


def collect(
    dids: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep of the firehose only what is of the accounts whose DIDs are in it, one a "
            "line.",
        ),
    ] = None,
) -> None:
    """Collect the firehose and the labeler's stream until stopped; made to run long.

    What comes is committed every few seconds, whole or not at all, and a restart goes on where
    the last commit ends. SIGINT and SIGTERM end it in good order, a second one at once. Dagster
    takes in what has landed: see the sensor `follow_inputs`.

    \b
    Examples:
      bsky-assets collect
      bsky-assets collect --dids accounts.txt
    """
    from bsky_assets.bluesky import collector
    from bsky_assets.bluesky.accounts.listed import read_list
    from bsky_assets.commands.progress import report_line, shown

    settings = get_settings()
    listed = read_list(dids, echo_err) if dids else []
    started = time.monotonic()
    with shown() as progress:
        reports = collector.collect(settings, progress=progress, dids=listed)
    for report in reports:
        echo_err(report_line(report))
    echo_err(f"collected for {time.monotonic() - started:,.1f} s")
