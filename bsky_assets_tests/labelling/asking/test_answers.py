"""What of a reply is relied on, whatever the reply is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsky_assets.labelling.asking.answers import (
    IDEOLOGIES,
    LABELS_ONLY,
    NOT_SOCIOPOLITICAL,
    Answer,
    Invalid,
    begins_with,
    dump_message,
    read_answers,
    response_format,
    slots,
)
from bsky_assets.labelling.asking.concurrency import AdaptiveLimit
from bsky_assets.labelling.asking.questions import make_question, normalise, text_hash

CODE = "4821"
TEXT = "Hello there"
LABELS = st.sampled_from([None, *IDEOLOGIES])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def said(ideology: str | None, text: str = "Hello") -> dict[str, Any]:
    return {"text": text, "label": ideology or NOT_SOCIOPOLITICAL}


def answered(ideology: str | None) -> Answer:
    return Answer((ideology or NOT_SOCIOPOLITICAL,))


def reply(labels: list[str | None]) -> str:
    answers = {key: said(label) for key, label in zip(slots(len(labels)), labels, strict=True)}
    return json.dumps({"code": CODE, **answers})


QUOTED = reply(["left"])[1:-1]


def read(content: str, count: int, **options: Any) -> list[Answer | Invalid] | Invalid:
    options = {"form": LABELS_ONLY, "cut_off": False, **options}
    return read_answers(content, CODE, [TEXT] * count, **options)


@given(st.lists(LABELS, min_size=1, max_size=12), TEXTS, TEXTS)
def test_a_whole_answer_is_read_whatever_stands_around_it(
    labels: list[str | None], before: str, after: str
) -> None:
    content = before.replace("{", "(") + reply(labels) + after.replace("{", "(")
    assert read(content, len(labels)) == [answered(label) for label in labels]


@given(st.lists(LABELS, min_size=1, max_size=6), st.data())
def test_of_an_answer_that_is_cut_off_nothing_is_taken(
    labels: list[str | None], data: st.DataObject
) -> None:
    content = reply(labels)
    cut = data.draw(st.integers(0, len(content) - 1))
    assert read(content[:cut], len(labels), cut_off=True) == Invalid("truncated")


@given(LABELS, LABELS, st.lists(LABELS, min_size=1, max_size=6), st.data())
def test_of_several_answers_none_but_the_last_is_taken(
    one: str | None, another: str | None, labels: list[str | None], data: st.DataObject
) -> None:
    """What was thought, drafted, or shown as an example is no answer; nor if the last is broken."""
    earlier = data.draw(
        st.sampled_from(
            [reply([one] * len(labels)), reply([one, another]), json.dumps({"p0": said(one)})]
        )
    )
    between = data.draw(
        st.sampled_from(["\n", " </think> ", "[/THINK]", "\nHere is the answer:\n```json\n"])
    )
    expected = [answered(label) for label in labels]
    assert read(earlier + between + reply(labels), len(labels)) == expected
    broken = read(earlier + between + reply(labels)[:-1], len(labels))
    assert broken == Invalid("no_json")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"text": "Hello", "label": "far left"}, "unknown_label"),
        ({"text": "Hello", "label": "none"}, "unknown_label"),
        ({"text": "Hello", "label": ["left"]}, "unknown_label"),
        ({"text": "Hello", "label": True}, "unknown_label"),
        ({"text": "Goodbye", "label": "left"}, "another_text"),
        ({"text": "", "label": "left"}, "another_text"),
        ({"text": 1, "label": "left"}, "another_text"),
        ({"label": "left"}, "other_fields"),
        ({"text": "Hello", "label": "left", "is_sociopolitical": False}, "other_fields"),
        ("left", "not_an_object"),
        (["left"], "not_an_object"),
        (None, "not_an_object"),
    ],
)  # fmt: skip
def test_a_wrong_answer_for_one_post_costs_no_other(value: Any, reason: str) -> None:
    content = json.dumps({"code": CODE, "p0": said("left"), "p1": value, "p2": said(None)})
    assert read(content, 3) == [answered("left"), Invalid(reason), answered(None)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", Invalid("no_json")),
        ("I cannot help with that.", Invalid("no_json")),
        ("{" * 100_000, Invalid("no_json")),
        ('{"p0": ' + "[" * 100_000, Invalid("no_json")),
        (json.dumps({"code": CODE, "p1": said("left")}), Invalid("other_keys")),
        (json.dumps({"p0": said("left")}), Invalid("other_keys")),
        (json.dumps({"answer": json.loads(reply(["left"]))}), Invalid("other_keys")),
        (reply(["left"]).replace(CODE, "1234"), Invalid("not_read")),
        ("draft " + reply(["left"]) + "</think>" + reply([None]), [answered(None)]),
        ("<think>" + reply(["left"]) + "</think>" + reply([None]), [answered(None)]),
        ("draft " + reply(["left"]) + "</think> I cannot tell.", Invalid("no_json")),
        (" <think>" + reply(["left"]), Invalid("no_json")),
        (reply(["left"]) + ' Or rather {"code', Invalid("no_json")),
        ("```json\n" + reply(["right"]) + "\n```", [answered("right")]),
        (reply([" Left "]), [answered("left")]),
        ("{" + QUOTED + ", " + QUOTED + "}", Invalid("answered_twice")),
        (json.dumps({"reason": QUOTED}), Invalid("other_keys")),
    ],
)  # fmt: skip
def test_strange_replies(content: str, expected: list[Answer] | Invalid) -> None:
    assert read(content, 1) == expected


@given(st.integers(2, 12), st.integers(1, 3), st.booleans())
def test_keys_that_are_not_those_asked_for_make_the_whole_reply_suspect(
    count: int, shift: int, more: bool
) -> None:
    """p1 to p10 for p0 to p9, or one more than there are posts."""
    keys = [f"p{n + (0 if more else shift)}" for n in range(count + more)]
    content = json.dumps({"code": CODE, **dict.fromkeys(keys, said("left"))})
    assert read(content, count) == Invalid("other_keys")


@pytest.mark.parametrize(
    ("text", "said", "holds"),
    [
        ("The Taliban", "The", True),
        ("The Taliban", "Taliban", False),
        ("I think so", "I", True),
        ("Don\u2019t do it", "Don't", True),
        ("\U0001f525 \U0001f525 Breaking news", "Breaking", True),
        ("@someone.example.com you are wrong", "@someone.example.com", True),
        ("\u201cQuoted\u201d words", '"Quoted"', True),
        ("Unbelievable", "Unbeliev", True),
        ("Unbelievable", "U", False),
        ("\U0001f525\U0001f525", "", True),
        ("Left", "Right", False),
        ("Left", "", False),
        ("\U0001f6a8 Town hall", "\U0001f6a8", True),
        ("\U0001f6a8 Town hall", "\U0001f525", False),
        ("Town hall", "\U0001f6a8", False),
    ],
)
def test_a_first_word_is_known_whatever_a_model_makes_of_its_signs(
    text: str, said: str, holds: bool
) -> None:
    assert begins_with(text, said) is holds


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
    assert schema["required"] == list(schema["properties"]) == ["code", *slots(count)]
    keywords = {key for node in _nodes(schema) for key in node}
    safe = {"type", "enum", "required", "additionalProperties", "properties", "maxLength"}
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
