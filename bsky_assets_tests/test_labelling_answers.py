"""What of a reply is relied on, whatever the reply is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsky_assets.labelling.answers import (
    IDEOLOGIES,
    LABELS_ONLY,
    NONE,
    Answer,
    Invalid,
    dump_message,
    read_answers,
    response_format,
    slots,
)
from bsky_assets.labelling.concurrency import AdaptiveLimit
from bsky_assets.labelling.questions import make_question, normalise, text_hash

NOT_BOOLEAN = "is_sociopolitical_not_boolean"
QUOTED = '"p0": {"is_sociopolitical": true, "political_ideology": "left"}'
LABELS = st.sampled_from([None, *IDEOLOGIES])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def said(ideology: str | None) -> dict[str, Any]:
    return {"is_sociopolitical": ideology is not None, "political_ideology": ideology or NONE}


def reply(labels: list[str | None]) -> str:
    return json.dumps(
        {key: said(label) for key, label in zip(slots(len(labels)), labels, strict=True)}
    )


def read(content: str, count: int, *, cut_off: bool = False) -> list[Answer | Invalid]:
    found = read_answers(content, slots(count), cut_off=cut_off)
    assert list(found) == slots(count)
    return list(found.values())


@given(st.lists(LABELS, min_size=1, max_size=12), TEXTS, TEXTS)
def test_a_whole_answer_is_read_whatever_stands_around_it(
    labels: list[str | None], before: str, after: str
) -> None:
    content = before.replace("{", "(") + reply(labels) + after
    assert read(content, len(labels)) == [Answer(label is not None, label) for label in labels]


@given(st.lists(LABELS, min_size=1, max_size=6), st.data())
def test_of_an_answer_that_is_cut_off_the_whole_part_is_kept_and_no_more(
    labels: list[str | None], data: st.DataObject
) -> None:
    content = reply(labels)
    cut = data.draw(st.integers(0, len(content) - 2))
    found = read(content[:cut], len(labels), cut_off=True)
    whole = content[:cut].count("}")
    expected = [Answer(label is not None, label) for label in labels[:whole]]
    assert found == expected + [Invalid("truncated")] * (len(labels) - whole)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"is_sociopolitical": False, "political_ideology": "left"}, "inconsistent"),
        ({"is_sociopolitical": True, "political_ideology": "none"}, "inconsistent"),
        ({"is_sociopolitical": True}, "inconsistent"),
        ({"is_sociopolitical": "true", "political_ideology": "left"}, NOT_BOOLEAN),
        ({"is_sociopolitical": 1, "political_ideology": "left"}, NOT_BOOLEAN),
        ({"is_sociopolitical": True, "political_ideology": "far left"}, "unknown_ideology"),
        ({"is_sociopolitical": True, "political_ideology": ["left"]}, "unknown_ideology"),
        ("left", "not_an_object"),
        (None, "not_an_object"),
    ],
)  # fmt: skip
def test_a_wrong_answer_for_one_post_costs_no_other(value: Any, reason: str) -> None:
    content = json.dumps({"p0": said("left"), "p1": value, "p2": said(None)})
    assert read(content, 3) == [Answer(True, "left"), Invalid(reason), Answer(False, None)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", [Invalid("no_json")]),
        ("I cannot help with that.", [Invalid("no_json")]),
        ("{" * 100_000, [Invalid("no_json")]),
        ('{"p0": ' + "[" * 100_000, [Invalid("no_json")]),
        ('{"p1": ' + json.dumps(said("left")) + "}", [Invalid("missing")]),
        (
            "<think>{" + QUOTED + "}</think>" + reply([None]),
            [Answer(False, None)],
        ),
        ("```json\n" + reply(["right"]) + "\n```", [Answer(True, "right")]),
        (reply([" Left "]), [Answer(True, "left")]),  # type: ignore[list-item]
        ("{" + QUOTED + ", " + QUOTED + "}", [Invalid("answered_twice")]),
        (json.dumps({"reason": QUOTED}), [Invalid("missing")]),
    ],
)  # fmt: skip
def test_strange_replies(content: str, expected: list[Answer | Invalid]) -> None:
    assert read(content, 1) == expected


@given(st.lists(TEXTS, min_size=1, max_size=10))
def test_posts_are_sent_as_data_that_reads_back_the_same(texts: list[str]) -> None:
    message = dump_message([make_question(text).payload for text in texts])
    sent = json.loads(message)
    assert list(sent) == slots(len(texts))
    assert [post["text"] for post in sent.values()] == [normalise(text) for text in texts]


@given(TEXTS)
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert text_hash(once) == text_hash(text)
    assert make_question(text).text_hash == text_hash(text)


def test_what_differs_only_in_blanks_and_composition_is_one_text() -> None:
    assert (
        normalise("Caf\u0065\u0301 \t au\u00a0lait\r\n\r\n\r\n!\x00 ") == "Caf\u00e9 au lait\n\n!"
    )
    assert normalise("two\nlines") != normalise("two lines")


@pytest.mark.parametrize("count", [1, 10, 50])
def test_the_schema_asks_for_each_post_and_nothing_else(count: int) -> None:
    form = response_format(LABELS_ONLY, count)
    schema = form["json_schema"]["schema"]
    assert form["json_schema"]["strict"] is True
    assert schema["required"] == list(schema["properties"]) == slots(count)
    keywords = {key for node in _nodes(schema) for key in node}
    safe = {"type", "enum", "required", "additionalProperties", "properties"}
    assert keywords <= safe, "only what every server honours"


def _nodes(schema: dict[str, Any]) -> list[dict[str, Any]]:
    below = [node for part in schema.get("properties", {}).values() for node in _nodes(part)]
    return [schema, *below]


@given(st.lists(st.booleans(), max_size=400), st.integers(1, 64))
def test_the_limit_stays_between_one_and_its_ceiling(refused: list[bool], ceiling: int) -> None:
    limit = AdaptiveLimit(ceiling)
    for outcome in refused:
        limit.refused() if outcome else limit.accepted()
        assert 1 <= limit.limit <= ceiling


def test_the_limit_follows_what_the_server_bears() -> None:
    limit = AdaptiveLimit(64)
    for _ in range(100):
        limit.accepted()
    assert limit.limit == 64
    for _ in range(5):
        limit.refused()
    assert limit.limit > 40, "a few refusals are no reason to slow down"
    for _ in range(500):
        limit.refused()
    assert limit.limit == 1
    for _ in range(2000):
        limit.accepted()
    assert limit.limit > 16
