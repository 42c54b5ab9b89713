"""`bsky-assets forget`: an account, or a post, out of all that is stored."""

from typing import Annotated

import typer

from bsky_assets.bluesky.syntax import at_uri_parts, is_did
from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import echo


def forget(
    subject: Annotated[
        str, typer.Argument(metavar="DID|URI", help="An account's DID, or the AT URI of a post.")
    ],
) -> None:
    """Take an account or a post out of all that is stored, and keep it out.

    Its rows go; where others name it, the name goes. That holds for partitions, replaced files,
    segments, quarantine, the ledger, samples and rooms of coders, reports and what Dagster keeps of
    runs. Exports are not touched: those that have its posts are listed.

    \b
    Example:
      bsky-assets forget did:plc:examplexampleexamplexamp
    """
    from bsky_assets.consolidation.forgotten import remember_to_forget
    from bsky_assets.exports.register import exports_holding
    from bsky_assets.orchestration.forgetting import forget_everywhere
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.lake import Lake

    parts = at_uri_parts(subject)
    if not is_did(subject) and not (parts and parts[2] and is_did(parts[0])):
        raise typer.BadParameter(f"{subject} is neither a DID nor the AT URI of a post")
    settings = get_settings()
    remember_to_forget(Lake.of(settings), subject)
    with connect(settings) as con:
        made = forget_everywhere(con, settings, subject)
    echo(
        f"{made.partitions:,} partitions, {made.segments:,} segments, {made.answers:,} files of "
        f"the ledger and {made.samples:,} of samples written anew; {made.entries:,} entries and "
        f"{made.logs:,} logs of runs changed; {made.reports:,} reports removed"
    )
    for export in exports_holding(settings.data_dir, parts[0] if parts else subject):
        echo(
            f"{export.folder} ({export.level}, {export.days[0]} to {export.days[-1]}) has posts "
            "of this account: make it anew"
        )
