"""What coders said is on disk, whatever happens to the process."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.analysis.coding.journal import (
    ANSWER,
    MEMO,
    UNDO,
    Journal,
    RoomIsOpen,
    read_journal,
    said_in,
)

KEYS = st.lists(
    st.tuples(
        st.sampled_from(["ada", "ben"]),
        st.integers(1, 4),
        st.sampled_from([ANSWER, ANSWER, UNDO, MEMO]),
        st.text(max_size=12),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(KEYS, st.data())
def test_a_journal_that_is_cut_off_anywhere_has_every_whole_line_and_goes_on(
    keys: list[tuple[str, int, str, str]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        saved = [0]
        with Journal(path) as journal:
            for key in keys:
                journal.add(*key)
                saved.append(path.stat().st_size)
        whole = [*read_journal(path)]
        assert [(e.coder, e.item, e.did, e.value) for e in whole] == keys
        cut = data.draw(st.integers(0, saved[-1]))
        path.write_bytes(path.read_bytes()[:cut])
        left = [*read_journal(path)]
        assert left == whole[: max(n for n, end in enumerate(saved) if end <= cut)]
        with Journal(path) as journal:
            journal.add("cho", 9, ANSWER, "left")
        again = [*read_journal(path)]
        assert again[:-1] == left
        assert again[-1].coder == "cho"


def test_an_undo_brings_back_what_was_said_before(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.add("ada", 1, ANSWER, "left")
        journal.add("ada", 1, ANSWER, "right")
        journal.add("ben", 1, ANSWER, "unclear")
        journal.add("ada", 1, UNDO)
    said = said_in(tmp_path / "journal.jsonl")
    assert {coder: mine.answers[1].value for coder, mine in said.items()} == {
        "ada": "left",
        "ben": "unclear",
    }


def test_a_room_that_is_open_elsewhere_is_not_written_twice(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "journal.jsonl"),
        pytest.raises(RoomIsOpen, match="open in another process"),
    ):
        Journal(tmp_path / "journal.jsonl")
