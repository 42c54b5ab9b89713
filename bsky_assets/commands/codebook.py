"""`bsky-assets codebook`: questions of one's own to the language model."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bsky_assets.commands.choices import AnswerKind
from bsky_assets.commands.in_force import get_settings
from bsky_assets.console import cell, echo, echo_err, stdout
from bsky_assets.errors import UserError
from bsky_assets.sync_day import parse_day

if TYPE_CHECKING:
    from bsky_assets.contracts.codebooks import Codebook, CodebookLabel, Codebooks
    from bsky_assets.labelling.trial import Trial
    from bsky_assets.settings import Settings
    from bsky_assets.storage.lake import Lake


app = typer.Typer(
    no_args_is_help=True,
    help="Ask the language model questions of your own: a text file each.",
)

File = Annotated[Path, typer.Argument(metavar="FILE.toml", help="The codebook.")]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and _.")],
    kind: Annotated[AnswerKind, typer.Option("--type", help="What is answered.")] = "boolean",
) -> None:
    """Write NAME.toml, a codebook to be filled in, into the present folder.

    \b
    Example:
      bsky-assets codebook new toxic --type boolean
    """
    from bsky_assets.contracts.codebook_template import new_codebook
    from bsky_assets.contracts.codebooks import SUFFIX

    path = Path(f"{name}{SUFFIX}")
    if path.exists():
        raise UserError(f"{path} is there already; take another name, or remove it")
    path.write_text(new_codebook(name, kind), "utf-8")
    echo(f"{path}: fill it in, then `bsky-assets codebook check {path}`")


@app.command()
def check(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE.toml]", help="Default: all of the data directory."),
    ] = None,
) -> None:
    """Say what is missing in a codebook or ambiguous, or that it can be used.

    \b
    Example:
      bsky-assets codebook check toxic.toml
    """
    from bsky_assets.contracts.codebooks import UnusableCodebook, codebook_among, load_codebooks

    folder = get_settings().codebooks_dir
    if file:
        _told(_own(codebook_among(folder, file).usable, file))
        return
    loaded = load_codebooks(folder)
    for codebook in loaded.usable:
        _told(codebook)
    if loaded.problems:
        raise UnusableCodebook("; ".join(loaded.problems))
    if not loaded.usable:
        echo(f"there is no codebook in {folder}")


def _told(codebook: Codebook) -> None:
    from bsky_assets.labelling.asking.prompt import codebook_prompt

    prompt = codebook_prompt((codebook,))
    echo(
        f"{codebook.name}: {codebook.answer.type}, {len(codebook.answer.labels)} labels; prompt "
        f"{prompt.version}, {len(prompt.text):,} characters; asset {codebook.asset}"
    )


@app.command("try")
def try_out(
    file: File,
    day: Annotated[
        str | None, typer.Option(metavar="DAY", help="Sync day; default: the latest filtered.")
    ] = None,
    posts: Annotated[int, typer.Option(min=1, help="How many posts.")] = 10,
    batch_sizes: Annotated[
        str,
        typer.Option(help="Comma-separated posts a request, each compared with single posts."),
    ] = "",
) -> None:
    """Ask the model about a few posts, and print its answers; nothing else is changed.

    With --batch-sizes it also measures how many posts keep the answer that they get alone when they
    are asked about together.

    \b
    Example:
      bsky-assets codebook try toxic.toml --posts 30 --batch-sizes 1,5,10,15,20
    """
    from bsky_assets.contracts.codebooks import codebook_among
    from bsky_assets.labelling.trial import Trial  # statistics take a second
    from bsky_assets.storage.connection import connect
    from bsky_assets.storage.lake import Lake

    settings = get_settings()
    sizes = _sizes(batch_sizes)
    found = codebook_among(settings.codebooks_dir, file)
    lake = Lake.of(settings)
    with connect(settings) as con:
        trial = Trial(
            con, lake, settings, _row(found, file), _day(settings, lake, day), posts,
            lambda progress: echo_err(progress),
        )  # fmt: skip
        table = Table("answer", "post")
        for one in trial.answers():
            table.add_row(cell(one.answer or f"none: {one.error}"), cell(one.text))
        stdout.print(table)
        if sizes:
            _show_sizes(trial, sizes)


def _show_sizes(trial: Trial, sizes: list[int]) -> None:
    from bsky_assets.labelling.trial import largest_safe

    tried = list(trial.sizes(sizes))
    table = Table("posts a request", "posts", "as alone", "tokens a post", "seconds")
    for one in tried:
        table.add_row(
            str(one.batch_size),
            str(one.posts),
            str(one.same) if one.same else "",
            "" if one.tokens_a_post is None else f"{one.tokens_a_post:,.0f}",
            f"{one.seconds:.1f}",
        )
    stdout.print(table)
    echo(f"up to {largest_safe(tried)} posts a request keep their answers")


@app.command()
def add(
    file: File,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the one of this name.")
    ] = False,
) -> None:
    """Put a codebook into the data directory: from then on it has an asset, a view and a report.

    Days before it are labelled when they are materialised:
    `bsky-assets materialize --day DAY --select labels_NAME`. A Dagster that is running shows it
    after its code location is reloaded.

    \b
    Example:
      bsky-assets codebook add toxic.toml
    """
    from bsky_assets.contracts.codebooks import codebook_among
    from bsky_assets.orchestration.publish import publish
    from bsky_assets.storage.codebooks import keep_codebook

    settings = get_settings()
    row = _row(codebook_among(settings.codebooks_dir, file), file)
    codebook = row.codebook
    if (settings.codebooks_dir / file.name).exists() and not replace:
        raise UserError(
            f"{file.name}: name: {codebook.name!r} is taken; take another, or --replace it"
        )
    target = keep_codebook(settings, file, row)
    publish(settings)
    echo(f"{target}: asset and view {codebook.asset}")


def _own(usable: tuple[Codebook, ...], file: Path) -> Codebook:
    return next(one for one in usable if one.name == file.stem)


def _row(found: Codebooks, file: Path) -> type[CodebookLabel]:
    from bsky_assets.contracts.codebooks import rows_of

    return next(row for row in rows_of(found) if row.codebook.name == file.stem)


def _day(settings: Settings, lake: Lake, day: str | None) -> date:
    from bsky_assets.contracts import FilteredPost

    if day:
        return parse_day(day, settings.timezone)
    if days := lake.days(FilteredPost):
        return days[-1]
    raise UserError("no day is filtered; `bsky-assets materialize` makes today")


def _sizes(told: str) -> list[int]:
    try:
        sizes = [int(size) for size in told.split(",") if size.strip()]
    except ValueError:
        sizes = [0]
    if any(not 1 <= size <= 50 for size in sizes):  # as BSKY_LLM_BATCH_SIZE
        raise typer.BadParameter("expected numbers from 1 to 50", param_hint="--batch-sizes")
    return sizes
