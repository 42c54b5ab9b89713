"""What the preflight learns of a server, as each kind tells it, and what that changes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bsky_assets_tests.labelling.asking.misbehaving import (
    POSTS,
    CutsThePrompt,
    Server,
    posts_in,
    tokens,
    truth,
)
from bsky_assets_tests.support.labelling import Lab, filtered_post
from bsky_assets_tests.support.serving import served

CONTEXT = 2_048


def card(**fields: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": "fake", "object": "model", **fields}]}


def props(**settings: Any) -> dict[str, Any]:
    return {"build_info": "b6000-abc", "default_generation_settings": settings}


LM_STUDIO = card(owned_by="organization_owner")
LLAMA_CPP = {"/props": props(n_ctx=CONTEXT)}
TOLD = [
    ("llama.cpp", LLAMA_CPP),
    ("vllm", {"/v1/models": card(owned_by="vllm", max_model_len=CONTEXT)}),
    (
        "lm-studio",
        {
            "/v1/models": LM_STUDIO,
            "/api/v0/models": card(loaded_context_length=CONTEXT, max_context_length=131_072),
        },
    ),
    (
        "lm-studio",
        {"/v1/models": LM_STUDIO, "/api/v0/models": card(max_context_length=CONTEXT)},
    ),
]


def as_told(server: Server, pages: Mapping[str, Any]) -> web.Application:
    """`server`, which says of itself what is in `pages`, by path."""

    @web.middleware
    async def tell(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path in pages:
            return web.json_response(pages[request.path])
        answer: web.StreamResponse = await handler(request)
        return answer

    app = server.app()
    app.middlewares.append(tell)
    return app


def lab_of(folder: Path, url: str, posts: list[str]) -> Lab:
    lab = Lab(folder, f"{url}/v1", {"llm_models": ("fake",), "llm_concurrency": 4})
    lab.filtered(filtered_post(number, text) for number, text in enumerate(posts))
    return lab


def all_right(lab: Lab, posts: list[str]) -> bool:
    wanted = {filtered_post(n, text)["uri"]: truth(text) for n, text in enumerate(posts)}
    given = {uri: leans or "not_sociopolitical" for uri, (_, leans) in lab.labels().items()}
    return given == wanted


@pytest.mark.parametrize(("software", "pages"), TOLD)
def test_requests_fit_the_context_that_a_server_tells(
    tmp_path: Path, software: str, pages: dict[str, Any]
) -> None:
    with served(as_told(CutsThePrompt(CONTEXT), pages)) as url:
        lab = lab_of(tmp_path, url, POSTS)
        (model,) = lab.label(batch_size=10).details["models"]
    assert (model["preflight"]["server"], model["preflight"]["context_tokens"]) == (
        software,
        CONTEXT,
    )
    assert all_right(lab, POSTS)
    assert model["retries"] == {}, "nothing was cut"
    assert 1 < max(row["batch_size"] for row in lab.rows()) < 10
    assert "has room for" in model["notices"][0]


@pytest.mark.parametrize(
    "pages",
    [
        {},
        {"/props": ["no mapping"]},
        {"/props": props(n_ctx="2048")},
        {"/props": props(n_ctx=True)},
        {"/v1/models": card(max_model_len=0)},
        {"/v1/models": LM_STUDIO, "/api/v0/models": {"data": "none"}},
        {"/v1/models": LM_STUDIO, "/api/v0/models": {"data": [7, {"id": "another"}]}},
    ],
    ids=str,
)
def test_what_is_no_context_is_not_taken_for_one(tmp_path: Path, pages: dict[str, Any]) -> None:
    with served(as_told(CutsThePrompt(100_000), pages)) as url:
        lab = lab_of(tmp_path, url, POSTS[:20])
        (model,) = lab.label(batch_size=10).details["models"]
    assert model["preflight"]["context_tokens"] is None
    assert {row["batch_size"] for row in lab.rows()} == {10}
    assert all_right(lab, POSTS[:20])


class Records(CutsThePrompt):
    """Keeps the schema's keys and the allowed tokens of each request about posts; may talk before
    it answers, and may not care for schemas."""

    def __init__(self, *, enforces: bool = True, talk: str = "", counts: bool = True) -> None:
        super().__init__(100_000, counts=counts)
        self.enforces, self.talk = enforces, talk
        self.keys: set[frozenset[str]] = set()

    def probe(self, body: dict[str, Any]) -> dict[str, Any]:
        return super().probe(body) if self.enforces else {"content": '{"answer": "blue"}'}

    def say(self, body: dict[str, Any], posts: dict[str, str]) -> dict[str, Any]:
        form = body["response_format"]["json_schema"]["schema"]["properties"]
        self.keys.add(frozenset(form))
        answer = self.talk + super().say(body, posts)["content"]
        if "code" not in form:
            answer = str({key: {"label": truth(text)} for key, text in posts.items()})
            answer = answer.replace("'", '"')
        room = body["max_tokens"]
        cut = tokens(answer) > room
        return {"content": answer[: 4 * room], "finish_reason": "length" if cut else "stop"}


def test_where_no_schema_is_kept_to_an_answer_may_stand_in_talk(tmp_path: Path) -> None:
    server = Records(enforces=False, talk="Let me look at each of the posts in turn. " * 40)
    with served(as_told(server, LLAMA_CPP | {"/props": props(n_ctx=8_192)})) as url:
        lab = lab_of(tmp_path, url, POSTS[:20])
        (model,) = lab.label(batch_size=1).details["models"]
    assert model["preflight"]["enforces_schema"] is False
    assert model["retries"] == {}, "no answer was cut off"
    assert all_right(lab, POSTS[:20])
    assert any("does not keep to the schema" in notice for notice in model["notices"])
    assert server.keys == {frozenset({"code", "p0"})}, "what nothing else shows is echoed"


@pytest.mark.parametrize(
    ("pages", "counts", "echoed"),
    [
        ({"/props": props(n_ctx=8_192)}, True, False),
        ({"/props": props(n_ctx=8_192)}, False, True),
        ({}, True, True),
    ],
)
def test_a_single_post_is_answered_without_echo_only_where_the_server_shows_what_it_read(
    tmp_path: Path, pages: dict[str, Any], counts: bool, echoed: bool
) -> None:
    server = Records(counts=counts)
    with served(as_told(server, pages)) as url:
        lab = lab_of(tmp_path, url, POSTS[:12])
        lab.label(batch_size=1)
        assert server.keys == {frozenset({"code", "p0"} if echoed else {"p0"})}
        assert all_right(lab, POSTS[:12])


class CutsLater(Records):
    """Shows what it reads, until it is asked about posts: then it reads a part."""

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        done = super().completion(body)
        if posts_in(body) is not None:
            done["usage"]["prompt_tokens"] //= 3
        return done


def test_without_echoes_a_count_that_is_too_low_costs_the_label(tmp_path: Path) -> None:
    with served(as_told(CutsLater(), {"/props": props(n_ctx=8_192)})) as url:
        lab = lab_of(tmp_path, url, POSTS[:2])
        details = lab.label(batch_size=1).details
    assert (details["labelled"], details["failed"]) == (0, 2)
    assert {row["error"] for row in lab.rows()} == {"prompt_cut"}
