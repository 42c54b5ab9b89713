"""The commands of `bsky-assets labels` that try one way of labelling against another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bsky_assets.commands.in_force import get_settings
from bsky_assets.commands.options import AsJson
from bsky_assets.console import cell, echo, echo_err, echo_json, stdout

if TYPE_CHECKING:
    from bsky_assets.labelling.optimising.calling import Called
    from bsky_assets.labelling.statistics.arms import Arms
    from bsky_assets.labelling.statistics.paired import Effect

app = typer.Typer()


@app.command("effect")
def effect_of_files(
    with_it: Annotated[Path, typer.Option("--with", metavar="A.csv", help="Labels made with it.")],
    without: Annotated[
        Path, typer.Option("--without", metavar="B.csv", help="Labels made without it.")
    ],
    gold: Annotated[Path, typer.Option("--gold", metavar="GOLD.csv", help="Labels by people.")],
    as_json: AsJson = False,
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
        echo_json(compared)
        return
    for arms in compared:
        _show(arms)


def _show(arms: Arms) -> None:
    echo(f"{arms.name}: {arms.effect.posts} posts")
    if arms.unpaired:
        echo(f"{arms.unpaired} posts coded by people do not have a label both ways")
    show_effect(arms.effect)
    if arms.corrected_p != arms.effect.p:
        echo(f"p corrected for all that is compared: {arms.corrected_p:.4f}")
    table = Table("label", "share without", "with", "shift", "95% interval")
    for one in arms.shifts:
        table.add_row(
            cell(one.label),
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
        table.add_row(name, *value.cells())
    stdout.print(table)
    echo(
        f"right only with: {found.only_with}, only without: {found.only_without}; McNemar's exact "
        f"p = {found.p:.4f}"
    )


@app.command("optimise")
def optimise_wording(
    gold: Annotated[Path, typer.Argument(metavar="GOLD.csv", help="Labels by people.")],
    codebook: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A codebook of yours; default: that of llm_labels."),
    ] = None,
    max_requests: Annotated[int, typer.Option(min=1, help="Of this call, all together.")] = 500,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of this call, read and written.")] = (
        2_000_000
    ),
    openings: Annotated[
        int,
        typer.Option(
            min=1, max=20, help="How many wordings the sealed test may be opened for; set once."
        ),
    ] = 3,
    gain: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="A gain that you would like to see.")
    ] = 0.05,
    seed: Annotated[int, typer.Option(help="Another seed searches another way.")] = 0,
) -> None:
    """Look for better words for a codebook, and keep them only if they are shown to be better.

    The posts that people coded are divided, by author and day, into some to learn from, some to
    choose by, and a sealed test. The model reads what it labelled wrongly and words the codebook
    anew; the best wording is tried once on the sealed test. A wording that is better there is
    written as a new version and nothing is asked by it until you put it to work. A call that was
    stopped goes on from what was answered. Needs `pip install -c constraints.txt -e '.[optimise]'`.

    \b
    Example:
      bsky-assets labels optimise people.csv --max-requests 300
    """
    from bsky_assets.commands.progress import shown
    from bsky_assets.labelling.asking.budget import Budget
    from bsky_assets.labelling.optimising.calling import optimise_file

    budget = Budget(max_requests, max_tokens)
    with shown() as report:
        try:
            called = optimise_file(
                get_settings(), gold, codebook, budget, report,
                openings=openings, gain=gain, seed=seed,
            )  # fmt: skip
        finally:
            echo_err(f"{budget.spent_requests:,} requests, {budget.spent_tokens:,} tokens")
    _tell(called, gain)
    _tell_of_new(called, is_own=codebook is not None)


def _tell(called: Called, gain: float) -> None:
    outcome = called.outcome
    parts, verdict = outcome.division, outcome.verdict
    apart = "authors and days" if parts.is_by_day else "authors, of too few days to divide them"
    echo(
        f"{len(parts.train)} posts to learn from, {len(parts.development)} to choose by, "
        f"{len(parts.test)} in the sealed test; other {apart}; {parts.left_out} left out"
    )
    if outcome.in_force:
        old = outcome.in_force.score
        best = max(old, outcome.candidate.score if outcome.candidate else 0)
        echo(
            f"{outcome.tried} wordings scored on the posts to choose by: {old:.3f} right by the "
            f"one in force, {best:.3f} by the best, which shows nothing by itself"
        )
    if verdict:
        echo(f"the sealed test, opened {verdict.opened} of {verdict.may_open} times:")
        show_effect(verdict.effect)
        echo(
            f"corrected: p = {verdict.corrected_p:.4f}, gain {verdict.gain.low:+.3f} to "
            f"{verdict.gain.high:+.3f} at a level of {verdict.level:.3f}"
        )
    if not outcome.promoted:
        echo(
            f"no better, keep yours; to see a gain of {100 * gain:g} points in four of five cases "
            f"takes about {outcome.more_needed:,} more posts coded by people"
        )
    echo(f"what was tried is in {called.folder / 'tried.jsonl'}")


def _tell_of_new(called: Called, *, is_own: bool) -> None:
    promoted, made = called.outcome.promoted, called.made
    if promoted is None:
        return
    how = f"set BSKY_LLM_PROMPT={promoted.parent}"
    if is_own:
        how = f"bsky-assets codebook add {promoted} --replace"
    echo(f"better: {promoted}; to put it to work: {how}")
    if made:
        echo(
            f"{made.labels:,} labels of {made.first_day} to {made.last_day} are by the earlier "
            "wording and stay; a day is asked again when you materialise it: "
            f"bsky-assets materialize --day {made.last_day} --select {called.asset}"
        )
