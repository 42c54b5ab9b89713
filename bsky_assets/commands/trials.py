"""The commands of `bsky-assets labels` that try one way of labelling against another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from bsky_assets.console import stdout

if TYPE_CHECKING:
    from bsky_assets.labelling.statistics.arms import Arms
    from bsky_assets.labelling.statistics.paired import Effect


def effect_of_files(
    with_it: Annotated[Path, typer.Option("--with", metavar="A.csv", help="Labels made with it.")],
    without: Annotated[
        Path, typer.Option("--without", metavar="B.csv", help="Labels made without it.")
    ],
    gold: Annotated[Path, typer.Option("--gold", metavar="GOLD.csv", help="Labels by people.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Tell what something does to labels, from two files of them and one of labels by people.

    Posts are paired by a column of URIs, or of texts, never by their place in the file. Told are
    the accuracy of both, the posts that only one has right, McNemar's exact test, the gain, and how
    far the share of each label moves; see docs/optimise.md.

    \b
    Example:
      bsky-assets labels effect --with with.csv --without without.csv --gold coded.csv
    """
    from bsky_assets.labelling.statistics.arms import compare_files

    compared = compare_files(with_it, without, gold)
    if as_json:
        typer.echo(orjson.dumps(compared, option=orjson.OPT_INDENT_2))
        return
    for arms in compared:
        _show(arms)


def _show(arms: Arms) -> None:
    stdout.print(f"{arms.name}: {arms.effect.posts} posts", markup=False, soft_wrap=True)
    if arms.unpaired:
        stdout.print(f"{arms.unpaired} posts coded by people do not have a label both ways")
    show_effect(arms.effect)
    if arms.corrected_p != arms.effect.p:
        stdout.print(f"p corrected for all that is compared: {arms.corrected_p:.4f}")
    table = Table("label", "share without", "with", "shift", "95% interval")
    for one in arms.shifts:
        table.add_row(
            escape("".join(c if c.isprintable() else "?" for c in one.label)),
            f"{one.share_without:.3f}",
            f"{one.share_with:.3f}",
            f"{one.shift.value:+.3f}",
            f"{one.shift.low:+.3f} to {one.shift.high:+.3f}",
        )
    stdout.print(table)


def show_effect(found: Effect) -> None:
    """Print how two ways compare."""
    table = Table("", "value", "95% interval")
    for name, value in (
        ("accuracy without", found.accuracy_without),
        ("accuracy with", found.accuracy_with),
        ("gain", found.gain),
    ):
        table.add_row(name, f"{value.value:.3f}", f"{value.low:.3f} to {value.high:.3f}")
    stdout.print(table)
    stdout.print(
        f"right only with: {found.only_with}, only without: {found.only_without}; McNemar's exact "
        f"p = {found.p:.4f}",
        soft_wrap=True,
    )


def take_part(app: typer.Typer) -> None:
    """Put these commands into `app`."""
    app.command("effect")(effect_of_files)
