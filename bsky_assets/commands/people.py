"""The commands of `bsky-assets labels` that are about people's labels; `labels` takes them in."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bsky_assets.commands.choices import STRATA, ReadBy, Teacher
from bsky_assets.commands.in_force import get_settings
from bsky_assets.commands.options import AsJson, OfCodebook, named
from bsky_assets.console import echo, echo_json, stdout
from bsky_assets.sync_day import parse_days

if TYPE_CHECKING:
    from bsky_assets.analysis.coding.agreement import Agreed
    from bsky_assets.analysis.coding.room import Room
    from bsky_assets.analysis.students.training import Figures
    from bsky_assets.contracts import Row
    from bsky_assets.settings import Settings

app = typer.Typer()

Name = Annotated[
    str | None,
    typer.Option("--room", metavar="NAME", help="The room; not needed where there is one."),
]


@app.command("room")
def room(
    what: Annotated[
        str | None,
        typer.Argument(metavar="FILE|NAME", help="A CSV file to code, or a room to open again."),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Draw so many labelled posts instead.")
    ] = None,
    stratify: Annotated[
        str, typer.Option(help=f"With --sample: {', '.join(STRATA)}, or none.")
    ] = "label",
    after: Annotated[
        str | None,
        typer.Option(
            metavar="ROOM",
            help="With --sample: draw more, most where this room found the model in doubt.",
        ),
    ] = None,
    days: Annotated[
        str | None,
        typer.Option(metavar="DAY[..DAY]", help="With --sample; default: the latest labelled day."),
    ] = None,
    coders: Annotated[str, typer.Option(help="Comma-separated names.")] = "",
    overlap: Annotated[
        int | None,
        typer.Option(min=0, help="Items that every coder gets, the rest divided; default: all."),
    ] = None,
    adjudicate: Annotated[
        str | None,
        typer.Option(metavar="WHO", help="Decide what the coders of a room disagree on."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Draw the same posts again.")] = None,
    codebook: OfCodebook = None,
) -> None:
    """Open a room for people to label posts in: a page on this machine for each coder.

    The page has the codebook beside the post and its context, and needs the keyboard only: a digit
    answers, u takes the last answer back, m writes a memo. Each key is on disk before the next post
    is shown. Coders see neither the model's labels nor each other's. The rooms are in the data
    directory; one that was closed, or killed, is opened again by its name.

    \b
    Examples:
      bsky-assets labels room --sample 200 --coders ada,ben --overlap 50
      bsky-assets labels room --sample 100 --after sample-0a1b2c3d --coders ada
    """
    from bsky_assets.analysis.coding.making import Draw, room_of_draw, room_of_file
    from bsky_assets.analysis.coding.next_items import room_of_next
    from bsky_assets.labelling.day import row_of
    from bsky_assets.storage.lake import Lake

    if after is not None and (sample is None or what or days or codebook):
        told = "goes with --sample, and has the days, strata and codebook of that room"
        raise typer.BadParameter(told, param_hint="--after")
    settings = get_settings()
    row = row_of(Lake.of(settings), codebook)
    names = named(coders)
    if sample is not None and after is not None:
        opened = room_of_next(settings, after, sample, names, overlap, seed)
    elif sample is not None and what is None:
        strata = [name for name in named(stratify) if name != "none"]
        chosen = _days(settings, days, row)
        opened = room_of_draw(settings, Draw(chosen, sample, strata, seed, row), names, overlap)
    elif what and Path(what).is_file() and sample is None:
        opened = room_of_file(settings, Path(what), names, overlap, row)
    else:
        opened = _the_room(settings, what)
    _serve(settings, opened, adjudicate, port)


def _serve(settings: Settings, opened: Room, adjudicator: str | None, port: int) -> None:
    from bsky_assets.analysis.coding.journal import Journal
    from bsky_assets.analysis.coding.server import RoomServer

    with Journal(opened.journal) as journal:
        server = RoomServer(opened, settings, journal, port, adjudicator=adjudicator)
        echo(f"room {opened.name}: {len(opened.items)} items")
        for coder, address in server.addresses.items():
            echo(f"{coder}: {address}")
        echo("Each answer is saved as it is given. Ctrl-C closes the room.")
        with suppress(KeyboardInterrupt):
            server.serve()


@app.command("import")
def import_answers(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What was filled in.")],
    name: Name = None,
    coder: Annotated[
        str | None, typer.Option(metavar="WHO", help="Who coded, where the file does not say.")
    ] = None,
    codebook: OfCodebook = None,
) -> None:
    """Take in what people coded with other tools.

    Read are CSV files, long or wide, as `labels coded` writes them; those of `labels export`, with
    is_sociopolitical and political_ideology filled in; Label Studio's JSON and doccano's JSON
    lines, which name the items by `item` or `uri`. A file of `labels export` makes its room, if
    there is none.

    \b
    Example:
      bsky-assets labels import gold.csv --coder ada
    """
    from bsky_assets.analysis.coding.tables import read_answers, take_in

    settings = get_settings()
    opened = _room_for(settings, file, name, coder, codebook)
    for who, count in take_in(opened, read_answers(opened, file, coder)).items():
        echo(f"{opened.name}: {count} answers by {who}")


def _room_for(
    settings: Settings, file: Path, name: str | None, coder: str | None, codebook: str | None
) -> Room:
    """The room that is named, or the one of the file's sample, which is made if there is none."""
    from bsky_assets.analysis.coding.making import read_rows, room_of_file
    from bsky_assets.analysis.coding.room import open_room, rooms
    from bsky_assets.labelling.day import row_of
    from bsky_assets.storage.lake import Lake

    if name is None and file.suffix == ".csv":
        samples = {row["sample"] for row in read_rows(file) if row.get("sample")}
        if len(samples) == 1 and min(samples) in rooms(settings):
            return open_room(settings, min(samples))
        if samples:
            row = row_of(Lake.of(settings), codebook)
            return room_of_file(settings, file, [coder] if coder else [], row=row)
    return _the_room(settings, name)


@app.command("coded")
def coded_answers(
    out: Annotated[Path, typer.Argument(metavar="OUT.csv", help="The file to write.")],
    name: Name = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="A row an item, a column a coder, and the text.")
    ] = False,
) -> None:
    """Write what was coded to a CSV file, and the codebook beside it.

    Each row has the item's stratum and its chance of selection. Posts that were deleted since are
    left out.

    \b
    Example:
      bsky-assets labels coded coded.csv --wide
    """
    from bsky_assets.analysis.coding.items import words
    from bsky_assets.analysis.coding.tables import write_long, write_wide

    settings = get_settings()
    opened = _the_room(settings, name)
    present = words(settings, opened.days, opened.items.values(), opened.codebook.asset)
    rows = (write_wide if wide else write_long)(opened, present, out)
    echo(f"{out}: {rows} rows")


@app.command("agreement")
def agreement_of_coders(
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Tell how far coders agree: Krippendorff's alpha and Cohen's kappa, by answer.

    \b
    Example:
      bsky-assets labels agreement
    """
    from bsky_assets.analysis.coding.agreement import agreement
    from bsky_assets.analysis.coding.room import coded, decided, disputed

    opened = _the_room(get_settings(), name)
    said = {
        coder: {item: entry.value for item, entry in answers.items()}
        for coder, answers in coded(opened).items()
    }
    agreed = agreement(said, opened.codebook.answers)
    if as_json:
        echo_json(agreed)
        return
    for coder, answers in said.items():
        echo(f"{coder}: {len(answers)} answers")
    table = Table("answer", "items by two or more", "Krippendorff's alpha", "Cohen's kappa")
    for one in agreed:
        table.add_row(escape(one.answer), str(one.items), escape(str(one.alpha)), _kappas(one))
    stdout.print(table)
    left = disputed(opened).keys() - decided(opened).keys()
    echo(f"{len(disputed(opened))} items are disputed, {len(left)} of them undecided")


def _kappas(agreed: Agreed) -> str:
    return "\n".join(escape(f"{one} / {other} {kappa}") for one, other, kappa in agreed.kappas)


@app.command("size")
def size(
    margin: Annotated[float, typer.Option(help="Half the width of the 95% interval.")] = 0.03,
    share: Annotated[float, typer.Option(help="About how large the share is.")] = 0.5,
    accuracy: Annotated[
        float | None,
        typer.Option(help="The share of posts that the model labels as people do."),
    ] = None,
    posts: Annotated[
        int | None, typer.Option(min=1, help="How many posts there are, if they are few.")
    ] = None,
) -> None:
    """Tell how many posts people have to code for an interval that narrow.

    \b
    Example:
      bsky-assets labels size --margin 0.03 --accuracy 0.94
    """
    from bsky_assets.analysis.coding.size import posts_needed

    needed = posts_needed(margin, share, accuracy, posts)
    echo(f"for ± {100 * margin:g} points you need about {needed:,} posts coded by people")


def _the_room(settings: Settings, name: str | None) -> Room:
    from bsky_assets.analysis.coding.room import CannotBeCoded, open_room, rooms

    known = rooms(settings)
    if name is None and len(known) != 1:
        told = f"say which room with its name: {', '.join(known)}" if known else "no room yet"
        raise CannotBeCoded(f"{told}; make one with `bsky-assets labels room`")
    return open_room(settings, name or known[0])


def _days(settings: Settings, days: str | None, row: type[Row]) -> list[date]:
    from bsky_assets.storage.lake import Lake

    return parse_days(days, settings.timezone) if days else Lake.of(settings).days(row)[-1:]


@app.command("distil")
def distil_labels(
    source: Annotated[
        Teacher, typer.Option("--from", help="Whose labels it learns from.")
    ] = "model",
    days: Annotated[
        str | None,
        typer.Option(metavar="DAY[..DAY]", help="Of the model's; default: the latest labelled."),
    ] = None,
    by: Annotated[
        ReadBy, typer.Option(help="What it reads texts by; fasttext needs no embeddings.")
    ] = "embeddings",
) -> None:
    """Teach a student: a small classifier that scores every post, and say how good it is.

    It is measured on authors, and on days, that it has not seen. One that is no better than the
    most frequent label is kept and not used. Its scores are no labels; `estimate --student` takes
    them to make intervals narrower. Without BSKY_EMBEDDINGS_BASE_URL or
    `pip install -c constraints.txt -e '.[embeddings]'` take `--by fasttext`: words alone.

    \b
    Examples:
      bsky-assets labels distil --from model
      bsky-assets labels distil --by fasttext
    """
    from bsky_assets.analysis.students.kept import keep
    from bsky_assets.analysis.students.lessons import distil
    from bsky_assets.contracts import LlmLabel

    settings = get_settings()
    for question, student in distil(settings, _days(settings, days, LlmLabel), source, by).items():
        if isinstance(student, str):
            echo(f"{question}: not taught: {student}")
            continue
        keep(settings, question, student)
        echo(f"{question}: {_told(student.figures)}")


def _told(figures: Figures) -> str:
    days = figures.accuracy_on_days
    on_days = "" if days is None else f", {days:.3f} on unseen days"
    verdict = "used" if figures.is_useful else "no better than the most frequent label: not used"
    return (
        f"{figures.examples:,} examples, right in {figures.accuracy:.3f} on unseen authors"
        f"{on_days}; the most frequent label is in {figures.majority:.3f}: {verdict}"
    )
