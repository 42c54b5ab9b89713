"""`bsky-assets export`: days of the lake as files, with data dictionary and provenance."""

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from bsky_assets.commands.choices import EXPORTED, Level
from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import stdout
from bsky_assets.sync_day import parse_day


def export(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to make.")],
    day: Annotated[
        str,
        typer.Option(metavar="DAY", help="YYYY-MM-DD, `today`, `yesterday`, or -2: two days ago."),
    ] = "today",
    to: Annotated[
        str | None, typer.Option(metavar="DAY", help="Last sync day; default: the same.")
    ] = None,
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
    first = parse_day(day, settings.timezone)
    last = parse_day(to, settings.timezone) if to else first
    if last < first:
        raise typer.BadParameter(f"{last} is before {first}", param_hint="--to")
    days: list[date] = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    if assets is not None and level != "restricted":
        raise typer.BadParameter(f"--level {level} has tables of its own", param_hint="--assets")
    lake = Lake.of(settings)
    rows = default_assets(lake)
    if assets is not None:
        rows = assets_named(lake, [name.strip() for name in assets.split(",") if name.strip()])
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
        stdout.print(
            f"{out / file.path.name}: {file.rows:,} rows, {file.bytes:,} bytes",
            markup=False,
            soft_wrap=True,
        )
