"""`bsky-assets estimate`: shares, differences, coefficients and trends, naive and corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bsky_assets.commands.choices import COVARIATES, OUTCOMES, Regression
from bsky_assets.commands.options import AsJson, Days, OfCodebook
from bsky_assets.console import echo, echo_json, stdout
from bsky_assets.errors import UserError

if TYPE_CHECKING:
    from bsky_assets.analysis.estimating import Estimated


def estimate(
    formula: Annotated[
        str,
        typer.Argument(
            metavar="FORMULA",
            help=f"An outcome ({', '.join(OUTCOMES)}), or OUTCOME ~ COLUMN + C(COLUMN) + …; "
            f"columns: {', '.join(COVARIATES)}.",
        ),
    ],
    days: Days = "today",
    difference_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Differences between groups, to the first of them."),
    ] = None,
    trend: Annotated[bool, typer.Option("--trend", help="The change from day to day.")] = False,
    model: Annotated[Regression, typer.Option(help="What is fitted.")] = "linear",
    sample: Annotated[
        str | None, typer.Option(metavar="NAME", help="The sample that people coded.")
    ] = None,
    student: Annotated[
        bool, typer.Option("--student", help="Predict by what the student says, too.")
    ] = False,
    as_json: AsJson = False,
    codebook: OfCodebook = None,
) -> None:
    """Estimate shares, differences and trends, corrected by what people coded.

    Takes the labels of record, and those by people of a sample of these days: see `bsky-assets
    labels room`. Naive is what the labels of record alone would say; it stands beside, and is
    wrong as far as the model is. With --codebook the outcomes are the answers of one of yours. See
    docs/estimating.md for the method.

    \b
    Examples:
      bsky-assets estimate political --days 2026-03-08
      bsky-assets estimate "political ~ has_link + C(hour)" --days 2026-03-01..2026-03-07
      bsky-assets estimate political --difference-by source --days 2026-03-08
      bsky-assets estimate toxic --codebook toxic --days 2026-03-08
    """
    from bsky_assets.analysis.estimating import estimate as estimate_over_days

    wanted = _formula(formula, difference_by, trend=trend)
    found = estimate_over_days(
        wanted, days, model=model, sample=sample, student=student, codebook=codebook
    )
    if as_json:
        echo_json(found)
    else:
        _show(found)


def _formula(given: str, difference_by: str | None, *, trend: bool) -> str:
    right = [f"C({difference_by})"] if difference_by else []
    right += ["day"] if trend else []
    if right and "~" in given:
        raise UserError("--difference-by and --trend make the formula: give the outcome alone")
    return f"{given} ~ {' + '.join(right)}" if right else given


def _show(found: Estimated) -> None:
    days = f"{found.days[0]}" if len(found.days) == 1 else f"{found.days[0]} to {found.days[-1]}"
    labelled = f"{found.labelled:,} labelled, " if found.labelled < found.posts else ""
    echo(
        f"{found.formula}, {found.model}, {days}: {found.posts:,} posts by {found.authors:,} "
        f"authors, {labelled}{found.coded:,} of them coded by people ({found.sample})"
    )
    table = Table("", "corrected", "95% interval", "p", "naive", "95% interval", "p")
    for one in found.coefficients:
        corrected = (*one.corrected.cells(), f"{one.corrected_p:.3f}")
        naive = (*one.naive.cells(), f"{one.naive_p:.3f}")
        table.add_row(escape(one.name), *corrected, *naive)
    stdout.print(table)
    echo(found.method)
