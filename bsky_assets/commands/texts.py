"""`bsky-assets labels ask`: labels of texts that never were posts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bsky_assets.commands.in_force import get_settings
from bsky_assets.commands.options import OfCodebook
from bsky_assets.console import echo, echo_err
from bsky_assets.errors import UserError

if TYPE_CHECKING:
    from bsky_assets.settings import Settings

app = typer.Typer()

_PREDICTED = "predicted_"
_TOLD = ("error", "labelled_by", "prompt_version")


@app.command("ask")
def ask_about_texts(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE.csv]", help="The texts, a row each.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="OUT.csv", help="The file to write.")] = Path(
        "labelled.csv"
    ),
    sql: Annotated[
        str | None, typer.Option(metavar="SELECT", help="The rows of a query instead of a file.")
    ] = None,
    text: Annotated[str, typer.Option(metavar="COLUMN", help="The column of the texts.")] = "text",
    codebook: OfCodebook = None,
) -> None:
    """Label texts that never were posts, with the model, prompt and ledger that posts have.

    OUT.csv has the rows as they were, with a column `predicted_…` for each answer, and why there is
    none. Columns reply_to, thread_root, quoted, link and alt_texts are sent along where the
    codebook wants them. A text that was asked about before is not asked about again.

    \b
    Example:
      bsky-assets labels ask speeches.csv --out labelled.csv
      bsky-assets labels eval labelled.csv
    """
    from bsky_assets.labelling.day import row_of
    from bsky_assets.labelling.statistics.sampling import answer_names, write_csv
    from bsky_assets.labelling.texts import label_texts
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.lake import Lake

    if (file is None) == (sql is None):
        raise typer.BadParameter("expected a file, or --sql")
    settings = get_settings()
    rows = _rows(file) if file else _selected(settings, sql or "")
    if text not in rows[0]:
        raise UserError(f"there is no column {text!r}; there are {', '.join(rows[0])}")
    row = row_of(Lake.of(settings), codebook)
    names = answer_names(row)
    added = [*(_PREDICTED + name for name in names), *_TOLD]
    if twice := [name for name in added if name in rows[0]]:
        raise UserError(f"the rows have a column {twice[0]!r} already; rename it")
    with connect(settings) as con:
        made = label_texts(
            con,
            settings,
            [{**each, "text": each[text]} for each in rows],
            row,
            report=lambda progress: echo_err(progress),
        )
    told = (
        [
            *(each.get(name, "") for name in rows[0]),
            *(label.answers.get(name, "") for name in names),
            *("" if label.answers else label.error or "", made.model, made.prompt_version),
        ]
        for each, label in zip(rows, made.labels, strict=True)
    )
    write_csv(out, [*rows[0], *added], told)
    blank = sum(not label.answers for label in made.labels)
    echo(
        f"{out}: {len(rows):,} rows, {len(rows) - blank:,} labelled by {made.model} in "
        f"{made.requests:,} requests; {blank:,} without an answer, whose predictions are blank"
    )


def _rows(file: Path) -> list[dict[str, str]]:
    from bsky_assets.analysis.coding.making import read_rows

    return read_rows(file)


def _selected(settings: Settings, sql: str) -> list[dict[str, str]]:
    from bsky_assets.commands.asking import ask

    found: list[dict[str, str]] = []

    def take(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        cells = (["" if value is None else str(value) for value in row] for row in rows)
        found.extend(dict(zip(names, row, strict=True)) for row in cells)

    ask(settings, sql, take, unsafe=False)
    if not found:
        raise UserError("the statement gives no rows")
    return found
