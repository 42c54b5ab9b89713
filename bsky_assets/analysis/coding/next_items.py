"""The next posts for people to code: where what they said so far tells that most can be learnt.

More are drawn from the strata of an earlier sample, from each by its posts times the spread of the
model's errors that people found there (Neyman, Journal of the Royal Statistical Society 97, 1934).
The earlier answers decide how many a stratum gives, and chance alone which. It is drawn from all of
its posts, whether or not they were coded before, so that what both samples say together is right on
average, whatever the first one happened to find.
"""

from collections import Counter
from collections.abc import Sequence

from bsky_assets.analysis.coding.making import Draw, room_of_draw
from bsky_assets.analysis.coding.room import CannotBeCoded, Room, decided, open_room
from bsky_assets.contracts import Row
from bsky_assets.labelling.answer_sql import answer_as_text
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.labelling.statistics.sampling import load_design
from bsky_assets.settings import Settings
from bsky_assets.storage.connection import in_memory
from bsky_assets.storage.lake import Lake


def room_of_next(
    settings: Settings,
    name: str,
    size: int,
    coders: Sequence[str],
    overlap: int | None = None,
    seed: int | None = None,
) -> Room:
    """A room of `size` more posts, after what people said in the room `name`.

    Raises:
        NoSuchRoom: there is none of this name.
        CannotBeCoded: it is of no sample that was drawn here, or nothing of it is coded.
        NothingToSample: its days have no labelled posts any more.
    """
    earlier, lake = open_room(settings, name), Lake.of(settings)
    design = load_design(Ledger(settings.ledger_dir), earlier.name)
    row = next((one for one in lake.rows if one.asset == earlier.codebook.asset), None)
    if design is None or row is None:
        raise CannotBeCoded(f"how {name} was drawn is not known here: draw a sample of its own")
    if not decided(earlier):
        raise CannotBeCoded(f"nothing of {name} is coded yet: code it first, and then draw more")
    draw = Draw(
        earlier.days,
        size,
        design.stratified_by,
        seed,
        row,
        spreads=spreads(lake, earlier, row),
        after=(*earlier.after, earlier.name),
    )
    return room_of_draw(settings, draw, coders, overlap)


def spreads(lake: Lake, room: Room, row: type[Row]) -> dict[str, float]:
    """The `spread` of the model's errors in each stratum of `room`."""
    by_model = _labels(lake, room, row)
    coded: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for number, label in decided(room).items():
        item = room.items[number]
        if item.uri in by_model:
            coded[item.stratum] += 1
            wrong[item.stratum] += label.answer != by_model[item.uri]
    return {name: spread(wrong[name], coded[name]) for name in room.sizes}


def spread(wrong: int, coded: int) -> float:
    """The standard deviation of whether a label is wrong, where so many of those coded were.

    Under Jeffreys' prior: a stratum that showed no error may have some.
    """
    error = (wrong + 0.5) / (coded + 1)
    return float((error * (1 - error)) ** 0.5)


def _labels(lake: Lake, room: Room, row: type[Row]) -> dict[str, str]:
    """The label of record of each post of the days of `room`, by URI."""
    with in_memory() as con:
        labels = lake.relation(con, row, room.days)
        valid = labels.filter("is_label_of_record AND was_successfully_labeled")
        return dict(valid.select(f"uri, {answer_as_text(row)}").fetchall())
