"""An OpenAI-compatible endpoint that is no language model: it looks its answers up.

Everything it says of itself says so: its model is called `sandbox`, `owned_by`, the system
fingerprint and every free string name the sandbox. It answers for the sandbox's own posts.
Source of the forms: OpenAI's API reference, models, chat completions and embeddings.
"""

import hmac
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, TypeVar

import orjson
from aiohttp import web
from pydantic import Field

from bsky_sandbox.chat import (
    MODEL,
    ApiError,
    ChatRequest,
    count_tokens,
    cut,
    find_code,
    find_posts,
    free_answer,
    logprobs,
    parse_request,
    verdict_lookup,
)
from bsky_sandbox.distilling import views_in
from bsky_sandbox.embeddings import embeddings
from bsky_sandbox.http_faults import (
    FaultInjector,
    HttpFaults,
    Probability,
    Refused,
    Seconds,
)
from bsky_sandbox.posts import SandboxPost
from bsky_sandbox.schema_answers import (
    NOT_POLITICAL,
    STATEMENT,
    Fill,
    InvalidSchema,
    Verdict,
    compile_schema,
)

_FINGERPRINT = "bsky-assets-sandbox-no-language-model"
_OWNER = "bsky-assets sandbox"

_LARGEST_REQUEST = 32 * 1024 * 1024
_REMEMBERED = 256
_TOKENS_A_MESSAGE = 4
_REFUSALS = {
    429: ("Rate limit reached for requests", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request", "server_error", None),
    503: ("The engine is currently overloaded, please try again later", "server_error", None),
}

K = TypeVar("K")
V = TypeVar("V")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LlmFaults(HttpFaults):
    """What goes wrong at the endpoint. A malformed answer is a completion that is not JSON."""

    parallel: int | None = Field(None, ge=1, description="More requests in flight get a 429.")
    latency_per_post: Seconds = Field(0, description="Seconds on top for each post asked about.")
    p_missing_slot: Probability = Field(0, description="Share of answers that leave a key out.")
    p_truncate: Probability = Field(0, description="Share of answers cut off half-way.")
    ignore_schema: bool = Field(False, description="Answer in a form of its own, with a 200.")
    logprobs: bool = Field(False, description="Say how likely tokens were, to whoever asks.")


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer, before it is put into one response or many chunks."""

    content: str
    finish_reason: str
    usage: dict[str, Any]
    logprobs: dict[str, Any] | None


class LlmServer:
    """The endpoint. `injector.faults` can be replaced while it runs."""

    def __init__(
        self,
        posts: Iterable[SandboxPost],
        *,
        api_key: str | None = None,
        faults: LlmFaults | None = None,
    ) -> None:
        """Answer for `posts`; with `api_key` set, only to whoever sends it."""
        self.injector = FaultInjector(faults or LlmFaults())
        self.statuses: Counter[int] = Counter()
        """How many requests for a completion were answered with each status."""
        self.most_in_flight = 0
        self._in_flight = 0
        self._api_key = api_key
        self._verdict = verdict_lookup(posts)
        self._fills: OrderedDict[bytes, Fill] = OrderedDict()
        self._prefixes: OrderedDict[int, None] = OrderedDict()
        self._numbers = count(1)
        self._created = int(time.time())

    def app(self) -> web.Application:
        """The endpoint as an application, to be run where the caller pleases."""
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._guarded(self._counted)),
                web.post("/v1/embeddings", self._guarded(self._embeddings)),
                web.get("/v1/models", self._guarded(self._models)),
                web.get("/v1/models/{model}", self._guarded(self._model)),
                *self.injector.routes(),
                web.route("*", "/{path:.*}", self._guarded(_unknown)),
            ]
        )
        return app

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._authorise(request)
                return await handler(request)
            except ApiError as error:
                return _json(error.body, status=error.status)

        return guarded

    def _authorise(self, request: web.Request) -> None:
        if self._api_key is None:
            return
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not hmac.compare_digest(key.encode(), self._api_key.encode()):
            raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")

    async def _models(self, _request: web.Request) -> web.Response:
        return _json({"object": "list", "data": [self._card()]})

    async def _model(self, request: web.Request) -> web.Response:
        _require_model(request.match_info["model"])
        return _json(self._card())

    def _card(self) -> dict[str, Any]:
        return {
            "id": MODEL,
            "object": "model",
            "created": self._created,
            "owned_by": _OWNER,
            "description": f"Not a language model. {STATEMENT}",
        }

    async def _embeddings(self, request: web.Request) -> web.Response:
        body = await _decoded(request)
        _require_model(str(body.get("model")) if isinstance(body, dict) else "")
        return _json(embeddings(body))

    async def _counted(self, request: web.Request) -> web.StreamResponse:
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            response = await self._complete(request)
        except Refused as refused:
            message, kind, code = _REFUSALS[refused.status]
            body = {"message": message, "type": kind, "param": None, "code": code}
            response = _json({"error": body}, refused.status, refused.headers)
        except ApiError as error:
            self.statuses[error.status] += 1
            raise
        finally:
            self._in_flight -= 1
        self.statuses[response.status] += 1
        return response

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        faults = self.injector.faults
        if faults.parallel is not None and self._in_flight > faults.parallel:
            raise Refused(429, faults.retry_after)
        chat = await _read(request)
        posts = find_posts(chat.question)
        await self.injector.meet(request, extra=faults.latency_per_post * len(posts))
        views = views_in(chat.question)
        verdicts = {
            key: replace(self._verdict(text), views=views.get(key, {}))
            for key, text in posts.items()
        }
        completion = self._completion(chat, verdicts)
        head = {
            "id": f"chatcmpl-sandbox-{next(self._numbers)}",
            "created": int(time.time()),
            "model": MODEL,
            "system_fingerprint": _FINGERPRINT,
        }
        if chat.stream:
            return await _stream(request, head, completion, include_usage=chat.include_usage)
        return _json(_whole(head, completion))

    def _completion(self, chat: ChatRequest, verdicts: dict[str, Verdict]) -> Completion:
        content, finish_reason = self._content(chat, verdicts), "stop"
        faults, strikes = self.injector.faults, self.injector.strikes
        if strikes(faults.p_malformed):
            content = f"Sure! Here are the labels:\n{content[:-1]}"
        if strikes(faults.p_truncate):
            content, finish_reason = content[: len(content) // 2], "length"
        if chat.max_tokens is not None and count_tokens(content) > chat.max_tokens:
            content, finish_reason = cut(content, chat.max_tokens), "length"
        told = logprobs(content) if chat.logprobs and faults.logprobs else None
        return Completion(content, finish_reason, self._usage(chat, content), told)

    def _content(self, chat: ChatRequest, verdicts: dict[str, Verdict]) -> str:
        faults = self.injector.faults
        form = chat.response_format["type"]
        fill = self._fill(chat.response_format) if form == "json_schema" else None
        if fill is not None and not faults.ignore_schema:
            answer = fill(replace(NOT_POLITICAL, echo=find_code(chat.messages)), verdicts)
        elif form == "text" and not verdicts:
            return STATEMENT
        else:
            answer = free_answer(find_code(chat.messages), verdicts)
        if answer and self.injector.strikes(faults.p_missing_slot):
            answer.pop(self.injector.pick(list(answer)))
        return orjson.dumps(answer).decode()

    def _fill(self, response_format: dict[str, Any]) -> Fill:
        wrapper = response_format.get("json_schema")
        if not isinstance(wrapper, dict) or not isinstance(wrapper.get("name"), str):
            where = "response_format.json_schema.name"
            message = f"Missing required parameter: '{where}'."
            raise ApiError(400, message, param=where, code="missing_required_parameter")
        key = orjson.dumps(wrapper.get("schema"))
        if (fill := self._fills.get(key)) is None:
            try:
                fill = compile_schema(wrapper.get("schema"))
            except InvalidSchema as error:
                message = f"Invalid schema for response_format {wrapper['name']!r:.80}: {error}"
                raise ApiError(400, message, param="response_format") from None
            _remember(self._fills, key, fill)
        return fill

    def _usage(self, chat: ChatRequest, content: str) -> dict[str, Any]:
        """Tokens; those of leading messages that came before, in the same order, are cached."""
        total, cached, prefix = 0, 0, 0
        for message in chat.messages:
            prefix = hash((prefix, message))
            total += count_tokens(message[1]) + _TOKENS_A_MESSAGE
            if prefix in self._prefixes:
                cached = total
            _remember(self._prefixes, prefix, None)
        answered = count_tokens(content)
        return {
            "prompt_tokens": total,
            "completion_tokens": answered,
            "total_tokens": total + answered,
            "prompt_tokens_details": {"cached_tokens": cached},
        }


def _remember(memory: OrderedDict[K, V], key: K, value: V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)


async def _read(request: web.Request) -> ChatRequest:
    chat = parse_request(await _decoded(request))
    _require_model(chat.model)
    return chat


async def _decoded(request: web.Request) -> object:
    try:
        body: object = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise ApiError(400, "We could not parse the JSON body of your request.") from None
    return body


def _require_model(model: str) -> None:
    if model != MODEL:
        message = f"The model {model!r:.80} does not exist; the sandbox has only {MODEL!r}."
        raise ApiError(404, message, param="model", code="model_not_found")


async def _unknown(request: web.Request) -> web.Response:
    raise ApiError(404, f"Invalid URL ({request.method} {request.path})", code="unknown_url")


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps(body), status=status, headers=headers, content_type="application/json"
    )


def _whole(head: dict[str, Any], completion: Completion) -> dict[str, Any]:
    message = {"role": "assistant", "content": completion.content, "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": completion.logprobs,
        "finish_reason": completion.finish_reason,
    }
    return {
        **head,
        "object": "chat.completion",
        "choices": [choice],
        "usage": completion.usage,
    }


async def _stream(
    request: web.Request, head: dict[str, Any], completion: Completion, *, include_usage: bool
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
    )
    await response.prepare(request)
    for chunk in _chunks(head, completion, include_usage=include_usage):
        await response.write(b"data: " + orjson.dumps(chunk) + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _chunks(
    head: dict[str, Any], completion: Completion, *, include_usage: bool
) -> Iterator[dict[str, Any]]:
    head = {**head, "object": "chat.completion.chunk"}
    if include_usage:
        head["usage"] = None

    def chunk(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**head, "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    size = 16 * 4
    for start in range(0, len(completion.content), size):
        yield chunk({"content": completion.content[start : start + size]})
    yield chunk({}, completion.finish_reason)
    if include_usage:
        yield {**head, "choices": [], "usage": completion.usage}
