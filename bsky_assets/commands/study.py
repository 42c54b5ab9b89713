"""`bsky-assets study`: studies as files, declared, run, sealed and verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bsky_assets.commands.choices import Regression
from bsky_assets.commands.in_force import get_settings
from bsky_assets.commands.options import Days, OfCodebook
from bsky_assets.console import echo, echo_err, stdout
from bsky_assets.errors import UserError

if TYPE_CHECKING:
    from bsky_assets.analysis.studies.declaration import Study
    from bsky_assets.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    help="Declare a study as a file, run it, seal it, verify one that was sealed.",
)
File = Annotated[Path, typer.Argument(metavar="FILE.toml", help="The declaration.")]


@app.command()
def new(
    file: File,
    days: Days,
    codebook: OfCodebook = None,
) -> None:
    """Write a declaration to be edited, with the models and the prompt in force.

    \b
    Examples:
      bsky-assets study new study.toml --days 2026-03-08
      bsky-assets study new toxic.toml --days 2026-03-08 --codebook toxic
    """
    import re

    from bsky_assets.analysis.studies.declaration import template
    from bsky_assets.storage.files import unusable
    from bsky_assets.sync_day import parse_days

    settings = get_settings()
    parse_days(days, settings.timezone)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem)[:64]
    text = template(name, days, settings, codebook)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise UserError(f"{file} is there already; name a new file") from None
    except OSError as error:
        raise unusable(file.parent, error) from error
    echo(f"{file}: state what is estimated, then run it")


@app.command()
def check(file: File) -> None:
    """Name what a declaration lacks, or states that there is not; a line each.

    \b
    Example:
      bsky-assets study check study.toml
    """
    study = _study(file, get_settings())
    echo(f"{file}: {study.name}, declaration {study.hash}")


@app.command()
def run(
    file: File,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="FORMULA", help="Estimate this too; it is marked exploratory."),
    ] = None,
    model: Annotated[Regression, typer.Option(help="What --also fits.")] = "linear",
) -> None:
    """Register a declaration, label its days, draw its sample and, once it is coded, estimate.

    Each run goes on where the study stands. A declaration that was registered when labels of its
    days were there already is exploratory.

    \b
    Examples:
      bsky-assets study run study.toml
      bsky-assets study run study.toml --also "left ~ is_reply"
    """
    from bsky_assets.analysis.estimating.formula import check_formula
    from bsky_assets.analysis.studies.register import RESULTS, folder_of, register
    from bsky_assets.analysis.studies.running import found_by, sample_of, uncoded
    from bsky_assets.sync_day import parse_days

    settings = get_settings()
    study = _study(file, settings)
    for formula in also or ():
        check_formula(formula, study.codebook.all_outcomes)
    days = parse_days(study.days, settings.timezone)
    entry = register(settings, study, days)
    _label(settings, study)
    entry, room = sample_of(settings, study, entry, days)
    if left := uncoded(settings, room):
        echo(
            f"{left:,} of {len(room.items):,} posts are not coded: "
            f"`bsky-assets labels room {room.name}`, then run this again"
        )
        return
    found = found_by(settings, study, entry, room, [(formula, model) for formula in also or ()])
    _show(found)
    echo(folder_of(settings, study) / RESULTS)


@app.command()
def seal(
    file: File,
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
) -> None:
    """Write a folder from which anybody can compute the study's numbers again.

    It has the rows that were used, with addresses and labels, and no text.

    \b
    Example:
      bsky-assets study seal study.toml sealed
    """
    from bsky_assets.analysis.studies.declaration import read_study
    from bsky_assets.analysis.studies.seal import seal as seal_study

    rows = seal_study(get_settings(), read_study(file), file, out)
    echo(f"{out}: {rows:,} rows")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A sealed study.")],
) -> None:
    """Compute every number of a sealed study again, from its folder alone.

    \b
    Example:
      bsky-assets study verify sealed
    """
    from bsky_assets.analysis.studies.verify import SealIsBroken, differences

    found = differences(folder)
    for line in found:
        echo_err(line)
    if found:
        raise SealIsBroken(f"{folder} differs in {len(found)} places; the first: {found[0]}")
    echo(f"{folder}: all the same")


def _study(file: Path, settings: Settings) -> Study:
    """The declaration, if all that it states is so."""
    from bsky_assets.analysis.studies.declaration import UnusableStudy, against_settings, read_study

    try:
        study = read_study(file)
        problems = [f"{file.name}: {problem}" for problem in against_settings(study, settings)]
    except UnusableStudy as error:
        problems = str(error).splitlines()
    if len(problems) > 1:
        for line in problems:
            echo_err(line)
        raise UnusableStudy(f"{file.name} has {len(problems)} problems; the first: {problems[0]}")
    if problems:
        raise UnusableStudy(problems[0])
    return study


def _label(settings: Settings, study: Study) -> None:
    """Materialise the days that lack labels as they are stated, and what these are made from."""
    from bsky_assets.analysis.studies.running import days_to_label
    from bsky_assets.sync_day import parse_days

    if days := days_to_label(settings, study, parse_days(study.days, settings.timezone)):
        from bsky_assets.commands.running import materialize_days
        from bsky_assets.orchestration.instance import open_instance

        with open_instance(settings):  # which the processes of the days open, too
            materialize_days(settings, days, f"+{study.row(settings).asset}", only_missing=True)


def _show(found: dict[str, Any]) -> None:
    table = Table("", "", "corrected", "95% interval", "naive", "95% interval", "")
    for one in found["estimates"]:
        for each in one["found"]["coefficients"]:
            told = (_told(each[kind]) for kind in ("corrected", "naive"))
            cells = (cell for pair in told for cell in pair)
            standing = f"exploratory: {one['exploratory']}" if one["exploratory"] else "declared"
            table.add_row(escape(one["formula"]), escape(each["name"]), *cells, standing)
    stdout.print(table)


def _told(estimate: dict[str, float]) -> tuple[str, str]:
    return f"{estimate['value']:.3f}", f"{estimate['low']:.3f} to {estimate['high']:.3f}"
