"""`bsky-assets maintain`: what the nightly job does, by hand."""

from datetime import timedelta
from functools import partial
from typing import Annotated

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo


def maintain(
    now: Annotated[
        bool,
        typer.Option(
            "--now",
            help="Remove replaced files at once, whoever reads them, not two hours later.",
        ),
    ] = False,
) -> None:
    """Honour deletions in every stored day, erase their words, remove replaced files.

    In live mode the job `maintenance` does the same every night.

    \b
    Example:
      bsky-assets maintain
    """
    from bsky_assets.consolidation.tombstones import apply_tombstones
    from bsky_assets.labelling.forgetting import forget_words
    from bsky_assets.orchestration.forgetting import forget_again
    from bsky_assets.orchestration.maintenance import erase_words, remove_replaced
    from bsky_assets.orchestration.publish import publish
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.lake import GRACE, Lake

    settings = get_settings()
    lake = Lake.of(settings)
    with connect(settings) as con:
        forget = partial(forget_words, con, lake, settings)
        left = sum(each.rows for each in apply_tombstones(con, lake, forget))
        erased = sum(rows for _, rows in erase_words(con, settings, forget))
        again = len([*forget_again(con, settings)])
    publish(settings)
    freed = remove_replaced(settings, timedelta(0) if now else GRACE)
    echo(
        f"{left:,} rows removed, {erased:,} erased, {again:,} forgotten again, "
        f"{freed:,} bytes freed"
    )
