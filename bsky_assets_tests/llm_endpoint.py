"""An OpenAI-compatible endpoint whose every answer a test decides."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

Question = dict[str, dict[str, Any]]
Answer = Callable[[dict[str, Any], Question], web.Response | str | dict[str, Any]]


def by_first_letter(_body: dict[str, Any], question: Question) -> dict[str, Any]:
    """Posts that begin with L, R, M or U are political and lean accordingly; others are not."""
    leanings = {"l": "left", "r": "right", "m": "moderate", "u": "unclear"}
    found = {key: leanings.get(post["text"][:1].lower()) for key, post in question.items()}
    return {
        key: {"is_sociopolitical": leaning is not None, "political_ideology": leaning or "none"}
        for key, leaning in found.items()
    }


class FakeEndpoint:
    """Counts what it is asked. `answer` gives a response, the text of a completion, or an object
    to be put into one; a probe for schemas is answered as one that keeps to them, or not."""

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

    def completion(self, content: str, **choice: Any) -> web.Response:
        message = {"role": "assistant", "content": content, **choice.pop("message", {})}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
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
            return self.completion(json.dumps({"answer": enum[0]}))
        self.requests.append(body)
        self.asked.update(post["text"] for post in question.values())
        answer = self.answer(body, question)
        if isinstance(answer, web.Response):
            return answer
        return self.completion(answer if isinstance(answer, str) else json.dumps(answer))


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
