"""`bsky-assets export`: days of the lake as files, with data dictionary and provenance."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bsky_assets.commands.choices import EXPORTED, Level
from bsky_assets.commands.in_force import get_settings
from bsky_assets.commands.options import DAY, LastDay, days_from, named
from bsky_assets.console import echo


def export(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to make.")],
    day: Annotated[str, DAY] = "today",
    to: LastDay = None,
    format: Annotated[  # noqa: A002 -- the option is called so
        Literal["parquet", "csv"], typer.Option(help="Of the files of rows.")
    ] = "parquet",
    assets: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated tables of a restricted export; default: "
            f"{','.join(EXPORTED)}, and those of codebooks."
        ),
    ] = None,
    level: Annotated[
        Level,
        typer.Option(help="How much is given: all, no words and no names, or only addresses."),
    ] = "restricted",
) -> None:
    """Write a sync day, or several, to Parquet or CSV files to archive with a paper.

    Beside the rows are a data dictionary, checksums, the prompts of the labels, and a README with
    versions, counts and gaps; provenance.json has the same in full. CSV is flat, and safe to open
    in a spreadsheet. `--level public` gives posts without text under pseudonyms, with their
    labels; `--level dehydrated` the addresses of posts with their labels.

    \b
    Example:
      bsky-assets export --day 2026-03-01 --to 2026-03-07 --format csv march-week-1
      bsky-assets export --day 2026-03-01 --level public march-first
    """
    from bsky_assets.contracts import LlmAnswer, LlmPrompt
    from bsky_assets.exports.export import assets_named, default_assets
    from bsky_assets.exports.export import export as write_export
    from bsky_assets.labelling.ledger.store import ledger_of
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    days = days_from(day, to, settings.timezone)
    if assets is not None and level != "restricted":
        raise typer.BadParameter(f"--level {level} has tables of its own", param_hint="--assets")
    lake = Lake.of(settings)
    rows = default_assets(lake)
    if assets is not None:
        rows = assets_named(lake, named(assets))
    with connect(settings) as con:
        made = write_export(
            con,
            lake,
            settings,
            days,
            out,
            format,
            rows,
            ledger_of(settings).files(LlmPrompt),
            ledger_of(settings).files(LlmAnswer),
            level,
        )
    for file in made.files:
        echo(f"{out / file.path.name}: {file.rows:,} rows, {file.bytes:,} bytes")
