"""The command line: `bsky-assets`."""

import sys

import typer

from bsky_assets.commands import (
    collect,
    config,
    labels,
    llm,
    materialize,
    migrate,
    query,
    run,
    sandbox,
    status,
    sync,
)
from bsky_assets.console import stderr
from bsky_assets.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Collect a day of Bluesky, filter it, label it, and trace every label.",
)
app.command()(run.run)
app.add_typer(sync.app, name="sync")
app.command()(collect.collect)
app.command()(materialize.materialize)
app.command()(status.status)
app.command()(query.query)
app.command()(config.config)
app.add_typer(labels.labels_app, name="labels")
app.add_typer(llm.llm_app, name="llm")
app.add_typer(migrate.app, name="migrate")
app.command()(sandbox.sandbox)


def main() -> None:
    """Run the command; exit 0 on success, 1 on failure with one line, 2 on bad usage."""
    try:
        app()
    except UserError as error:
        stderr.print(f"error: {' '.join(str(error).split())}", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
