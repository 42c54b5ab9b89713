"""An OpenAI-compatible endpoint whose every answer a test decides."""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

Question = dict[str, dict[str, Any]]
Answer = Callable[[dict[str, Any], Question], web.Response | str | dict[str, Any]]


def by_first_letter(_body: dict[str, Any], question: Question) -> dict[str, Any]:
    """Posts that begin with L, R, M or U are political and lean accordingly; others are not."""
    leanings = {"l": "left", "r": "right", "m": "moderate", "u": "unclear"}
    return {
        key: leanings.get(post["text"][:1].lower(), "not_sociopolitical")
        for key, post in question.items()
    }


def code_of(body: dict[str, Any]) -> str:
    """The code that the system's message gives."""
    found = re.search(r"the code (\d{4})\b", body["messages"][0]["content"])
    assert found
    return found[1]


def in_form(body: dict[str, Any], question: Question, labels: dict[str, Any]) -> dict[str, Any]:
    """The answer that has each of `labels` under its key; what is no text stands as it is."""
    words = {key: post["text"].split(maxsplit=1)[0] for key, post in question.items()}
    return {"code": code_of(body)} | {
        key: {"text": words[key], "label": said} if isinstance(said, str) else said
        for key, said in labels.items()
    }


def tokens_of(body: dict[str, Any]) -> int:
    """As a tokenizer would have it, about."""
    return sum(len(message["content"].encode()) // 4 for message in body["messages"])


class FakeEndpoint:
    """Counts what it is asked. `answer` gives a response, the text of a completion, or labels by
    key, to be put into the form that was asked for; a probe for schemas is answered as one that
    keeps to them, or not."""

    def __init__(
        self,
        answer: Answer = by_first_letter,
        *,
        models: tuple[str, ...] = ("fake",),
        keeps_schemas: bool = True,
        key: str | None = None,
    ) -> None:
        self.answer = answer
        self.models = models
        self.keeps_schemas = keeps_schemas
        self.key = key
        self.asked: Counter[str] = Counter()
        """How often each text was asked about."""
        self.requests: list[dict[str, Any]] = []
        """Bodies of the requests about posts."""
        self.probes: list[dict[str, Any]] = []

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**25)
        app.add_routes(
            [
                web.get("/v1/models", self._models),
                web.post("/v1/chat/completions", self._complete),
            ]
        )
        return app

    def completion(self, content: Any, tokens: int = 100_000, **choice: Any) -> web.Response:
        message = {"role": "assistant", "content": content, **choice.pop("message", {})}
        usage = {"prompt_tokens": tokens, "completion_tokens": 10, "total_tokens": tokens + 10}
        return web.json_response(
            {
                "id": "fake",
                "object": "chat.completion",
                "created": 0,
                "model": self.models[0],
                "choices": [{"index": 0, "finish_reason": "stop", "message": message, **choice}],
                "usage": usage,
            }
        )

    def _authorised(self, request: web.Request) -> bool:
        return self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}"

    async def _models(self, request: web.Request) -> web.Response:
        if not self._authorised(request):
            return refusal(401, "Incorrect API key provided: " + str(request.headers))
        cards = [{"id": model, "object": "model"} for model in self.models]
        return web.json_response({"object": "list", "data": cards})

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        question = posts_of(body)
        if question is None:
            self.probes.append(body)
            enum = _probed(body) if self.keeps_schemas else ["blue"]
            return self.completion(json.dumps({"answer": enum[0]}), tokens_of(body))
        self.requests.append(body)
        self.asked.update(post["text"] for post in question.values())
        answer = self.answer(body, question)
        if isinstance(answer, web.Response):
            return answer
        said = answer if isinstance(answer, str) else json.dumps(in_form(body, question, answer))
        return self.completion(said, tokens_of(body))


def refusal(status: int, message: str, code: str | None = None) -> web.Response:
    error = {"message": message, "type": "error", "param": None, "code": code}
    return web.json_response({"error": error}, status=status)


def posts_of(body: dict[str, Any]) -> Question | None:
    """The posts in a request; None if it is not about posts."""
    try:
        found = json.loads(body["messages"][-1]["content"])
    except ValueError:
        return None
    return found if isinstance(found, dict) and "p0" in found else None


def _probed(body: dict[str, Any]) -> list[str]:
    form = body.get("response_format", {})
    if form.get("type") != "json_schema":
        return ["blue"]
    enum: list[str] = form["json_schema"]["schema"]["properties"]["answer"]["enum"]
    return enum
