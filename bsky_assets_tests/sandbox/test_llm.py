"""The sandbox's LLM endpoint, through the openai SDK; jsonschema judges what it returns."""

import asyncio
import json
import unicodedata
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import openai
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets_tests.support.serving import post, served
from bsky_sandbox.chat import find_posts
from bsky_sandbox.llm import LlmFaults, LlmServer
from bsky_sandbox.schema_answers import NOT_POLITICAL, Verdict, compile_schema

POSTS = tuple(
    post(number, text=text, is_political=ideology is not None, ideology=ideology)
    for number, (text, ideology) in enumerate(
        [
            ("The senate votes tomorrow.\nCall them!", "left"),
            ("Cut taxes now", "right"),
            ("Both sides have a point", "moderate"),
            ("Who won the debate?", "unclear"),
            ("Mon caf\N{LATIN SMALL LETTER E WITH ACUTE} est froid", "left"),
            ("Look at my cat 🐈", None),
            ("", None),
        ]
    )
)
TEXTS = [post.record["text"] for post in POSTS]
IDEOLOGIES = ["left", "right", "moderate", "unclear"]


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[LlmServer, str]]:
    server = LlmServer(POSTS)
    with served(server.app()) as url:
        yield server, url


@pytest.fixture
def server(running: tuple[LlmServer, str]) -> Iterator[LlmServer]:
    yield running[0]
    running[0].injector.faults = LlmFaults()


@pytest.fixture(scope="module")
def client(running: tuple[LlmServer, str]) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{running[1]}/v1", api_key="not-needed", max_retries=0, timeout=100
    ) as client:
        yield client


def slots(keys: list[str], ideology: dict[str, Any]) -> dict[str, Any]:
    slot = {
        "type": "object",
        "properties": {
            "is_sociopolitical": {"type": "boolean"},
            "political_ideology": ideology,
            "reason": {"type": "string", "maxLength": 20},
        },
        "required": ["is_sociopolitical", "political_ideology", "reason"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": dict.fromkeys(keys, slot),
        "required": keys,
        "additionalProperties": False,
    }


def form(schema: dict[str, Any]) -> Any:
    return {
        "type": "json_schema",
        "json_schema": {"name": "labels", "strict": True, "schema": schema},
    }


def ask(
    client: openai.OpenAI, texts: list[str], ideology: dict[str, Any], **options: Any
) -> tuple[Any, dict[str, Any]]:
    """The response about posts with `texts`, and the schema that it was to keep to."""
    posts = {f"p{number}": {"text": text, "likes": 3} for number, text in enumerate(texts)}
    schema = slots(list(posts), ideology)
    messages: Any = [
        {"role": "system", "content": "Label posts. Answer like {} or {'p0': …}."},
        {"role": "user", "content": f"An example: {{}}. The posts:\n{json.dumps(posts)}\nThanks!"},
    ]
    response = client.chat.completions.create(
        model="sandbox", messages=messages, response_format=form(schema), **options
    )
    return response, schema


def labels(response: Any) -> dict[str, tuple[bool, str | None]]:
    answer = json.loads(response.choices[0].message.content)
    return {
        key: (slot["is_sociopolitical"], slot["political_ideology"]) for key, slot in answer.items()
    }


def test_each_post_gets_the_label_that_the_sandbox_knows(
    server: LlmServer, client: openai.OpenAI
) -> None:
    ideology = {"type": "string", "enum": [*IDEOLOGIES, "none"]}
    response, schema = ask(client, TEXTS, ideology)
    answer = json.loads(response.choices[0].message.content)
    jsonschema.validate(answer, schema)
    assert list(labels(response).values()) == [
        (post.is_political, post.ideology or "none") for post in POSTS
    ]
    assert "sandbox" in answer["p0"]["reason"] or answer["p0"]["reason"].startswith("Answered")


@pytest.mark.parametrize(
    ("ideology", "expected"),
    [
        ({"type": "string", "enum": IDEOLOGIES}, "unclear"),
        ({"type": ["string", "null"], "enum": [*IDEOLOGIES, None]}, None),
        ({"anyOf": [{"type": "string", "enum": IDEOLOGIES}, {"type": "null"}]}, None),
        ({"type": "string", "enum": ["not_applicable", *IDEOLOGIES]}, "not_applicable"),
    ],
)
def test_a_post_that_is_not_political_has_no_lean(
    server: LlmServer, client: openai.OpenAI, ideology: dict[str, Any], expected: str | None
) -> None:
    response, schema = ask(client, ["Look at my cat 🐈", "A text it never wrote"], ideology)
    jsonschema.validate(json.loads(response.choices[0].message.content), schema)
    assert labels(response) == {"p0": (False, expected), "p1": (False, expected)}


def test_white_space_and_unicode_form_do_not_hide_a_post(
    server: LlmServer, client: openai.OpenAI
) -> None:
    decomposed = unicodedata.normalize("NFD", TEXTS[4])
    texts = ["The  senate votes\ttomorrow. Call them! ", decomposed]
    assert decomposed != TEXTS[4]
    response, _ = ask(client, texts, {"type": "string", "enum": IDEOLOGIES})
    assert labels(response) == {"p0": (True, "left"), "p1": (True, "left")}


def test_a_nonsense_enum_gets_exactly_that(server: LlmServer, client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["xqz-17"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    response = client.chat.completions.create(
        model="sandbox",
        messages=[{"role": "user", "content": "What colour is the sky?"}],
        response_format=form(schema),
    )
    assert json.loads(response.choices[0].message.content or "") == {"colour": "xqz-17"}


def test_json_object_and_plain_text(server: LlmServer, client: openai.OpenAI) -> None:
    about: Any = [{"role": "user", "content": '{"p3": {"text": "Cut taxes now"}}'}]
    response = client.chat.completions.create(
        model="sandbox", messages=about, response_format={"type": "json_object"}
    )
    answer = json.loads(response.choices[0].message.content or "")
    assert answer["p3"]["label"] == "right"
    hello: Any = [{"role": "user", "content": [{"type": "text", "text": "Hello, who are you?"}]}]
    text = client.chat.completions.create(model="sandbox", messages=hello).choices[0].message
    assert "sandbox" in (text.content or "")
    assert "no model" in (text.content or "")


def test_nobody_may_mistake_it_for_a_model(server: LlmServer, client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert model.id == "sandbox"
    assert client.models.retrieve("sandbox") == model
    assert "sandbox" in model.owned_by
    assert "Not a language model" in (model.model_extra or {})["description"]
    response, _ = ask(client, ["x"], {"enum": IDEOLOGIES})
    assert response.model == "sandbox"
    assert "sandbox" in response.system_fingerprint


def test_streaming_gives_the_same_answer_in_pieces(
    server: LlmServer, client: openai.OpenAI
) -> None:
    texts = TEXTS
    whole, _ = ask(client, texts, {"enum": IDEOLOGIES})
    stream, _ = ask(
        client,
        texts,
        {"enum": IDEOLOGIES},
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert len(pieces) > 3
    assert "".join(pieces) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_usage_counts_leading_messages_that_came_before_as_cached() -> None:
    with (
        served(LlmServer(POSTS).app()) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client,
    ):
        first = ask(client, ["one"], {"enum": IDEOLOGIES})[0].usage
        second = ask(client, ["quite another"], {"enum": IDEOLOGIES})[0].usage
        third = ask(client, ["quite another"], {"enum": IDEOLOGIES})[0].usage
    assert first.prompt_tokens_details.cached_tokens == 0
    assert 0 < second.prompt_tokens_details.cached_tokens < second.prompt_tokens
    assert third.prompt_tokens_details.cached_tokens == third.prompt_tokens
    assert first.total_tokens == first.prompt_tokens + first.completion_tokens


def test_max_tokens_cuts_the_answer_off(server: LlmServer, client: openai.OpenAI) -> None:
    whole, _ = ask(client, ["Cut taxes now"], {"enum": IDEOLOGIES})
    short, _ = ask(client, ["Cut taxes now"], {"enum": IDEOLOGIES}, max_tokens=5)
    assert whole.choices[0].finish_reason == "stop"
    assert short.choices[0].finish_reason == "length"
    assert short.usage.completion_tokens == 5
    assert whole.choices[0].message.content.startswith(short.choices[0].message.content)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "^x"}}},
        {"type": "object", "properties": {"a": {"type": "text"}}},
        {"type": "object", "properties": {"a": {"enum": []}}},
        {"type": "object", "properties": {"a": {"type": "integer", "enum": ["x"]}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}},
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 3, "maxLength": 2}}},
        {
            "type": "object",
            "properties": {"a": {"type": "integer", "minimum": 3.2, "maximum": 3.8}},
        },
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/loop"}},
            "$defs": {"loop": {"type": "object", "properties": {"b": {"$ref": "#/$defs/loop"}}}},
        },
    ],
)
def test_a_schema_that_it_cannot_honour_is_refused(
    server: LlmServer, client: openai.OpenAI, schema: dict[str, Any]
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="sandbox",
            messages=[{"role": "user", "content": "x"}],
            response_format=form(schema),
        )
    assert caught.value.type == "invalid_request_error"
    assert "Invalid schema for response_format 'labels'" in caught.value.message


def test_bad_requests_are_told_what_is_wrong(
    running: tuple[LlmServer, str], client: openai.OpenAI
) -> None:
    hello: Any = [{"role": "user", "content": "x"}]
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="llama3.1:8b", messages=hello)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("llama3.1:8b")
    with pytest.raises(openai.NotFoundError):
        client.audio.speech.create(model="sandbox", input="x", voice="alloy")
    with pytest.raises(openai.BadRequestError) as no_text:
        client.embeddings.create(model="sandbox", input="")
    assert no_text.value.param == "input"
    with pytest.raises(openai.BadRequestError) as empty:
        client.chat.completions.create(model="sandbox", messages=[])
    assert empty.value.param == "messages"
    with pytest.raises(openai.BadRequestError) as tokens:
        client.chat.completions.create(model="sandbox", messages=hello, max_tokens=0)
    assert tokens.value.param == "max_tokens"
    answer = httpx.post(f"{running[1]}/v1/chat/completions", content=b"{not json")
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_configured_key_is_asked_for() -> None:
    with served(LlmServer(POSTS, api_key="the key").app()) as url:
        with (
            openai.OpenAI(base_url=f"{url}/v1", api_key="another") as wrong,
            pytest.raises(openai.AuthenticationError) as caught,
        ):
            wrong.models.list()
        assert caught.value.code == "invalid_api_key"
        assert "another" not in caught.value.message
        with openai.OpenAI(base_url=f"{url}/v1", api_key="the key") as right:
            assert [model.id for model in right.models.list()] == ["sandbox"]


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (LlmFaults(p429=1, retry_after=7), openai.RateLimitError),
        (LlmFaults(p500=1), openai.InternalServerError),
        (LlmFaults(p503=1), openai.InternalServerError),
        (LlmFaults(p_reset=1), openai.APIConnectionError),
        (LlmFaults(p_hang=1), openai.APITimeoutError),
    ],
)
def test_faults_look_as_a_real_server_s(
    server: LlmServer, client: openai.OpenAI, faults: LlmFaults, error: type[Exception]
) -> None:
    server.injector.faults = faults
    with pytest.raises(error) as caught:
        ask(client, ["x"], {"enum": IDEOLOGIES}, timeout=0.3 if faults.p_hang else 100)
    if isinstance(caught.value, openai.RateLimitError):
        assert caught.value.response.headers["Retry-After"] == "7"
        assert caught.value.code == "rate_limit_exceeded"


def test_answers_can_be_malformed_incomplete_cut_or_of_another_form(
    server: LlmServer, client: openai.OpenAI
) -> None:
    texts, ideology = TEXTS, {"type": "string", "enum": ["left", "unclear"]}
    server.injector.faults = LlmFaults(p_malformed=1)
    with pytest.raises(json.JSONDecodeError):
        labels(ask(client, texts, ideology)[0])
    server.injector.faults = LlmFaults(p_missing_slot=1)
    assert len(labels(ask(client, texts, ideology)[0])) == len(texts) - 1
    server.injector.faults = LlmFaults(p_truncate=1)
    assert ask(client, texts, ideology)[0].choices[0].finish_reason == "length"
    server.injector.faults = LlmFaults(ignore_schema=True)
    response, schema = ask(client, texts, ideology)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(response.choices[0].message.content), schema)


def test_the_same_seed_meets_the_same_faults(
    running: tuple[LlmServer, str], server: LlmServer, client: openai.OpenAI
) -> None:
    def statuses(seed: int) -> list[int]:
        httpx.post(
            f"{running[1]}/faults", json={"seed": seed, "p429": 0.3, "p500": 0.3}
        ).raise_for_status()
        found = []
        for _ in range(40):
            try:
                ask(client, ["x"], {"enum": IDEOLOGIES})
                found.append(200)
            except openai.APIStatusError as error:
                found.append(error.status_code)
        return found

    first = statuses(1)
    assert set(first) == {200, 429, 500}
    assert statuses(1) == first
    assert statuses(2) != first
    assert httpx.get(f"{running[1]}/faults").json()["seed"] == 2
    assert httpx.post(f"{running[1]}/faults", json={"p429": 2}).status_code == 400


def test_more_in_flight_than_it_takes_are_refused(
    running: tuple[LlmServer, str], server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.injector.faults = LlmFaults(parallel=3)
    before = server.statuses.copy()

    async def until_others_were_refused(_request: web.Request, extra: float) -> None:
        while (server.statuses - before)[429] < 9:
            await asyncio.sleep(0.01)

    monkeypatch.setattr(server.injector, "meet", until_others_were_refused)

    async def statuses() -> list[int]:
        async with httpx.AsyncClient(base_url=running[1], timeout=100) as client:
            body = {"model": "sandbox", "messages": [{"role": "user", "content": "x"}]}
            answers = await asyncio.gather(
                *(client.post("/v1/chat/completions", json=body) for _ in range(12))
            )
            return sorted(answer.status_code for answer in answers)

    assert asyncio.run(statuses()) == [200] * 3 + [429] * 9
    assert server.statuses - before == {200: 3, 429: 9}


scalars = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={"minLength": st.integers(0, 5), "maxLength": st.integers(5, 90)},
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={"minimum": st.integers(-9, 3), "maximum": st.integers(3, 9)},
    ),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({"type": ["string", "null"], "description": "a reason"}),
    st.lists(
        st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.none()), min_size=1
    ).map(lambda values: {"enum": values}),
    st.sampled_from([[*IDEOLOGIES], [None, *IDEOLOGIES], ["x", "left", 3]]).map(
        lambda values: {"enum": values}
    ),
    st.text(max_size=3).map(lambda value: {"const": value}),
    st.just({"$ref": "#/$defs/Lean"}),
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["p0", "p1", "is_sociopolitical", "political_ideology", "why"])
    objects = st.dictionaries(names, inner, max_size=4).map(
        lambda properties: {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )
    arrays = st.fixed_dictionaries(
        {"type": st.just("array"), "items": inner}, optional={"minItems": st.integers(0, 3)}
    )
    return objects | arrays | st.lists(inner, min_size=1, max_size=3).map(lambda s: {"anyOf": s})


verdicts = st.one_of(
    st.just(NOT_POLITICAL), st.sampled_from([*IDEOLOGIES, None]).map(lambda i: Verdict(True, i))
)


@settings(max_examples=200, deadline=None)
@given(
    properties=st.dictionaries(
        st.sampled_from(["p0", "p1", "p2", "x"]), st.recursive(scalars, containers, max_leaves=8)
    ),
    known=st.dictionaries(st.sampled_from(["p0", "p1"]), verdicts),
)
def test_whatever_it_returns_is_valid_under_the_schema(
    properties: dict[str, Any], known: dict[str, Verdict]
) -> None:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        "$defs": {"Lean": {"anyOf": [{"enum": IDEOLOGIES}, {"type": "null"}]}},
    }
    answer = compile_schema(schema)(NOT_POLITICAL, known)
    jsonschema.Draft202012Validator(schema).validate(answer)


@given(
    before=st.text(), posts=st.dictionaries(st.from_regex(r"p\d{1,2}", fullmatch=True), st.text())
)
def test_posts_are_found_behind_any_text(before: str, posts: dict[str, str]) -> None:
    before = before.replace("p", "q")
    message = before + json.dumps({key: {"text": text} for key, text in posts.items()})
    assert find_posts(message) == posts
