"""What an endpoint is, before a day's posts go to it.

First without asking the model anything: whether it is there, what software it is, whether it has
the model, what identifies the model's weights, and how many tokens a request may have. Then one
question after the prompt, whose only allowed answers are nonsense: a server that enforces schemas
gives one of them, and any other is found out. A model that thinks aloud is told not to, in the
words of each server in turn, until it does not. A server that is loading a model is waited for.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import httpx2

from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import object_schema
from bsky_assets.labelling.asking.endpoint import (
    TURNED_AWAY,
    Busy,
    Declined,
    Endpoint,
    EndpointRefuses,
    EndpointUnreachable,
    Failure,
    Reply,
    ServerFailed,
    TooLong,
    Waiting,
    shorten,
)

_NONSENSE = ("qx-teapot-17", "zv-walrus-94")
_PROBE_SECONDS = (30.0, 60.0, 120.0, 300.0, 300.0)
"""How long to wait, try by try: a model may first have to be loaded from disk."""

_ENOUGH_CONTEXT = 8_192
"""Tokens that the prompt, ten posts and their answer fit into."""
_OLLAMA_CTX = 4_096
"""What Ollama takes where nothing is said, and it says nothing."""

_LEAST_ROOM = 300
"""Tokens for one short post and its answer."""
_THINKING_OFF = (
    {"chat_template_kwargs": {"enable_thinking": False}},  # vLLM, SGLang, llama.cpp
    {"reasoning_effort": "none"},  # Ollama, OpenAI
    {"think": False},
    {"reasoning_effort": "minimal"},
)
_NUM_CTX = re.compile(r"\bnum_ctx\s+(\d+)")
_FORMS = 6
_DIGEST = re.compile(r"sha256:[0-9a-f]{12,64}")


class NoSuchModel(UserError):
    """The endpoint does not have the model."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found out about an endpoint and one of its models."""

    host: str
    server: str
    """ollama, llama.cpp, vllm, lm-studio, or what the server calls itself; or unknown."""
    server_version: str | None
    model: str
    model_digest: str | None
    """What identifies the weights, where the server says so."""
    response_format: str = "json_schema"
    """The strictest that it takes: json_schema, json_object or text."""
    enforces_schema: bool | None = None
    """Whether it keeps to a schema whatever the model would say; None before it was asked."""
    length_parameter: str = "max_tokens"
    """What it calls the limit on the length of an answer."""
    takes_temperature: bool = True
    context_tokens: int | None = None
    """What a request and its answer may have together, where the server says so."""
    prompt_tokens: int | None = None
    """What the server counts for the prompt alone, about."""
    thinks: bool = False
    """Whether the model thinks aloud in spite of all that was tried."""
    thinking_off: str = "{}"
    """What a request says to turn thinking off, as JSON."""
    fingerprint: str | None = None
    gives_logprobs: bool = False
    """Whether it says how likely the tokens of an answer were. Only then it is asked to."""

    @property
    def endpoint(self) -> str:
        """Kind and host, for the ledger."""
        return f"{self.server}@{self.host}"

    @property
    def shows_reading(self) -> bool:
        """Whether the server itself shows that it has read a whole request: it keeps to schemas,
        says how large its context is, and counts what it reads."""
        return bool(self.enforces_schema and self.context_tokens and self.prompt_tokens)

    def as_details(self) -> dict[str, Any]:
        """Everything, for metadata."""
        return asdict(self)

    def options(self, wanted: dict[str, Any], temperature: float, tokens: int) -> dict[str, Any]:
        """The arguments of a chat completion, as this endpoint takes them.

        `wanted` is the `response_format` where it takes a schema.
        """
        chosen: dict[str, Any] = {"model": self.model, self.length_parameter: tokens}
        if self.takes_temperature:
            chosen["temperature"] = temperature
        if self.response_format == "json_schema":
            chosen["response_format"] = wanted
        elif self.response_format == "json_object":
            chosen["response_format"] = {"type": "json_object"}
        if self.thinking_off != "{}":
            chosen["extra_body"] = json.loads(self.thinking_off)
        if self.gives_logprobs:
            chosen["logprobs"] = True
        return chosen


async def identify(endpoint: Endpoint, model: str) -> Preflight:
    """Find out what `endpoint` is and which weights `model` has there, without asking the model.

    Raises:
        EndpointUnreachable: nothing answers at its address.
        EndpointRefuses: it wants another key.
        NoSuchModel: it lists its models, and `model` is not among them.
    """
    card = _find(await _cards(endpoint, model), model, endpoint)
    root = endpoint.url.removesuffix("/v1")
    version, tags, props = await asyncio.gather(
        endpoint.get_json(f"{root}/api/version"),
        endpoint.get_json(f"{root}/api/tags"),
        endpoint.get_json(f"{root}/props"),
    )
    server, server_version = _server(card, version, props)
    return Preflight(
        host=endpoint.host,
        server=server,
        server_version=server_version,
        model=model,
        model_digest=_digest(card, tags, model),
        context_tokens=_number(card, "max_model_len")
        or _number(_mapping(props).get("default_generation_settings"), "n_ctx"),
    )


async def probe(endpoint: Endpoint, preflight: Preflight, prompt: str) -> Preflight:
    """Ask the model one thing, to learn how the endpoint must be asked and if it keeps schemas.

    Raises:
        EndpointUnreachable: it does not answer.
        EndpointRefuses: it takes no form of the question, or not the whole of `prompt`.
    """
    preflight, reply = await _agree(endpoint, preflight, prompt)
    if reply.shows_thoughts:
        preflight, reply = await _without_thoughts(endpoint, preflight, prompt, reply)
    preflight = replace(
        preflight,
        enforces_schema=preflight.response_format == "json_schema"
        and any(word in reply.content for word in _NONSENSE),
        prompt_tokens=reply.prompt_tokens,
        fingerprint=reply.fingerprint,
        context_tokens=await _context(endpoint, preflight),
    )
    if (
        preflight.context_tokens
        and (preflight.prompt_tokens or 0) + _LEAST_ROOM > preflight.context_tokens
    ):
        raise EndpointRefuses(
            f"{preflight.host} takes {preflight.context_tokens:,} tokens a request, and the prompt "
            f"alone has {preflight.prompt_tokens or 0:,}; {raise_context(preflight)}"
        )
    return await _with_logprobs(endpoint, preflight, prompt)


async def _with_logprobs(endpoint: Endpoint, preflight: Preflight, prompt: str) -> Preflight:
    """`preflight` that asks for log-probabilities, if the endpoint takes that and gives them.

    It is asked once: whatever goes wrong, labels come without them.
    """
    asked = replace(preflight, gives_logprobs=True)
    try:
        reply = await endpoint.ask(_nonsense(asked, prompt), asyncio.timeout(_PROBE_SECONDS[0]))
    except (Failure, EndpointRefuses):
        return preflight
    return asked if reply.tokens else preflight


def raise_context(preflight: Preflight) -> str:
    """What to do where the context is too small."""
    how = {
        "ollama": f"OLLAMA_CONTEXT_LENGTH={_ENOUGH_CONTEXT} ollama serve",
        "llama.cpp": f"llama-server -c {_ENOUGH_CONTEXT}, times -np, or llm serve --context",
        "vllm": f"vllm serve --max-model-len {_ENOUGH_CONTEXT}",
    }
    return f"give it a context of {_ENOUGH_CONTEXT:,} tokens" + (
        f": {how[preflight.server]}" if preflight.server in how else ""
    )


async def _agree(endpoint: Endpoint, preflight: Preflight, prompt: str) -> tuple[Preflight, Reply]:
    """The strictest form of a request that the endpoint takes, and its reply to it."""
    failed: Preflight | None = None
    for _ in range(_FORMS):
        try:
            reply = await _ask_nonsense(endpoint, preflight, prompt)
        except Declined as declined:
            failed = preflight if isinstance(declined, _Fails) else failed
            preflight = _give_way(preflight, str(declined))
            continue
        if failed:  # whether it was the form that failed, and not the server for a while
            try:
                return failed, await _ask_nonsense(endpoint, failed, prompt)
            except Declined:
                pass
        return preflight, reply
    raise EndpointRefuses(f"{preflight.host} takes no form of our requests")


async def _without_thoughts(
    endpoint: Endpoint, preflight: Preflight, prompt: str, reply: Reply
) -> tuple[Preflight, Reply]:
    """`preflight` with what turns thinking off, if anything does."""
    for words in _THINKING_OFF:
        quiet = replace(preflight, thinking_off=json.dumps(words))
        try:
            answer = await _ask_nonsense(endpoint, quiet, prompt)
        except Declined:
            continue
        if not answer.shows_thoughts:
            return quiet, answer
    return replace(preflight, thinks=True), reply


async def _context(endpoint: Endpoint, preflight: Preflight) -> int | None:
    """What the server says of its context, now that the model is loaded."""
    root = endpoint.url.removesuffix("/v1")
    if preflight.server == "ollama":
        running = await endpoint.get_json(f"{root}/api/ps")
        loaded = _of_model(_mapping(running).get("models"), "name", preflight.model)
        shown = await endpoint.get_json(f"{root}/api/show", {"model": preflight.model})
        set_to = _NUM_CTX.search(str(_mapping(shown).get("parameters")))
        return (
            _number(loaded, "context_length") or (int(set_to[1]) if set_to else None) or _OLLAMA_CTX
        )
    if preflight.context_tokens is None:
        listed = await endpoint.get_json(f"{root}/api/v0/models")
        card = _of_model(_mapping(listed).get("data"), "id", preflight.model)
        return _number(card, "loaded_context_length") or _number(card, "max_context_length")
    return preflight.context_tokens


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(card: Any, name: str) -> int | None:
    value = _mapping(card).get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _of_model(listed: Any, key: str, model: str) -> Mapping[str, Any]:
    """The entry of `model` in a list that a server gave."""
    entries = [_mapping(entry) for entry in listed] if isinstance(listed, list) else []
    return next((entry for entry in entries if entry.get(key) in (model, f"{model}:latest")), {})


async def _cards(endpoint: Endpoint, model: str) -> list[Mapping[str, Any]]:
    import openai  # which takes seconds

    waiting = Waiting()
    while True:
        try:
            async with asyncio.timeout(_PROBE_SECONDS[0]):
                listed = await endpoint.client.models.list(timeout=httpx2.Timeout(30, connect=10))
            return [card.model_dump() for card in listed.data or ()]
        except (TimeoutError, openai.APIConnectionError):
            start = endpoint.service.how_to_start.format(model=model)
            raise EndpointUnreachable(
                f"no language model answers at {endpoint.host}; {start}"
            ) from None
        except openai.APIStatusError as error:
            if error.status_code in (401, 403):
                raise EndpointRefuses(
                    f"{endpoint.host} refuses the key ({error.status_code}); set "
                    f"{endpoint.service.key} to one that it knows"
                ) from None
            if error.status_code not in TURNED_AWAY:
                return []
            await waiting.for_load(endpoint.host, str(error.status_code))
        except (openai.APIError, ValueError):
            return []


def _find(cards: list[Mapping[str, Any]], model: str, endpoint: Endpoint) -> Mapping[str, Any]:
    """The card of `model`; a server that lists none is taken at its word when it is asked."""
    names = (model, f"{model}:latest")
    for card in cards:
        if card.get("id") in names:
            return card
    if cards:
        have = shorten(", ".join(str(card.get("id")) for card in cards))
        raise NoSuchModel(
            f"{endpoint.host} has no model {model!r}; it has {have}: set "
            f"{endpoint.service.models}, or get the model, with Ollama by `ollama pull {model}`"
        )
    return {}


def _server(card: Mapping[str, Any], version: Any, props: Any) -> tuple[str, str | None]:
    owner = str(card.get("owned_by") or "unknown")
    if owner == "llamacpp" or (isinstance(props, dict) and "build_info" in props):
        build = props.get("build_info") if isinstance(props, dict) else None
        return "llama.cpp", str(build) if build else None
    if owner == "library" or (isinstance(version, dict) and "version" in version):
        return "ollama", str(version["version"]) if isinstance(version, dict) else None
    if owner == "organization_owner":
        return "lm-studio", None
    return shorten(owner, 60), None


def _digest(card: Mapping[str, Any], tags: Any, model: str) -> str | None:
    tagged = _of_model(_mapping(tags).get("models"), "name", model)
    if tagged.get("digest"):
        return f"sha256:{str(tagged['digest']).removeprefix('sha256:')}"
    named = _DIGEST.search(str(card))
    return named.group() if named else None


class _Fails(Declined):
    """The server failed at this form every time; it may be the form, or the server."""


def _nonsense(preflight: Preflight, prompt: str) -> dict[str, Any]:
    """A request whose only allowed answers are nonsense, in the form of `preflight`."""
    answer = {"type": "string", "enum": [*_NONSENSE], "maxLength": 24}
    schema = object_schema({"answer": answer})
    json_schema = {"name": "probe", "strict": True, "schema": schema}
    wanted = {"type": "json_schema", "json_schema": json_schema}
    request = preflight.options(wanted, temperature=0.0, tokens=200)
    request["messages"] = [
        {"role": "system", "content": prompt},
        {"role": "user", "content": 'What colour is the sky? Answer {"answer": "<colour>"}.'},
    ]
    return request


async def _ask_nonsense(endpoint: Endpoint, preflight: Preflight, prompt: str) -> Reply:
    request = _nonsense(preflight, prompt)
    waiting, failures = Waiting(), 0
    while True:
        seconds = _PROBE_SECONDS[min(failures, len(_PROBE_SECONDS) - 1)]
        try:
            return await endpoint.ask(request, asyncio.timeout(seconds))
        except Declined:
            raise
        except TooLong as failure:
            raise EndpointRefuses(
                f"{preflight.host} does not take the prompt ({failure}); {raise_context(preflight)}"
            ) from None
        except Busy as failure:
            await waiting.for_load(preflight.host, str(failure))
        except Failure as failure:
            failures += 1
            if failures == len(_PROBE_SECONDS):
                raise _after_failures(preflight, failure) from None
            await asyncio.sleep(min(0.2 * 2**failures, 5.0))


def _after_failures(preflight: Preflight, failure: Failure) -> Exception:
    if isinstance(failure, ServerFailed) and not failure.is_told:
        return _Fails(str(failure))
    return EndpointUnreachable(f"{preflight.host} does not answer ({failure}); run again later")


def _give_way(preflight: Preflight, said: str) -> Preflight:
    """How to ask next, after the endpoint said that it does not take this form.

    Raises:
        EndpointRefuses: there is no other form.
    """
    if "temperature" in said and preflight.takes_temperature:
        return replace(preflight, takes_temperature=False)
    if "max_tokens" in said and preflight.length_parameter == "max_tokens":
        return replace(preflight, length_parameter="max_completion_tokens")
    if preflight.response_format == "json_schema":
        return replace(preflight, response_format="json_object")
    if preflight.response_format == "json_object":
        return replace(preflight, response_format="text")
    raise EndpointRefuses(f"{preflight.host} takes no form of our requests: {said}")
