"""Making a room: of a sample that is drawn now, of one that was exported, or of any file of texts.

A sample that `labels export` drew brings its design: the strata, their sizes, and so the chance of
each item. A file from elsewhere has what its columns say: `text`, and if it likes `uri`, context,
`stratum` and `chance`.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from bsky_assets.analysis.coding.codebook import Codebook, codebook_of_prompt, codebook_to_code
from bsky_assets.analysis.coding.items import Item
from bsky_assets.analysis.coding.room import CannotBeCoded, Room, make_room
from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.labelling.asking.questions import CONTEXT
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.labelling.statistics.sampling import Design, export, load_design, unguarded
from bsky_assets.settings import Settings
from bsky_assets.storage.connection import in_memory
from bsky_assets.storage.lake import Lake

_LONGEST_CELL = 10_000_000


@dataclass(frozen=True, slots=True)
class Draw:
    """What to draw: how many posts of which days, from which strata."""

    days: Sequence[date]
    size: int
    by: Sequence[str]
    seed: int | None = None
    row: type[Row] = LlmLabel
    """Of what labels; its codebook is that of the coders."""
    spreads: Mapping[str, float] | None = None
    """Of the model's errors in each stratum, where they are known."""
    after: tuple[str, ...] = ()
    """The rooms that this sample follows, and is counted together with."""


def room_of_draw(
    settings: Settings, draw: Draw, coders: Sequence[str], overlap: int | None = None
) -> Room:
    """A room of labelled posts drawn now.

    Raises:
        NothingToSample: no post of the days is labelled.
        CannotBeCoded: the coders do not fit.
        UnusableCodebook: the codebook's answers cannot be coded by a key each.
    """
    _book(settings, draw.row)
    with TemporaryDirectory() as folder, in_memory() as con:
        lake, ledger = Lake.of(settings), Ledger(settings.ledger_dir)
        drawn = Path(folder) / "drawn.csv"
        export(
            con, lake, ledger, draw.days, draw.size, draw.by, drawn,
            row=draw.row, seed=draw.seed, spreads=draw.spreads,
        )  # fmt: skip
        return room_of_file(settings, drawn, coders, overlap, draw.row, draw.after)


def room_of_file(
    settings: Settings,
    path: Path,
    coders: Sequence[str],
    overlap: int | None = None,
    row: type[Row] = LlmLabel,
    after: Sequence[str] = (),
) -> Room:
    """A room of the texts in the CSV file at `path`, coded by the codebook of `row`.

    Raises:
        CannotBeCoded: the file has no texts, is of samples that were not drawn here, or of several.
    """
    rows, book = read_rows(path), _book(settings, row)
    samples = {row["sample"] for row in rows if row.get("sample")}
    if not samples:
        items = [_own_item(path, number, row) for number, row in enumerate(rows, start=1)]
        name = re.sub(r"[^\w-]+", "-", path.stem)[:64]
        return make_room(settings, name, items, coders, book, overlap=overlap)
    design = load_design(Ledger(settings.ledger_dir), min(samples))
    if len(samples) > 1 or design is None:
        raise CannotBeCoded(
            f"{path.name} is of {', '.join(sorted(samples))[:80]}, which was not drawn in this "
            "data directory, or is more than one; draw it with `bsky-assets labels export`"
        )
    return make_room(
        settings,
        design.sample,
        _designed_items(path, rows, design),
        coders,
        book,
        overlap=overlap,
        days=[date.fromisoformat(day) for day in design.days],
        sizes=design.sizes,
        after=after,
    )


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, as text, without the guards against formulas.

    Raises:
        CannotBeCoded: it cannot be read, or has no row below a header.
    """
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [
                {name: unguarded(cell) for name, cell in row.items() if name and cell is not None}
                for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise CannotBeCoded(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise CannotBeCoded(f"{path.name} is not a CSV file in UTF-8: {error}") from None
    if not rows:
        raise CannotBeCoded(f"{path.name} has no rows below a header")
    return rows


def _book(settings: Settings, row: type[Row]) -> Codebook:
    if issubclass(row, CodebookLabel):
        return codebook_to_code(row.codebook)
    return codebook_of_prompt(settings.llm_prompt)


def _designed_items(path: Path, rows: Sequence[Mapping[str, str]], design: Design) -> list[Item]:
    drawn = [*design.posts.values()]
    chances = {name: drawn.count(name) / size for name, size in design.sizes.items()}
    items = []
    for row in rows:
        uri, number = row.get("uri", ""), row.get("item", "")
        if uri not in design.posts or not number.isdecimal():
            raise CannotBeCoded(
                f"{path.name} has a row that is not of {design.sample}: {uri[:80]!r}"
            )
        stratum = design.posts[uri]
        items.append(Item(int(number), uri, None, stratum, chances[stratum]))
    return items


def _own_item(path: Path, number: int, row: Mapping[str, str]) -> Item:
    text = row.get("text", "")
    if not text.strip():
        raise CannotBeCoded(f"{path.name} has no text in row {number}: it needs a column `text`")
    shown = {name: row[name] for name in ("text", *CONTEXT) if row.get(name)}
    given = row.get("chance", "")
    try:
        chance = float(given) if given else None
    except ValueError:
        chance = 0.0
    if chance is not None and not 0 < chance <= 1:
        raise CannotBeCoded(f"{path.name} has chance {given[:20]!r} in row {number}: it is not one")
    return Item(number, row.get("uri") or None, shown, row.get("stratum") or "all", chance)
