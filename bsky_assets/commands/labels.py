"""`bsky-assets labels`: labels against people, and models against each other."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bsky_assets.commands import people, texts, trials
from bsky_assets.commands.choices import STRATA
from bsky_assets.commands.in_force import get_settings
from bsky_assets.commands.options import DAY, AsJson, LastDay, OfCodebook, days_from, named
from bsky_assets.console import cell, echo, echo_err, echo_json, stdout
from bsky_assets.errors import UserError

if TYPE_CHECKING:
    from bsky_assets.contracts import Row
    from bsky_assets.labelling.statistics.agreement import Agreement
    from bsky_assets.labelling.statistics.consistency import Consistency
    from bsky_assets.labelling.statistics.evaluation import Compared, Evaluation
    from bsky_assets.labelling.statistics.metrics import Scores
    from bsky_assets.settings import Settings
    from bsky_assets.storage.lake import Lake

app = typer.Typer(
    no_args_is_help=True,
    help="Check labels against people, and models against each other.",
)

for others in (people, trials, texts):
    app.add_typer(others.app)


@app.command("export")
def export_sample(
    out: Annotated[Path, typer.Argument(metavar="OUT.csv", help="The file to write.")],
    sample: Annotated[int, typer.Option(min=1, help="How many posts.")] = 200,
    stratify: Annotated[
        str,
        typer.Option(help=f"Comma-separated: {', '.join(STRATA)}; or none for a simple sample."),
    ] = "label",
    day: Annotated[str | None, DAY] = None,
    to: LastDay = None,
    codebook: OfCodebook = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed draws the same posts; default: by chance.")
    ] = None,
) -> None:
    """Write a sample of labelled posts for people to label, blind to the model's answers.

    The columns is_sociopolitical (true or false) and political_ideology (left, right, moderate,
    unclear or none), or that of the codebook, are left empty, to be filled in. How the sample was
    drawn is kept in the data directory, for `labels eval`. Without --day it is drawn from the
    latest labelled day.

    \b
    Example:
      bsky-assets labels export --sample 200 --stratify label --day 2026-03-08 gold.csv
    """
    from bsky_assets.labelling.day import row_of
    from bsky_assets.labelling.ledger.store import ledger_of
    from bsky_assets.labelling.statistics.sampling import export
    from bsky_assets.storage.connection import in_memory
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    lake = Lake.of(settings)
    strata = [name for name in named(stratify) if name != "none"]
    with in_memory() as con:
        row = row_of(lake, codebook)
        days = _days(settings, lake, day, to, row)
        design = export(
            con, lake, ledger_of(settings), days, sample, strata, out, row=row, seed=seed
        )
    posts = sum(design.sizes.values())
    echo(f"{out}: {len(design.posts)} of {posts} posts")


@app.command("eval")
def evaluate_labels(
    gold_file: Annotated[
        Path, typer.Argument(metavar="GOLD.csv", help="A file with labels by people.")
    ],
    gold: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of labels by people.")
    ] = None,
    predicted: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column to score, if it is in the file too."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="A folder to write the confusion matrices to, as pictures."),
    ] = None,
    as_json: AsJson = False,
    codebook: OfCodebook = None,
    consistency: Annotated[
        bool,
        typer.Option(
            "--consistency", help="Also ask the model again, to see how far it repeats itself."
        ),
    ] = False,
) -> None:
    """Score the labels of record, or those in the file itself, against labels by people.

    Posts are found by a column of URIs or of texts. Columns are known by their names, such as
    is_sociopolitical and political_ideology, or gold_label and predicted_label; say which with
    --gold and --predicted where that is not clear. The shares of the day are corrected for the
    model's errors; see docs/labelling.md for the method.

    \b
    Example:
      bsky-assets labels eval gold.csv --figure pictures
    """
    from bsky_assets.labelling.day import prompt_of, row_of
    from bsky_assets.labelling.ledger.store import ledger_of
    from bsky_assets.labelling.statistics.consistency import measure
    from bsky_assets.labelling.statistics.evaluation import evaluate
    from bsky_assets.labelling.statistics.gold import read_gold
    from bsky_assets.storage.connection import in_memory
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    lake, ledger = Lake.of(settings), ledger_of(settings)
    row = row_of(lake, codebook)
    labelled = read_gold(gold_file, gold=gold, predicted=predicted, row=row)
    with in_memory() as con:
        evaluation = evaluate(con, lake, ledger, labelled, row)
        measured = None
        if consistency:
            if not evaluation.uris:
                raise UserError("to ask the model again the file needs URIs or texts of its posts")
            measured = measure(
                con,
                lake,
                settings,
                prompt_of(settings, row),
                evaluation.uris,
                evaluation.days,
                lambda progress: echo_err(progress),
                row,
            )
    if figure:
        figure.mkdir(parents=True, exist_ok=True)
        for compared in evaluation.compared:
            (figure / f"{compared.name}.png").write_bytes(compared.png())
    if as_json:
        both = {"evaluation": evaluation, "consistency": measured}
        echo_json(both)
        return
    for compared in evaluation.compared:
        _show_compared(compared)
    _show_shares(evaluation)
    if measured:
        _show_consistency(measured)


@app.command("compare")
def compare_models(
    day: Annotated[str | None, DAY] = None,
    to: LastDay = None,
    figure: Annotated[
        Path | None, typer.Option(help="A folder to write the confusion matrices to, as pictures.")
    ] = None,
    disputed: Annotated[
        Path | None, typer.Option(help="A CSV file to write the disputed posts to.")
    ] = None,
    codebook: OfCodebook = None,
) -> None:
    """Compare the models that labelled the same posts: Cohen's kappa for each pair.

    Set BSKY_LLM_MODELS to more than one model to have several. Without --day the latest labelled
    day is taken.

    \b
    Example:
      bsky-assets labels compare --day 2026-03-08 --disputed disputed.csv
    """
    from bsky_assets.labelling.day import row_of
    from bsky_assets.labelling.statistics.agreement import compare
    from bsky_assets.storage.connection import in_memory
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    lake = Lake.of(settings)
    with in_memory() as con:
        row = row_of(lake, codebook)
        agreement = compare(con, lake, _days(settings, lake, day, to, row), row)
    if not agreement.pairs:
        raise UserError(
            "no two models labelled the same posts; set BSKY_LLM_MODELS to more than one and "
            f"materialise {row.asset}"
        )
    _show_agreement(agreement)
    if figure:
        figure.mkdir(parents=True, exist_ok=True)
        for number, pair in enumerate(agreement.pairs):
            (figure / f"models-{number}.png").write_bytes(pair.png())
    if disputed:
        agreement.disputed.to_pandas().to_csv(disputed, index=False)


def _days(
    settings: Settings, lake: Lake, day: str | None, to: str | None, row: type[Row]
) -> list[date]:
    """The days that were named, or the latest that has labels."""
    if day is None:
        if to is not None:
            raise typer.BadParameter("needs --day", param_hint="--to")
        return lake.days(row)[-1:]
    return days_from(day, to, settings.timezone)


def _show_compared(compared: Compared) -> None:
    scores = compared.scores
    echo(f"{compared.name}: {scores.posts} posts, by people and by {compared.by}")
    if compared.without_label:
        echo(f"{compared.without_label} posts of the file have no label to compare with")
    _show_scores(scores)
    if compared.accuracy_of_all:
        echo(f"accuracy among all labelled posts: {compared.accuracy_of_all}")
    table = Table("class", "precision", "recall", "F1", "posts")
    for part in scores.per_class:
        values = (f"{value:.3f}" for value in (part.precision, part.recall, part.f1))
        table.add_row(cell(part.label), *values, str(part.support))
    stdout.print(table)
    confusion = Table("by people \\ labelled", *map(cell, scores.classes))
    for label, row in zip(scores.classes, scores.confusion, strict=True):
        confusion.add_row(cell(label), *map(str, row))
    stdout.print(confusion)


def _show_scores(scores: Scores) -> None:
    table = Table("", "value", "95% interval")
    for name, estimate in (
        ("accuracy", scores.accuracy),
        ("macro-F1", scores.macro_f1),
        ("weighted F1", scores.weighted_f1),
        ("Cohen's kappa", scores.kappa),
    ):
        table.add_row(name, *estimate.cells())
    stdout.print(table)


def _show_shares(evaluation: Evaluation) -> None:
    if not evaluation.shares:
        return
    sampled = "by the sample's design" if evaluation.is_designed else "as if drawn at random"
    days = " to ".join(sorted({str(evaluation.days[0]), str(evaluation.days[-1])}))
    of = "posts asked about or not" if evaluation.is_of_sample else "labelled posts"
    echo(f"shares of all {of} of {days}, {sampled}")
    table = Table("share", "by the model alone", "corrected", "95% interval", "sample")
    for share in evaluation.shares:
        naive, sampled = f"{share.naive:.3f}", str(share.sampled)
        table.add_row(share.label, naive, *share.corrected.cells(), sampled)
    stdout.print(table)


def _show_consistency(consistency: Consistency) -> None:
    size = consistency.batch_size
    for title, scores in (
        (f"drift: asked alone, and {size} at a time", consistency.drift),
        (f"self-consistency: asked twice, {size} at a time", consistency.repeated),
    ):
        echo(f"{title}, {scores.posts if scores else 0} posts")
        if scores:
            _show_scores(scores)


def _show_agreement(agreement: Agreement) -> None:
    table = Table("models", "label", "posts", "agreement", "kappa", "95% interval")
    for pair in agreement.pairs:
        for name, scores in pair.scores.items():
            models, accuracy = cell(f"{pair.first} / {pair.second}"), f"{scores.accuracy.value:.3f}"
            table.add_row(models, name, str(scores.posts), accuracy, *scores.kappa.cells())
    stdout.print(table)
    echo(f"{agreement.disputed.num_rows} posts are disputed")
