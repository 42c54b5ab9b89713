"""`bsky-assets collect`: collect until stopped."""

import time

from bsky_assets.console import stderr
from bsky_assets.settings import get_settings


def collect() -> None:
    """Collect the firehose and the labeler's stream until stopped; made to run long.

    What comes is committed every few seconds, whole or not at all, and a restart goes on where
    the last commit ends. SIGINT and SIGTERM end it in good order, a second one at once. Dagster
    takes in what has landed: see the sensor `follow_inputs`.

    \b
    Example:
      bsky-assets collect
    """
    from bsky_assets.bluesky import collector
    from bsky_assets.commands.progress import report_line, shown

    settings = get_settings()
    started = time.monotonic()
    with shown() as progress:
        reports = collector.collect(settings, progress=progress)
    for report in reports:
        stderr.print(report_line(report), markup=False, soft_wrap=True)
    stderr.print(f"collected for {time.monotonic() - started:,.1f} s")
