"""What a labeler says of given subjects: all of it, once, and odd labels set aside."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import stamina
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bsky_assets.bluesky.label_query import QueriedLabels, query_labels
from bsky_assets.bluesky.xrpc import Refused, Unanswered
from bsky_assets.contracts import Quarantined, RawModerationLabel, arrow_schema
from bsky_assets.settings import Settings
from bsky_assets_tests.bluesky.xrpc_host import Answer, Asked, Host, serve
from bsky_assets_tests.support.places import REAL_DATA

LABELER = "did:plc:labeler"

REAL_LABELS = REAL_DATA / "labels" / "atproto.dart" / "queryLabels.json"


@pytest.fixture(autouse=True)
def _quick_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


def label(uri: str, **changed: Any) -> dict[str, Any]:
    return {
        "src": LABELER,
        "uri": uri,
        "val": "porn",
        "neg": False,
        "cts": "2026-03-08T12:00:00.000Z",
        **changed,
    }


class Labeler:
    """Answers from `labels`, `page` at a time, as the lexicon says."""

    def __init__(self, labels: list[Any], page: int = 250) -> None:
        self.labels = labels
        self.page = page

    def __call__(self, asked: Asked) -> Answer:
        wanted = set(asked.params["uriPatterns"])
        found = [each for each in self.labels if each["uri"] in wanted]
        start = int(asked.one("cursor") or 0)
        end = start + min(self.page, int(asked.one("limit") or 50))
        body: dict[str, Any] = {"labels": found[start:end]}
        if end < len(found):
            body["cursor"] = str(end)
        return Answer(body)


def ask(host: Host, *subjects: str, **limits: Any) -> QueriedLabels:
    return query_labels(
        Settings(_env_file=None, labeler_url=host.url),
        [subject for subject in subjects if subject.startswith("at://")],
        [subject for subject in subjects if not subject.startswith("at://")],
        **limits,
    )


def did(number: int) -> str:
    return f"did:plc:author{number}"


def post(number: int) -> str:
    return f"at://{did(number)}/app.bsky.feed.post/3k{number}"


def test_a_label_comes_as_the_labeler_made_it() -> None:
    made = label(post(1), cid="bafy1", neg=True, exp="2027-01-01T00:00:00+01:00")
    with serve(Labeler([made])) as host:
        answer = ask(host, post(1))
    assert answer.labels.schema == arrow_schema(RawModerationLabel)
    (row,) = answer.labels.to_pylist()
    assert row.pop("received_at") is not None
    assert row.pop("cts").isoformat() == "2026-03-08T12:00:00+00:00"
    assert row.pop("exp").isoformat() == "2026-12-31T23:00:00+00:00"
    assert row == {
        "src": LABELER,
        "uri": post(1),
        "cid": "bafy1",
        "val": "porn",
        "neg": True,
        "origin": host.name,
        "seq": None,
        "unknown_fields": None,
    }


def test_what_is_odd_in_a_label_costs_only_itself() -> None:
    odd = label(did(1), cts="soon", exp=5, cid=["x"], mood="blue")
    with serve(lambda _: Answer({"labels": [odd]})) as host:
        answer = ask(host, did(1))
    (row,) = answer.labels.to_pylist()
    assert (row["val"], row["cts"], row["exp"], row["cid"]) == ("porn", None, None, None)
    told = {"cts": "soon", "exp": 5, "cid": ["x"], "mood": "blue"}
    assert orjson.loads(row["unknown_fields"]) == told
    assert answer.quarantined.num_rows == 0


@hypothesis_settings(max_examples=10, deadline=None)
@given(
    labelled=st.lists(st.integers(0, 120), max_size=150),
    asked_posts=st.lists(st.integers(0, 120), max_size=100),
    asked_dids=st.lists(st.integers(0, 120), max_size=100),
    page=st.integers(1, 60),
)
def test_every_label_on_a_subject_is_found_once_and_no_other(
    labelled: list[int], asked_posts: list[int], asked_dids: list[int], page: int
) -> None:
    labels = [
        label(subject(number), val=f"value{ordinal}")
        for ordinal, number in enumerate(labelled)
        for subject in (post, did)
    ]
    subjects = {*map(post, asked_posts), *map(did, asked_dids)}
    with serve(Labeler(labels, page)) as host:
        answer = ask(host, *map(post, asked_posts), *map(did, asked_dids))
    found = sorted((row["uri"], row["val"]) for row in answer.labels.to_pylist())
    assert found == sorted((each["uri"], each["val"]) for each in labels if each["uri"] in subjects)
    assert (answer.subjects, answer.left_out) == (len(subjects), 0)
    assert answer.quarantined.num_rows == 0


def test_requests_stay_short_and_accounts_come_first() -> None:
    with serve(Labeler([])) as host:
        answer = ask(
            host,
            *map(post, range(100)),
            *map(did, range(50)),
            most_subjects=90,
        )
    asked = [subject for each in host.asked for subject in each.params["uriPatterns"]]
    assert sorted(asked) == sorted([*map(did, range(50)), *map(post, range(40))])
    assert max(len(each.params["uriPatterns"]) for each in host.asked) <= 40
    assert (answer.subjects, answer.left_out) == (90, 60)


def test_a_subject_that_would_be_a_pattern_is_not_sent() -> None:
    with serve(Labeler([])) as host:
        answer = ask(host, "at://did:plc:a/*", "*", "did:plc:a*", "did:plc:a")
    assert [each.params["uriPatterns"] for each in host.asked] == [["did:plc:a"]]
    assert answer.left_out == 3


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"uri": did(1), "val": "porn"}, "missing_field"),
        (label(did(1), neg="yes"), "bad_field"),
        (label(did(1), val=""), "bad_field"),
        (label("https://a.test"), "bad_field"),
        ("porn", "not_an_object"),
        (label("at://did:plc:a/app.bsky.feed.post/.."), "bad_field"),
        ({**label(did(1)), "src": "did:plc:a b"}, "bad_field"),
    ],
)
def test_an_odd_label_is_quarantined_and_costs_no_other(odd: Any, reason: str) -> None:
    body = {"labels": [label(did(1)), odd, label(did(1), val="spam")]}
    with serve(lambda _: Answer(body)) as host:
        answer = ask(host, did(1))
    assert [row["val"] for row in answer.labels.to_pylist()] == ["porn", "spam"]
    assert answer.quarantined.schema == arrow_schema(Quarantined)
    (kept,) = answer.quarantined.to_pylist()
    assert (kept["reason"], kept["position"]) == (reason, "0/0/1")
    assert (kept["source"], kept["origin"]) == ("raw_moderation_labels", host.name)
    assert orjson.loads(kept["content"]) == odd


def test_a_labeler_without_an_end_is_left() -> None:
    with serve(lambda _: Answer({"labels": [label(did(1))], "cursor": "again"})) as host:
        assert ask(host, did(1)).labels.num_rows == 1
    assert len(host.asked) == 2


def test_nothing_is_asked_where_there_is_nothing_to_ask() -> None:
    with serve(Labeler([])) as host:
        assert ask(host).labels.num_rows == 0
        assert host.asked == []


def test_what_passes_is_asked_again_and_what_stays_is_told() -> None:
    answers = iter([Answer({}, 503), Answer(b"<html>"), Answer({"labels": [label(did(1))]})])
    with serve(lambda _: next(answers)) as host:
        assert ask(host, did(1)).labels.num_rows == 1
    with (
        serve(lambda _: Answer({"error": "InvalidRequest"}, 400)) as host,
        pytest.raises(Refused, match="queryLabels at http"),
    ):
        ask(host, did(1))
    with pytest.raises(Unanswered, match="check BSKY_LABELER_URL"):
        ask(host, did(1))


@pytest.mark.real_data
def test_a_captured_answer_is_read() -> None:
    if not REAL_LABELS.is_file():
        pytest.skip(f"no captured labels at {REAL_LABELS}; set BSKY_REAL_DATA")
    content = orjson.loads(REAL_LABELS.read_bytes())
    pages = iter([content, {"labels": []}])
    with serve(lambda _: Answer(next(pages))) as host:
        answer = ask(host, did(1))
    assert [row["val"] for row in answer.labels.to_pylist()] == [
        made["val"] for made in content["labels"]
    ]
    assert answer.quarantined.num_rows == 0
