"""How sure a model says it is of its answers: by which tokens, of which servers, kept where."""

import json
import math
import re
from pathlib import Path
from typing import Any
from zlib import crc32

import duckdb
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat.chat_completion import ChoiceLogprobs

from bsky_assets.labelling.asking.confidence import confidence_of, tokens_of
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets_tests.support.labelling import Lab, expected, filtered_post, known_posts
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, Question, in_form, refusal
from bsky_assets_tests.support.serving import served
from bsky_sandbox.llm import LlmFaults, LlmServer

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON_VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60)
@given(
    before=st.lists(JSON_VALUES, max_size=3),
    after=st.lists(JSON_VALUES, max_size=3),
    around=st.tuples(TEXTS, TEXTS),
    indent=st.none() | st.integers(0, 2),
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=7),
    as_list=st.booleans(),
)
def test_it_is_the_probability_of_the_tokens_of_the_value_alone(
    before: list[Any],
    after: list[Any],
    around: tuple[str, str],
    indent: int | None,
    widths: list[int],
    as_list: bool,
) -> None:
    said: Any = ["yXq", "qXy"] if as_list else "Xé{}:X"
    fields = {
        **{f"b{n}": one for n, one in enumerate(before)},
        "label": said,
        **{f"a{n}": one for n, one in enumerate(after)},
    }
    source = json.dumps({"p0": {"label": 0}, "p1": fields}, indent=indent)
    written = (around[0] + source + around[1]).encode()
    pieces, at = [], 0
    while at < len(written):
        width = widths[len(pieces) % len(widths)]
        pieces.append(written[at : at + width])
        at += width
    told = [-0.01 * (number + 1) for number in range(len(pieces))]
    value = json.dumps({"label": said}, indent=indent)
    inside = value[value.index(":") + 1 :].strip()[:-1].strip().encode()
    if not as_list:
        inside = inside.strip(b'"')
    else:  # as it stands two levels down
        inside = re.search(rb"\[\s*\"yXq\".*?\]", source.encode(), re.DOTALL)[0]  # type: ignore[index]
    start = len(around[0].encode()) + source.encode().index(inside)
    ends = [sum(map(len, pieces[: n + 1])) for n in range(len(pieces))]
    total = sum(
        logprob
        for piece, logprob, end in zip(pieces, told, ends, strict=True)
        if {*range(end - len(piece), end)} & {*range(start, start + len(inside))}
    )
    tokens = list(zip(pieces, told, strict=True))
    assert confidence_of(source, ("p1", "label"), tokens) == pytest.approx(math.exp(total))
    assert confidence_of(source, ("p1", "label"), tokens[1:-1][:1]) is None, "of another answer"


@pytest.mark.parametrize(
    "said",
    [
        None,
        "none",
        {},
        {"content": None},
        {"content": "no list"},
        {"content": [None]},
        {"content": [{"token": None, "logprob": -1.0}]},
        {"content": [{"token": "a", "bytes": [300], "logprob": -1.0}]},
        {"content": [{"token": "a", "bytes": 10**15, "logprob": "high"}]},
        {"content": [{"token": "\ud800", "logprob": -1.0}]},
    ],
    ids=repr,
)
def test_what_is_no_list_of_tokens_says_nothing(said: Any) -> None:
    made = ChoiceLogprobs.construct(**said) if isinstance(said, dict) else said
    assert tokens_of(made) == ()


@pytest.mark.parametrize(
    ("logprob", "is_sure"), [(math.nan, None), (0.5, 1.0), (-9_999.0, 0.0), (-math.inf, 0.0)]
)
def test_numbers_that_are_no_logarithm_of_a_probability_give_none_or_its_ends(
    logprob: float, is_sure: float | None
) -> None:
    assert confidence_of('{"a": "b"}', ("a",), [(b'{"a": "b"}', logprob)]) == is_sure


def wanted(raw: str, slot: str) -> float:
    """What the sandbox says of a label, token by token of four bytes, found by a pattern."""
    found = re.search(rf'"{slot}":{{"text":"[^"]*","label":"([a-z_]+)"', raw)
    assert found
    at = [len(raw[:place].encode()) for place in found.span(1)]
    content = raw.encode()
    first, last = at[0] // 4, (at[1] - 1) // 4
    tokens = [content[4 * n : 4 * n + 4] for n in range(first, last + 1)]
    return math.exp(sum(-(crc32(token) % 1_000) / 2_000 for token in tokens))


def test_a_server_that_gives_log_probabilities_has_them_kept_beside_the_label(
    tmp_path: Path,
) -> None:
    posts = known_posts(24)
    server = LlmServer(posts)
    with served(server.app()) as url:
        lab = Lab(tmp_path, f"{url}/v1")
        lab.texts(posts)
        lab.label()
        without = lab.rows()
        asked = server.statuses[200]
        server.injector.faults = LlmFaults(logprobs=True)
        lab.label()
        assert server.statuses[200] == asked, "what was answered is not asked again for it"
        assert lab.rows() == without
        lab.filtered(filtered_post(n, post.text) for n, post in enumerate(known_posts(48)))
        lab.label()
    rows = {row["uri"]: row for row in lab.rows()}
    old = {row["uri"]: row for row in without}
    assert [row["confidence"] for row in without] == [None] * 24
    assert {row["prompt_version"] for row in rows.values()} == {without[0]["prompt_version"]}
    assert {uri: row for uri, row in rows.items() if uri in old} == old
    with duckdb.connect() as con:
        answers = ledger_of(lab.settings).relation(con).to_arrow_table().to_pylist()
    raw = {row["request_id"]: row["raw_answer"] for row in answers}
    new = [row for uri, row in rows.items() if uri not in old]
    assert len(new) == 24
    for row in new:
        assert row["confidence"] == pytest.approx(wanted(raw[row["request_id"]], row["slot"]))
    assert len({row["confidence"] for row in new}) > 1
    assert lab.labels().keys() >= expected(posts).keys()


@pytest.mark.parametrize("how", ["gives none", "refuses", "fails"])
def test_of_a_server_that_gives_none_requests_about_posts_are_the_same_to_the_byte(
    tmp_path: Path, how: str
) -> None:
    endpoint = FakeEndpoint()

    @web.middleware
    async def strict(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.method == "POST" and "logprobs" in await request.text():
            if how == "refuses":
                return refusal(400, "logprobs are not supported with this model")
            if how == "fails":
                return refusal(500, "unexpected keyword")
        answer: web.StreamResponse = await handler(request)
        return answer

    app = endpoint.app()
    app.middlewares.append(strict)
    with served(app) as url:
        lab = Lab(tmp_path, f"{url}/v1", {"llm_models": ("fake",)})
        lab.texts(known_posts(12))
        (model,) = lab.label().details["models"]
    assert model["preflight"]["gives_logprobs"] is False
    assert len(lab.labels()) == 12
    assert {row["confidence"] for row in lab.rows()} == {None}
    assert endpoint.requests
    for body in endpoint.requests:
        assert body.keys() == {
            "model", "max_tokens", "temperature", "response_format", "messages",
        }  # fmt: skip


def test_tokens_that_are_not_what_was_written_are_no_confidence(tmp_path: Path) -> None:
    endpoint = FakeEndpoint()

    def another(body: dict[str, Any], question: Question) -> web.Response:
        said = json.dumps(in_form(body, question, dict.fromkeys(question, "left")))
        tokens = [{"token": "another answer", "bytes": None, "logprob": -0.1, "top_logprobs": []}]
        return endpoint.completion(said, logprobs={"content": tokens})

    endpoint.answer = another
    app = endpoint.app()

    @web.middleware
    async def probed(request: web.Request, handler: Any) -> web.StreamResponse:
        answer: web.Response = await handler(request)
        told = json.loads(answer.text or "{}")
        if "choices" in told and not told["choices"][0].get("logprobs"):
            token = {"token": "{", "bytes": [123], "logprob": 0.0, "top_logprobs": []}
            told["choices"][0]["logprobs"] = {"content": [token]}
            return web.json_response(told)
        return answer

    app.middlewares.append(probed)
    with served(app) as url:
        lab = Lab(tmp_path, f"{url}/v1", {"llm_models": ("fake",)})
        lab.texts(known_posts(6))
        (model,) = lab.label().details["models"]
    assert model["preflight"]["gives_logprobs"] is True
    assert {body.get("logprobs") for body in endpoint.requests} == {True}
    assert len(lab.labels()) == 6
    assert {row["confidence"] for row in lab.rows()} == {None}
