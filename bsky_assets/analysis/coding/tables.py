"""What coders said, as CSV for other tools; and what other tools say, into a room.

Long has a row for each answer, wide one for each item with a column a coder; both have each
item's stratum and chance of selection, and the codebook is put beside the file. Read are both, the
files that `labels export` wrote, Label Studio's JSON and doccano's JSON lines.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from bsky_assets.analysis.coding.codebook import NotInTheCodebook
from bsky_assets.analysis.coding.items import Shown
from bsky_assets.analysis.coding.journal import Journal, said_in
from bsky_assets.analysis.coding.making import read_rows
from bsky_assets.analysis.coding.room import CannotBeCoded, Room, check_coders, coded, decided
from bsky_assets.labelling.asking.answers import NOT_SOCIOPOLITICAL
from bsky_assets.labelling.statistics.sampling import write_csv
from bsky_assets.storage.files import staged

_ITEM = ("sample", "item", "uri", "stratum", "chance")
LONG = (*_ITEM, "coder", "role", "answer", "memo", "answered_at", "codebook")
_DECIDED = ("label", "decided_by", "is_adjudicated", "codebook", "text")

_YES, _NO = {"true", "yes", "1", "t", "y"}, {"false", "no", "0", "f", "n"}


def write_long(room: Room, present: Mapping[int, Shown], target: Path) -> int:
    """Write a row for each answer about a post that is there still; returns how many."""
    rows = []
    for coder, said in said_in(room.journal).items():
        role = "adjudicator" if said.is_adjudicator else "coder"
        for number, entry in sorted(said.answers.items()):
            if number in present:
                told = [role, entry.value, said.memos.get(number, ""), entry.at]
                rows.append([*_item(room, number), coder, *told, room.codebook.version])
    return _write(room, target, LONG, rows)


def write_wide(room: Room, present: Mapping[int, Shown], target: Path) -> int:
    """Write a row for each item whose post is there still; returns how many."""
    said, labels = coded(room), decided(room)
    coders = list(dict.fromkeys([*room.assigned, *said]))
    rows = []
    for number in sorted(room.items.keys() & present.keys()):
        answers = [said.get(coder, {}).get(number) for coder in coders]
        label = labels.get(number)
        told = [label.answer, " ".join(label.by), label.is_adjudicated] if label else ["", "", ""]
        by_coder = [answer.value if answer else "" for answer in answers]
        text = present[number]["text"]
        rows.append([*_item(room, number), *by_coder, *told, room.codebook.version, text])
    return _write(room, target, (*_ITEM, *coders, *_DECIDED), rows)


def _item(room: Room, number: int) -> list[Any]:
    item = room.items[number]
    chance = "" if item.chance is None else item.chance
    return [room.name, number, item.uri or "", item.stratum, chance]


def _write(room: Room, target: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    write_csv(target, header, rows)
    with staged(target.with_suffix(".codebook.md").absolute()) as path:
        listed = "\n".join(f"- `{answer}`" for answer in room.codebook.answers)
        book = f"{room.codebook.text}\n\n## Answers\n\n{listed}\n"
        path.write_text(book, "utf-8")
    return len(rows)


Given = tuple[int, str, str]
"""Item, coder and answer."""


def read_answers(room: Room, path: Path, coder: str | None) -> list[Given]:
    """What the file at `path` says of the room's items; `coder` is whose it is, if it does not say.

    Raises:
        CannotBeCoded: it is not of this room, cannot be read, or does not say who coded.
        NotInTheCodebook: it has an answer that the codebook does not have; the message says where.
    """
    given: list[Given] = []
    for place, found, who, answer in _found(room, path):
        name = who or coder
        if name is None:
            raise CannotBeCoded(f"{path.name} does not say who coded; name them with --coder")
        number = _number(room, path, place, found)
        try:
            given.append((number, name, room.codebook.answer(answer)))
        except NotInTheCodebook as error:
            raise NotInTheCodebook(f"{path.name}, {place}: {error}") from None
    if not given:
        raise CannotBeCoded(f"{path.name} has no answers: none of its cells is filled in")
    return given


def take_in(room: Room, given: Sequence[Given]) -> dict[str, int]:
    """Add answers that the room does not have yet; returns how many, by coder.

    Raises:
        CannotBeCoded: two coders' names differ in case alone.
        RoomIsOpen: coders are at it.
    """
    check_coders(list(dict.fromkeys([*room.assigned, *(who for _, who, _ in given)])))
    added: dict[str, int] = {}
    with Journal(room.journal) as journal:
        for number, who, answer in given:
            known = journal.of(who).answers.get(number)
            added.setdefault(who, 0)
            if known is None or known.value != answer:
                journal.add_all(who, {number: answer})
                added[who] += 1
    return added


Found = tuple[str, Mapping[str, Any], str | None, str]
"""Where in the file, what names the item, the coder if the file says so, and the answer."""


def _found(room: Room, path: Path) -> Iterator[Found]:
    if path.suffix in (".json", ".jsonl", ".ndjson"):
        yield from _tasks(path)
        return
    for line, row in enumerate(read_rows(path), start=2):
        place = f"line {line}"
        if row.get("answer"):
            yield place, row, row.get("coder"), row["answer"]
        elif filled := row.get(room.codebook.name) or _both_columns(row):
            yield place, row, row.get("coder"), filled
        else:
            for coder in room.assigned:
                if row.get(coder):
                    yield place, row, coder, row[coder]


def _both_columns(row: Mapping[str, str]) -> str:
    """One answer from the two columns of `labels export`."""
    political = row.get("is_sociopolitical", "").strip().lower()
    if political in _NO:
        return NOT_SOCIOPOLITICAL
    side = row.get("political_ideology", "").strip()
    return side or (political if political not in _YES else "")


def _tasks(path: Path) -> Iterator[Found]:
    """Label Studio's list of tasks, or doccano's lines."""
    try:
        content = path.read_bytes()
        is_list = content.lstrip()[:1] == b"["
        tasks = orjson.loads(content) if is_list else [*map(orjson.loads, content.splitlines())]
    except OSError as error:
        raise CannotBeCoded(f"cannot read {path}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise CannotBeCoded(f"{path.name} is not JSON: {error}") from None
    for number, task in enumerate(tasks, start=1):
        place = f"task {number}"
        if not isinstance(task, dict):
            raise CannotBeCoded(f"{path.name}, {place} is not an object")
        yield from _label_studio(place, task) if "annotations" in task else _doccano(place, task)


def _label_studio(place: str, task: Mapping[str, Any]) -> Iterator[Found]:
    for annotation in task["annotations"] or ():
        if annotation.get("was_cancelled"):
            continue
        who = annotation.get("completed_by")
        who = who.get("email") or who.get("id") if isinstance(who, dict) else who
        name = None if who is None else str(who).partition("@")[0]
        for result in annotation.get("result", ()):
            for choice in result.get("value", {}).get("choices", ()):
                yield place, task.get("data", {}), name, str(choice)


def _doccano(place: str, task: Mapping[str, Any]) -> Iterator[Found]:
    given = task.get("label") or task.get("labels") or task.get("cats") or ()
    who = task.get("username") or task.get("annotator")
    named = {**task, **(task.get("meta") or {})}
    for label in [given] if isinstance(given, str) else given:
        yield place, named, who, str(label)


def _number(room: Room, path: Path, place: str, named: Mapping[str, Any]) -> int:
    """The item that a row names, by its number and, where both have one, its URI.

    Raises:
        CannotBeCoded: the row is of another sample, or names none of the room's items.
    """
    if (sample := named.get("sample")) and sample != room.name:
        raise CannotBeCoded(f"{path.name}, {place} is of {sample!r}, and the room is {room.name!r}")
    uri = str(named.get("uri") or "")
    by_uri = {item.uri: item.number for item in room.items.values() if item.uri}
    number = named.get("item") or by_uri.get(uri) or 0
    found = room.items.get(int(number)) if str(number).isdecimal() else None
    if found is None or (uri and found.uri and uri != found.uri):
        raise CannotBeCoded(f"{path.name}, {place} is of no item of the room {room.name!r}")
    return found.number
