"""`bsky-assets filters`: measure the filters, train models for them, ask their canaries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from bsky_assets.commands.in_force import get_settings
from bsky_assets.commands.options import AsJson, named
from bsky_assets.console import cell, echo, echo_err, echo_json, one_line, stdout
from bsky_assets.errors import UserError

if TYPE_CHECKING:
    from bsky_assets.filters.measuring.evaluation import Evaluation, Mistake
    from bsky_assets.filters.measuring.measures import Confusion
    from bsky_assets.filters.measuring.training import TrainingReport

app = typer.Typer(
    no_args_is_help=True,
    help="Measure the filters, train models for them, ask their canaries.",
)

_SHOWN_CHARACTERS = 110
_FIGURES = ("texts", "TP", "FP", "FN", "TN", "precision", "recall", "F1", "accuracy")

Data = Annotated[
    Path,
    typer.Option("--data", metavar="FILE", help="Labelled texts, as CSV or TSV."),
]
TextColumn = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="COLUMN",
        help="The column of texts; its number where columns are unnamed.",
    ),
]
LabelColumn = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="The column of labels.")
]
StopLabels = Annotated[
    str | None,
    typer.Option(
        "--stop", metavar="LABEL,…", help="Labels that mean: stop; the others mean: let through."
    ),
]


class CanariesFlipped(UserError):
    """A filter no longer tells what it must."""


@app.command("train")
def train_model(
    name: Annotated[str, typer.Argument(metavar="FILTER", help="spam, hate_speech or nsfw.")],
    data: Data,
    text: TextColumn = None,
    label: LabelColumn = None,
    stop: StopLabels = None,
    insist: Annotated[
        bool, typer.Option("--insist", help="Put it in force however many posts it would stop.")
    ] = False,
) -> None:
    """Train a classifier for a filter; the chain uses it from then on.

    It is measured by five-fold cross-validation first, at an even threshold and at the one that
    the chain uses. Then it is asked about the filter's canaries, and is not put in force if one
    flips; and about the posts that passed on the last stored day, of which it is told how many
    it would stop, with ten examples: if they are more than one in a hundred, it is not put in
    force either, unless you insist. The model and its report, with the hash of the data, are kept
    in the data directory under models/FILTER; remove that folder to be rid of it. Columns are
    found by name (text, tweet, message, comment, …; label, class, category, …).

    \b
    Example:
      bsky-assets filters train spam --data posts.csv
    """
    from bsky_assets.filters.measuring.labelled import read_labelled
    from bsky_assets.filters.measuring.training import train, trainable

    trainable(name)
    labelled = read_labelled(data, name, text=text, label=label, stop=named(stop))
    report = train(name, labelled, get_settings(), insist=insist)
    _print_training(report)


@app.command("eval")
def evaluate_filter(
    name: Annotated[
        str, typer.Argument(metavar="FILTER", help="english, nsfw, spam or hate_speech.")
    ],
    data: Data,
    text: TextColumn = None,
    label: LabelColumn = None,
    stop: StopLabels = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,…",
            help="Columns to measure by group; functionality, target_ident, source and the like "
            "are found by themselves.",
        ),
    ] = None,
    mistakes: Annotated[int, typer.Option(min=0, help="How many mistakes of a kind to show.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Measure a filter on labelled texts: what it should stop, and what it does stop.

    The filter is asked as the chain would, with the model that was trained for it if there is
    one, but sees the text alone: no labels, no account, nothing of the day. For `english` labels
    are language codes, and what is English counts as positive.

    \b
    Example:
      bsky-assets filters eval hate_speech --data cases.csv --group functionality
    """
    from bsky_assets.filters.measuring.evaluation import evaluate, measurable
    from bsky_assets.filters.measuring.labelled import read_labelled

    measurable(name)
    labelled = read_labelled(
        data, name, text=text, label=label, stop=named(stop), group=named(group)
    )
    evaluation = evaluate(name, labelled, get_settings())
    if as_json:
        echo_json(_as_json(evaluation, mistakes))
    else:
        _print_evaluation(evaluation, mistakes)


@app.command("check")
def check_canaries() -> None:
    """Ask every filter about posts of which it must say what it always said.

    The same is done before every day that is filtered.

    \b
    Example:
      bsky-assets filters check
    """
    from bsky_assets.filters.config import config_version
    from bsky_assets.filters.measuring import canaries

    settings = get_settings()
    failures = canaries.check(settings)
    for failure in failures:
        echo_err(failure)
    if failures:
        names = ", ".join(dict.fromkeys(failure.filter for failure in failures))
        raise CanariesFlipped(
            f"{len(failures)} canaries flipped; look at the lists, models and configuration of: "
            f"{names}"
        )
    echo(f"every canary as it should be (version {config_version(settings)})")


def _print_training(report: TrainingReport) -> None:
    stops = ", ".join(report.stop_labels)
    labels = ", ".join(f"{label} {count:,}" for label, count in report.labels.items())
    echo(f"{report.data}: {labels}; stops {stops}")
    stdout.print(_table("cross-validated", report.measured))
    _print_left_out(report.left_out)
    if effect := report.effect:
        echo(
            f"would stop {effect.stopped:,} more of the {effect.passed:,} posts that passed on "
            f"{effect.day}" + ("; some are:" if effect.examples else "")
        )
        for text in effect.examples:
            echo(f"  {_shortened(text)}")
    echo(f"{report.model} ({report.seconds:.0f} s)")


def _print_left_out(left_out: Mapping[str, int]) -> None:
    if left_out:
        counts = ", ".join(f"{count:,} {why}" for why, count in left_out.items())
        echo(f"rows left out: {counts}")


def _print_evaluation(evaluation: Evaluation, mistakes: int) -> None:
    echo(f"{evaluation.filter}; positive is what is {evaluation.positive}")
    if evaluation.trained_on:
        echo(
            "the model in force was trained on these very texts: the figures say nothing of others"
        )
    _print_left_out(evaluation.left_out)
    stdout.print(_table("data", {evaluation.data: evaluation.overall}))
    for column, groups in evaluation.groups.items():
        stdout.print(_table(column, groups))
    for title, shown in _worst(evaluation, mistakes).items():
        for mistake in shown:
            reason = f" [{mistake.reason}]" if mistake.reason else ""
            echo(f"{title}{reason} ({mistake.label}): {_shortened(mistake.text)}")


def _table(title: str, rows: Mapping[str, Confusion]) -> Table:
    table = Table(title, *_FIGURES, box=SIMPLE, padding=(0, 1, 0, 0))
    for name, one in rows.items():
        figures = one.figures()
        counts = [figures[key] for key in list(figures)[:5]]
        shares = [one.precision, one.recall, one.f1, one.accuracy]
        table.add_row(
            cell(name),
            *(str(count) for count in counts),
            *("–" if share is None else f"{share:.3f}" for share in shares),
        )
    return table


def _worst(evaluation: Evaluation, count: int) -> dict[str, list[Mistake]]:
    """Mistakes of both kinds, from every label alike, longer texts first: they had most to say."""
    by_length = sorted(evaluation.mistakes, key=lambda mistake: -len(mistake.text))
    return {
        "stopped wrongly": [mistake for mistake in by_length if mistake.reason][:count],
        "passed wrongly": [mistake for mistake in by_length if not mistake.reason][:count],
    }


def _as_json(evaluation: Evaluation, mistakes: int) -> dict[str, object]:
    return {
        "filter": evaluation.filter,
        "data": evaluation.data,
        "positive": evaluation.positive,
        "trained_on": evaluation.trained_on,
        "rows_left_out": evaluation.left_out,
        "overall": evaluation.overall.figures(),
        "groups": {
            column: {name: one.figures() for name, one in groups.items()}
            for column, groups in evaluation.groups.items()
        },
        "mistakes": {
            kind: [{"text": one.text, "label": one.label, "reason": one.reason} for one in shown]
            for kind, shown in _worst(evaluation, mistakes).items()
        },
    }


def _shortened(text: str) -> str:
    """`text` on one line, cut off where it is long."""
    shown = one_line(text)
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[: _SHOWN_CHARACTERS - 1] + "…"
