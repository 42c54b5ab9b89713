"""A room: what is coded, by whom, and with which codebook.

A room is a folder of the data directory: `room.json` says what was to be coded, and never changes;
the journal beside it has what was said. Which items a coder gets is settled when the room is made:
some that all coders share, and the rest divided among them.
What does not belong here: the page and its server; see `server`.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import orjson

from bsky_assets.analysis.coding.codebook import Codebook
from bsky_assets.analysis.coding.items import Item
from bsky_assets.analysis.coding.journal import Entry, said_in
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings
from bsky_assets.storage.files import write_json

JOURNAL, ROOM = "journal.jsonl", "room.json"
_NAME = re.compile(r"[\w-]{1,64}")
_CODER = re.compile(r"\w[\w. -]{0,39}")


class NoSuchRoom(UserError):
    """There is no room of this name."""


class CannotBeCoded(UserError):
    """A room cannot be made or used so: its coders or its items do not fit."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is coded in one place by the same people."""

    name: str
    """Of the sample, or of the file."""
    days: tuple[date, ...]
    """That the sample was drawn from; none for a file from elsewhere."""
    sizes: Mapping[str, int]
    """Posts of each stratum that items were drawn from; empty where that is not known."""
    codebook: Codebook
    items: Mapping[int, Item]
    assigned: Mapping[str, tuple[int, ...]]
    """The items of each coder, in the order in which they are shown."""
    folder: Path
    after: tuple[str, ...] = ()
    """The rooms whose answers decided how many items each stratum gives, from the first."""

    @property
    def journal(self) -> Path:
        """Where its coders' answers are."""
        return self.folder / JOURNAL


@dataclass(frozen=True, slots=True)
class Decided:
    """The label of an item, and who gave it."""

    answer: str
    by: tuple[str, ...]
    """The coders who agreed, or the adjudicator alone."""
    is_adjudicated: bool


def rooms(settings: Settings) -> list[str]:
    """The names of the rooms that there are."""
    return sorted(path.parent.name for path in rooms_folder(settings).glob(f"*/{ROOM}"))


def make_room(
    settings: Settings,
    name: str,
    items: Sequence[Item],
    coders: Sequence[str],
    codebook: Codebook,
    *,
    overlap: int | None = None,
    days: Sequence[date] = (),
    sizes: Mapping[str, int] | None = None,
    after: Sequence[str] = (),
) -> Room:
    """Make the room `name`, with `overlap` items for every coder, or all, and the rest divided.

    Raises:
        CannotBeCoded: there is a room of this name, or two coders have one name, or none has.
        UnusableDataDirectory: it cannot be written.
    """
    check_coders(coders)
    if not _NAME.fullmatch(name):
        raise CannotBeCoded(f"{name[:70]!r} cannot name a room: letters, digits, - and _ only")
    folder = rooms_folder(settings) / name
    if (folder / ROOM).exists():
        raise CannotBeCoded(f"there is a room {name} already; open it by its name")
    if not items:
        raise CannotBeCoded("there is nothing to code")
    assigned = assign([item.number for item in items], coders, overlap, seed=name)
    by_number = {item.number: item for item in items}
    room = Room(
        name, tuple(days), dict(sizes or {}), codebook, by_number, assigned, folder, tuple(after)
    )
    write_json(folder / ROOM, {**asdict(room), "folder": None, "items": [*map(asdict, items)]})
    return room


def open_room(settings: Settings, name: str) -> Room:
    """The room `name`.

    Raises:
        NoSuchRoom: there is none.
    """
    folder = rooms_folder(settings) / name
    if not _NAME.fullmatch(name) or not (folder / ROOM).is_file():
        known = ", ".join(rooms(settings)) or "none yet"
        raise NoSuchRoom(f"there is no room {name[:70]!r}; there are: {known}")
    stored = orjson.loads((folder / ROOM).read_bytes())
    book = stored["codebook"]
    return Room(
        stored["name"],
        tuple(map(date.fromisoformat, stored["days"])),
        stored["sizes"],
        Codebook(**{**book, "answers": tuple(book["answers"])}),
        {item["number"]: Item(**item) for item in stored["items"]},
        {coder: tuple(numbers) for coder, numbers in stored["assigned"].items()},
        folder,
        tuple(stored.get("after", ())),
    )


def check_coders(coders: Sequence[str]) -> None:
    """See that each coder has a name of their own.

    Raises:
        CannotBeCoded: two have the same, whatever its case, or one has none that can be shown.
    """
    known: set[str] = set()
    for coder in coders:
        if not _CODER.fullmatch(coder):
            raise CannotBeCoded(f"{coder[:50]!r} cannot name a coder: letters, digits, . _ - only")
        if coder.casefold() in known:
            raise CannotBeCoded(f"two coders are called {coder!r}; give each a name of their own")
        known.add(coder.casefold())
    if not known:
        raise CannotBeCoded("no coder is named; name them with --coders")


def assign(
    items: Sequence[int], coders: Sequence[str], overlap: int | None, *, seed: str
) -> dict[str, tuple[int, ...]]:
    """Who codes what: `overlap` items by chance for all, or every item, and the rest in turn."""
    dice = random.Random(seed)  # noqa: S311 -- a division, not a secret
    order = dice.sample(list(items), len(items))
    shared = len(order) if overlap is None else min(overlap, len(order))
    place = {item: number for number, item in enumerate(items)}
    return {
        coder: tuple(
            sorted([*order[:shared], *order[shared + n :: len(coders)]], key=place.__getitem__)
        )
        for n, coder in enumerate(coders)
    }


def coded(room: Room) -> dict[str, dict[int, Entry]]:
    """What each coder said, without adjudicators, who decide and do not code."""
    said = said_in(room.journal)
    return {coder: mine.answers for coder, mine in said.items() if not mine.is_adjudicator}


def disputed(room: Room) -> dict[int, dict[str, str]]:
    """The items that coders answered differently: who said what, whether or not it is decided."""
    by_item: dict[int, dict[str, str]] = {}
    for coder, answers in coded(room).items():
        for item, entry in answers.items():
            by_item.setdefault(item, {})[coder] = entry.value
    return {item: said for item, said in sorted(by_item.items()) if len({*said.values()}) > 1}


def decided(room: Room) -> dict[int, Decided]:
    """The label of each item on which coders agree, or that was adjudicated."""
    open_still = disputed(room)
    found: dict[int, Decided] = {}
    for coder, answers in coded(room).items():
        for item, entry in answers.items():
            if item not in open_still:
                by = found[item].by if item in found else ()
                found[item] = Decided(entry.value, (*by, coder), is_adjudicated=False)
    for coder, said in said_in(room.journal).items():
        if said.is_adjudicator:
            for item, entry in said.answers.items():
                if item in open_still:
                    found[item] = Decided(entry.value, (coder,), is_adjudicated=True)
    return found


def rooms_folder(settings: Settings) -> Path:
    """Where the rooms are, a folder each."""
    return settings.data_dir / "coding"
