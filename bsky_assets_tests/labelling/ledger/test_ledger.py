"""The ledger keeps every answer, whoever is killed when."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.contracts import arrow_schema
from bsky_assets.contracts.labels import LlmAnswer, LlmPrompt
from bsky_assets.labelling.asking.answers import LABELS_ONLY
from bsky_assets.labelling.asking.prompt import Prompt
from bsky_assets.labelling.asking.questions import make_question
from bsky_assets.labelling.ledger.store import AnswerKey, Ledger
from bsky_assets.storage.files import UnusableDataDirectory
from bsky_assets_tests.labelling.ledger.exchanges import DAY, KEY, exchange, slot


def answers(ledger: Ledger) -> list[dict[str, Any]]:
    with duckdb.connect() as con:
        found = ledger.relation(con).order("request_id").to_arrow_table()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def best(ledger: Ledger, *texts: str, key: AnswerKey = KEY) -> dict[str, Any]:
    hashes = {make_question(text).hash: text for text in texts}
    with duckdb.connect() as con:
        ledger.register_best(con, "best", list(hashes), key)
        rows = con.sql("SELECT question_hash, is_valid, political_ideology FROM best").fetchall()
    return {hashes[key]: ideology if valid else "no answer" for key, valid, ideology in rows}


def test_what_is_appended_can_be_read_at_once_and_after_sealing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.writer(DAY) as writer:
        for number in range(250):
            writer.append(exchange(number), [slot(f"text {number} \N{CROCODILE}")])
        before = answers(ledger)
        assert ledger.files(LlmAnswer) == []
    (path,) = ledger.files(LlmAnswer)
    assert answers(ledger) == before
    assert len(before) == 250
    assert pq.read_schema(path).equals(arrow_schema(LlmAnswer))
    assert path.parent.name == "sync_day=2026-03-08"
    assert [file.name for file in path.parent.iterdir()] == [path.name], "no litter"


def test_a_writer_that_wrote_nothing_leaves_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path).writer(DAY):
        pass
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_journal_torn_anywhere_is_read_up_to_there(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    writer = ledger.writer(DAY)
    for number in range(5):
        writer.append(exchange(number), [slot(f"text {number}")])
    (journal,) = ledger.root.glob("**/*.jsonl")
    content = journal.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    abandoned = Ledger(tmp_path_factory.mktemp("abandoned"))
    torn = abandoned.root / journal.relative_to(ledger.root)
    torn.parent.mkdir(parents=True)
    torn.write_bytes(content[:cut])
    writer.__exit__(None, None, None)
    # A line is whole when nothing but its line break is missing.
    whole = sum(cut >= len(b"".join(content.splitlines(True)[: n + 1])) - 1 for n in range(5))
    expected = [f"request{number}" for number in range(whole)]
    assert [row["request_id"] for row in answers(abandoned)] == expected
    assert abandoned.seal_abandoned() == 1
    assert [row["request_id"] for row in answers(abandoned)] == expected
    assert [path.suffix for path in torn.parent.iterdir()] == [".parquet"], "no litter"


def test_the_journal_of_a_writer_at_work_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.writer(DAY) as writer:
        writer.append(exchange(0), [slot("one")])
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(Ledger(tmp_path).seal_abandoned) == 0
        writer.append(exchange(1), [slot("two")])
    assert len(answers(ledger)) == 2


def test_a_kill_between_sealing_and_removing_the_journal_doubles_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.writer(DAY) as writer:
        writer.append(exchange(0), [slot("one")])
        (journal,) = tmp_path.glob("**/*.jsonl")
        content = journal.read_bytes()
    journal.write_bytes(content)
    assert len(answers(ledger)) == 1


WRITER = """
import sys
from pathlib import Path
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.storage.files import UnusableDataDirectory
from bsky_assets_tests.labelling.ledger.exchanges import DAY, exchange, slot
first = int(sys.argv[2])
with Ledger(Path(sys.argv[1])).writer(DAY) as writer:
    for number in range(first, first + int(sys.argv[3])):
        writer.append(exchange(number), [slot(f"text {number}")])
        print(number, flush=True)
"""


def start_writer(folder: Path, first: int, count: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first), str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_many_write_at_once_and_one_is_killed(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, 100_000 * n, 2000) for n in range(2)]
    doomed = start_writer(tmp_path, 900_000, 1_000_000)
    assert doomed.stdout is not None
    written = [int(doomed.stdout.readline()) for _ in range(500)]
    os.kill(doomed.pid, signal.SIGKILL)
    written += [int(line) for line in doomed.stdout.read().splitlines() if line]
    doomed.wait()
    for writer in writers:
        writer.communicate()
    ledger = Ledger(tmp_path)
    found = {int(row["request_id"].removeprefix("request")) for row in answers(ledger)}
    kept = {*range(2000), *range(100_000, 102_000), *written[:-1]}
    assert kept <= found, "what was said to be written is there"
    assert len(found - kept) <= 2, "and at most what was being written"
    assert ledger.seal_abandoned() == 1
    assert len(answers(ledger)) == len(found)


def test_the_first_valid_answer_stays_the_answer(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.writer(DAY) as writer:
        writer.append(exchange(1), [slot("a", is_valid=False)])
        writer.append(exchange(3), [slot("a", "right")])
        writer.append(exchange(2), [slot("a", "left")])
        writer.append(exchange(4), [slot("a", is_valid=False)])
        writer.append(exchange(5), [slot("b", is_valid=False)])
    assert best(ledger, "a", "b", "c") == {"a": "left", "b": "no answer"}


def test_of_answers_of_which_none_is_valid_the_last_is_the_answer(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.writer(DAY) as writer:
        for number in (1, 3, 2):
            writer.append(exchange(number), [slot("a", is_valid=False)])
    with duckdb.connect() as con:
        ledger.register_best(con, "best", [make_question("a").hash], KEY)
        assert con.sql("SELECT request_id FROM best").fetchall() == [("request3",)]


def test_the_weights_of_a_model_are_those_that_answered_last(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.writer(DAY) as writer:
        for number, digest in ((1, "sha256:aa"), (3, "sha256:cc"), (2, "sha256:dd")):
            writer.append(exchange(number, model_digest=digest), [slot("a")])
        writer.append(exchange(4, model="other", model_digest="sha256:ee"), [slot("a")])
    with duckdb.connect() as con:
        assert ledger.last_digest(con, KEY.model) == "sha256:cc"
        assert ledger.last_digest(con, "none") is None


def test_answers_are_on_disk_after_two_hundred_posts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five posts a request, every fortieth request; then whatever is left when it is asked."""
    fsync, on_disk = os.fsync, list[int]()

    def told(descriptor: int) -> None:
        on_disk.append(descriptor)
        fsync(descriptor)

    with Ledger(tmp_path).writer(DAY) as writer:
        writer.append(exchange(0), [slot("text")] * 5)
        monkeypatch.setattr("os.fsync", told)
        after = []
        for number in range(1, 100):
            writer.append(exchange(number), [slot("text")] * 5)
            after.append(len(on_disk))
        assert (after[37], after[38], after[77], after[78], after[98]) == (0, 1, 1, 2, 2)
        writer.sync()
        writer.sync()
        assert len(on_disk) == 3


def test_a_ledger_that_cannot_be_written_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file where a folder should be")
    with (
        pytest.raises(UnusableDataDirectory, match="ledger"),
        Ledger(tmp_path / "ledger").writer(DAY) as writer,
    ):
        writer.append(exchange(0), [slot("text")])


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"model_digest": "sha256:bb"},
        {"model_digest": None},
        {"prompt_version": "other"},
        {"schema_version": "other"},
        {"parameters": '{"temperature":1}'},
    ],
)
def test_an_answer_is_known_by_how_it_was_asked_for(
    tmp_path: Path, change: dict[str, str | None]
) -> None:
    ledger = Ledger(tmp_path)
    with ledger.writer(DAY) as writer:
        writer.append(exchange(0), [slot("a", "left")])
        writer.append(exchange(1, **change), [slot("a", "right")])
    assert best(ledger, "a") == {"a": "left"}
    key = {name: getattr(KEY, name) for name in AnswerKey.__slots__}
    assert best(ledger, "a", key=AnswerKey(**{**key, **change})) == {"a": "right"}


def test_context_makes_another_question() -> None:
    alone, answering = make_question("yes"), make_question("yes", {"reply_to": "Tax the rich?"})
    assert alone.text_hash == answering.text_hash
    assert alone.hash != answering.hash


def test_a_prompt_is_kept_once_with_its_text(tmp_path: Path) -> None:
    ledger, prompt = Ledger(tmp_path), Prompt("mine", "Say \N{CROCODILE}.", "1234", LABELS_ONLY)
    ledger.record_prompt(prompt, DAY)
    ledger.record_prompt(prompt, DAY + timedelta(days=1))
    (path,) = ledger.files(LlmPrompt)
    (row,) = pq.ParquetFile(path).read().to_pylist()
    assert row["system_prompt"] == prompt.text
    assert row["prompt_version"] == prompt.version
    assert json.loads(row["answer_schema"])["type"] == "object"


def test_ten_thousand_posts_go_in_and_come_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    texts = [f"text {number}" for number in range(10_000)]
    with ledger.writer(DAY) as writer:
        for number in range(0, 10_000, 10):
            writer.append(exchange(number), [slot(text) for text in texts[number : number + 10]])
    assert best(ledger, *texts) == dict.fromkeys(texts, "left")
    with duckdb.connect() as con:
        asked = ledger.questions(con, [make_question(text).hash for text in texts[:50]])
    assert {json.loads(question.payload)["text"] for question in asked} == set(texts[:50])
