"""What an endpoint is, before a day's posts go to it.

First without asking the model anything: whether it is there, what software it is, whether it has
the model and what identifies the model's weights. Then one question, whose only allowed answers
are nonsense: a server that enforces schemas gives one of them, and any other is found out.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import httpx2
import openai

from bsky_assets.errors import UserError
from bsky_assets.labelling.endpoint import (
    Busy,
    Declined,
    Endpoint,
    EndpointRefuses,
    EndpointUnreachable,
    Failure,
    NoConnection,
    Reply,
    ServerFailed,
    shorten,
)

HOW_TO_START = (
    "start one with `ollama pull {model}` and `ollama serve`, or with "
    "`bsky-assets llm serve --gguf FILE`, or set BSKY_LLM_BASE_URL"
)
NONSENSE = ("qx-teapot-17", "zv-walrus-94")
PROBE_SECONDS = (30.0, 60.0, 120.0, 300.0, 300.0)
"""How long to wait, try by try: a model may first have to be loaded from disk."""

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
    fingerprint: str | None = None

    @property
    def endpoint(self) -> str:
        """Kind and host, for the ledger."""
        return f"{self.server}@{self.host}"

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
        return chosen


async def identify(endpoint: Endpoint, model: str) -> Preflight:
    """Find out what `endpoint` is and which weights `model` has there, without asking the model.

    Raises:
        EndpointUnreachable: nothing answers at its address.
        EndpointRefuses: it wants another key.
        NoSuchModel: it lists its models, and `model` is not among them.
    """
    cards = await _cards(endpoint, model)
    card = _find(cards, model, endpoint.host)
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
    )


async def probe(endpoint: Endpoint, found: Preflight) -> Preflight:
    """Ask the model one thing, to learn how the endpoint must be asked and if it keeps schemas.

    Raises:
        EndpointUnreachable: it does not answer.
        EndpointRefuses: it takes no form of the question.
    """
    for _ in range(_FORMS):
        try:
            reply = await _ask_nonsense(endpoint, found)
        except Declined as declined:
            found = _give_way(found, str(declined))
            continue
        return replace(
            found,
            enforces_schema=found.response_format == "json_schema"
            and any(word in reply.content for word in NONSENSE),
            fingerprint=reply.fingerprint,
        )
    raise EndpointRefuses(f"{found.host} takes no form of our requests")


async def _cards(endpoint: Endpoint, model: str) -> list[Mapping[str, Any]]:
    try:
        async with asyncio.timeout(PROBE_SECONDS[0]):
            listed = await endpoint.client.models.list(timeout=httpx2.Timeout(30, connect=10))
        return [card.model_dump() for card in listed.data or ()]
    except (TimeoutError, openai.APIConnectionError):
        start = HOW_TO_START.format(model=model)
        raise EndpointUnreachable(
            f"no language model answers at {endpoint.host}; {start}"
        ) from None
    except openai.APIStatusError as error:
        if error.status_code in (401, 403):
            raise EndpointRefuses(
                f"{endpoint.host} refuses the key ({error.status_code}); set BSKY_LLM_API_KEY to "
                "one that it knows"
            ) from None
        return []
    except (openai.APIError, ValueError):
        return []


def _find(cards: list[Mapping[str, Any]], model: str, host: str) -> Mapping[str, Any]:
    """The card of `model`; a server that lists none is taken at its word when it is asked."""
    names = (model, f"{model}:latest")
    for card in cards:
        if card.get("id") in names:
            return card
    if cards:
        have = shorten(", ".join(str(card.get("id")) for card in cards))
        raise NoSuchModel(
            f"{host} has no model {model!r}; it has {have}: set BSKY_LLM_MODELS, or get the "
            f"model, with Ollama by `ollama pull {model}`"
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
    listed = tags.get("models") if isinstance(tags, dict) else None
    for tagged in listed if isinstance(listed, list) else ():
        if tagged.get("name") in (model, f"{model}:latest") and tagged.get("digest"):
            return f"sha256:{str(tagged['digest']).removeprefix('sha256:')}"
    named = _DIGEST.search(str(card))
    return named.group() if named else None


async def _ask_nonsense(endpoint: Endpoint, found: Preflight) -> Reply:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": [*NONSENSE]}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    json_schema = {"name": "probe", "strict": True, "schema": schema}
    wanted = {"type": "json_schema", "json_schema": json_schema}
    request = found.options(wanted, temperature=0.0, tokens=200)
    request["messages"] = [
        {"role": "system", "content": "Answer in JSON."},
        {"role": "user", "content": 'What colour is the sky? Answer {"answer": "<colour>"}.'},
    ]
    for attempt, seconds in enumerate(PROBE_SECONDS):
        try:
            return await endpoint.ask(request, asyncio.timeout(seconds))
        except Declined:
            raise
        except (Busy, ServerFailed, NoConnection) as failure:
            reason: Failure = failure
            await asyncio.sleep(min(0.2 * 2**attempt, 5.0))
        except Failure as failure:
            reason = failure
    if isinstance(reason, ServerFailed):
        raise Declined(str(reason))
    raise EndpointUnreachable(f"{found.host} does not answer ({reason}); run again later")


def _give_way(found: Preflight, said: str) -> Preflight:
    """How to ask next, after the endpoint said that it does not take this form.

    Raises:
        EndpointRefuses: there is no other form.
    """
    if "temperature" in said and found.takes_temperature:
        return replace(found, takes_temperature=False)
    if "max_tokens" in said and found.length_parameter == "max_tokens":
        return replace(found, length_parameter="max_completion_tokens")
    if found.response_format == "json_schema":
        return replace(found, response_format="json_object")
    if found.response_format == "json_object":
        return replace(found, response_format="text")
    raise EndpointRefuses(f"{found.host} takes no form of our requests: {said}")
