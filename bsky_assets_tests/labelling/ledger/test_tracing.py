"""From labels back to the words that were asked about, and words that are forgotten."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.labelling.ledger.tracing import forget, labels_without_their_post
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.labelling.ledger.exchanges import DAY, KEY, exchange, slot
from testbed.rows import filtered_post, table


def uri(number: int) -> str:
    return str(filtered_post(number, "")["uri"])


def label(number: int, request: int, place: str = "p0") -> dict[str, Any]:
    """A label of a post, made from an answer."""
    return {
        "uri": uri(number),
        "request_id": f"request{request}",
        "slot": place,
        "prompt_version": KEY.prompt_version,
    }


def stored(folder: Path, labels: list[dict[str, Any]]) -> tuple[Lake, Ledger]:
    """One request about two texts and another about a third, each with a reason."""
    lake, ledger = Lake(folder / "lake"), Ledger(folder / "ledger")
    with ledger.writer(DAY) as writer:
        gone = replace(slot("gone"), reason="it says gone")
        stays = replace(slot("stays"), slot="p1", reason="it says stays")
        writer.append(exchange(1), [gone, stays])
        writer.append(exchange(2), [replace(slot("other"), reason="it says other")])
    lake.write(LlmLabel, DAY, table(LlmLabel, labels))
    return lake, ledger


def answers(ledger: Ledger) -> dict[tuple[str, str], dict[str, Any]]:
    with duckdb.connect() as con:
        rows = ledger.relation(con).to_arrow_table().to_pylist()
    return {(row["request_id"], row["slot"]): row for row in rows}


def forgotten(lake: Lake, ledger: Ledger) -> int:
    with duckdb.connect() as con:
        removed = pa.table({"uri": [uri(0)], "text": ["gone"]})
        return forget(con, lake, ledger, removed)


def test_words_go_with_the_reason_for_their_label_and_what_was_written_in_their_request(
    tmp_path: Path,
) -> None:
    lake, ledger = stored(tmp_path, [label(0, 1), label(1, 1, "p1"), label(2, 2)])
    before = answers(ledger)
    assert forgotten(lake, ledger) == 1
    after = answers(ledger)
    gone, stays, other = ("request1", "p0"), ("request1", "p1"), ("request2", "p0")
    nothing = {"question": "{}", "reason": None, "raw_answer": None}
    assert after[gone] == before[gone] | nothing
    assert after[stays] == before[stays] | {"raw_answer": None}
    assert after[other] == before[other]
    assert forgotten(lake, ledger) == 0
    assert answers(ledger) == after


def test_words_stay_while_a_label_of_another_post_was_made_from_them(tmp_path: Path) -> None:
    lake, ledger = stored(tmp_path, [label(0, 1), label(1, 1)])
    before = answers(ledger)
    assert forgotten(lake, ledger) == 0
    assert answers(ledger) == before


@pytest.mark.parametrize("number", [1, 2])
def test_a_label_of_a_post_or_an_answer_that_is_not_there_is_found_out(
    tmp_path: Path, number: int
) -> None:
    lake, ledger = stored(tmp_path, [label(0, 1), label(number, 1 if number == 1 else 3)])
    texts = {0: "gone", 2: "other"}
    posts = [filtered_post(n, text) for n, text in texts.items()]
    lake.write(FilteredPost, DAY, table(FilteredPost, posts))
    with duckdb.connect() as con:
        for _ in range(2):
            assert labels_without_their_post(con, lake, ledger, DAY) == [uri(number)]
