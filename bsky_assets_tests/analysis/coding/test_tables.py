"""Labels by people out to other tools, and in from them."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from bsky_assets.analysis.coding.codebook import NotInTheCodebook
from bsky_assets.analysis.coding.items import words
from bsky_assets.analysis.coding.journal import DECISION, Journal
from bsky_assets.analysis.coding.room import Room, coded, decided
from bsky_assets.analysis.coding.tables import read_answers, take_in, write_long, write_wide
from bsky_assets.errors import UserError
from bsky_assets_tests.analysis.coding.rooms import made, settings_of
from bsky_assets_tests.support.command import run

LABELS = {1: "left", 2: "not_sociopolitical", 3: "unclear"}


def coded_room(folder: Path, *coders: str) -> Room:
    """Three texts; ada and ben differ about the second, and cho decided."""
    room = made(folder, 3, *coders)
    with Journal(room.journal) as journal:
        for coder in coders:
            journal.add_all(coder, LABELS | ({2: "right"} if coder == "ben" else {}))
        journal.add("ada", 3, "memo", "=HYPERLINK(1)")
        journal.add("cho", 2, DECISION, "right")
    return room


def answers_of(room: Room) -> dict[str, dict[int, str]]:
    return {coder: {n: e.value for n, e in mine.items()} for coder, mine in coded(room).items()}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("write", [write_long, write_wide])
def test_what_is_written_is_read_by_an_empty_room_as_it_was(tmp_path: Path, write: Any) -> None:
    room = coded_room(tmp_path / "one", "ada", "ben") if make(tmp_path / "one") else None
    assert room
    present = words(settings_of(tmp_path / "one"), room.days, room.items.values())
    write(room, present, tmp_path / "out.csv")
    make(tmp_path / "other")
    empty = made(tmp_path / "other", 3, "ada", "ben")
    given = [one for one in read_answers(empty, tmp_path / "out.csv", None) if one[1] != "cho"]
    take_in(empty, given)
    assert answers_of(empty) == answers_of(room)


def make(folder: Path) -> bool:
    folder.mkdir()
    return True


def test_a_wide_file_has_a_column_a_coder_the_decision_and_the_chance(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    room = coded_room(tmp_path, "ada", "ben")
    present = words(settings_of(tmp_path), room.days, room.items.values())
    assert write_wide(room, present, tmp_path / "wide.csv") == 3
    second = rows_of(tmp_path / "wide.csv")[1]
    assert (second["ada"], second["ben"]) == ("not_sociopolitical", "right")
    assert (second["label"], second["decided_by"], second["is_adjudicated"]) == (
        "right",
        "cho",
        "True",
    )
    assert second["text"] == rows_of(path)[1]["text"]
    assert room.codebook.text in (tmp_path / "wide.codebook.md").read_text()
    write_long(room, present, tmp_path / "long.csv")
    long = rows_of(tmp_path / "long.csv")
    assert [row["role"] for row in long] == ["coder"] * 6 + ["adjudicator"]
    assert long[2]["memo"] == "'=HYPERLINK(1)", "no cell is a formula"


def test_label_studio_and_doccano_exports_are_read(tmp_path: Path) -> None:
    room = made(tmp_path, 3, "ada", "ben")
    studio = [
        {
            "data": {"item": number},
            "annotations": [
                {
                    "completed_by": {"email": "ada@example.org"},
                    "result": [{"value": {"choices": [label.replace("_", " ").title()]}}],
                },
                {"was_cancelled": True, "completed_by": 7, "result": [{"value": {}}]},
            ],
        }
        for number, label in LABELS.items()
    ]
    (tmp_path / "studio.json").write_text(json.dumps(studio))
    assert take_in(room, read_answers(room, tmp_path / "studio.json", None)) == {"ada": 3}
    lines = [json.dumps({"text": "x", "item": n, "label": [label]}) for n, label in LABELS.items()]
    (tmp_path / "doccano.jsonl").write_text("\n".join(lines))
    assert take_in(room, read_answers(room, tmp_path / "doccano.jsonl", "ben")) == {"ben": 3}
    assert answers_of(room) == {"ada": LABELS, "ben": LABELS}
    assert {item: label.answer for item, label in decided(room).items()} == LABELS


def test_a_file_that_is_read_twice_counts_once(tmp_path: Path) -> None:
    room = made(tmp_path, 3, "ada")
    path = tmp_path / "given.csv"
    path.write_text("item,answer\n1,left\n2,none\n")
    assert take_in(room, read_answers(room, path, "ada")) == {"ada": 2}
    assert take_in(room, read_answers(room, path, "ada")) == {"ada": 0}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "item,coder,answer\n1,ada,centrist\n",
            "line 2: the codebook 'sociopolitical-2' has no answer",
        ),
        (
            "sample,item,coder,answer\nsample-1,1,ada,left\n",
            "line 2 is of 'sample-1', and the room",
        ),
        ("item,coder,answer\n1,ada,left\n9,ada,left\n", "line 3 is of no item of the room 'texts'"),
        ("item,answer\n1,left\n", "does not say who coded; name them with --coder"),
        ("item,coder,answer\n1,Ada,left\n", "two coders are called 'Ada'"),
        ("item,coder,answer\n1,,\n", "none of its cells is filled in"),
        ("item,coder\n", "has no rows below a header"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line_and_nothing_is_taken(
    tmp_path: Path, content: str, says: str
) -> None:
    room = made(tmp_path, 3, "ada", "ben")
    path = tmp_path / "given.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=says) as refused:
        take_in(room, read_answers(room, path, None))
    assert "\n" not in str(refused.value)
    assert coded(room) == {}


def test_an_answer_that_the_codebook_lacks_is_told_with_those_that_it_has(tmp_path: Path) -> None:
    room = made(tmp_path, 1, "ada")
    with pytest.raises(NotInTheCodebook, match="it has not_sociopolitical, left, right, moderate"):
        room.codebook.answer("centrist")


def test_the_commands_tell_agreement_and_write_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    coded_room(tmp_path, "ada", "ben")
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path / "data"))
    status, out, _ = run(monkeypatch, capsys, "labels", "agreement", "--json")
    assert status == 0
    first = json.loads(out)[0]
    assert first["items"] == 3
    assert first["alpha"]["value"] == pytest.approx(0.6154, abs=1e-4)
    status, out, _ = run(monkeypatch, capsys, "labels", "agreement")
    assert "1 items are disputed, 0 of them undecided" in out
    status, out, _ = run(monkeypatch, capsys, "labels", "coded", str(tmp_path / "o.csv"), "--wide")
    assert (status, len(rows_of(tmp_path / "o.csv"))) == (0, 3)
    status, _, error = run(monkeypatch, capsys, "labels", "coded", "o.csv", "--room", "none")
    assert (status, error) == (1, "error: there is no room 'none'; there are: texts")
