"""One OpenAI-compatible endpoint: asking it once, and telling apart the ways in which it fails.

The SDK's own retries are off. What does not belong here: what to do about a failure, which is
for `asking`, and finding out what the server is, which is for `preflight`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
from pydantic import SecretStr

from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import has_thoughts
from bsky_assets.labelling.asking.confidence import Token, tokens_of
from bsky_assets.settings import Settings, host_of, without_credentials

if TYPE_CHECKING:
    # The SDK takes seconds to import, and most processes ask nothing.
    import openai
    from openai.types.chat import ChatCompletion

CONNECT_SECONDS = 10.0
_UNTIL_DEADLINE = httpx2.Timeout(None, connect=CONNECT_SECONDS)
LOADING_SECONDS = 900.0
"""How long a server is waited for that says it is busy, since it may be loading a model."""
SILENT_TRIES = 3
"""So often a server is asked what it is before it is taken to be gone."""
TURNED_AWAY = (429, 503, 529)
_TURNED_AWAY = re.compile(r"overload|rate.?limit|loading|capacity|try again", re.IGNORECASE)
_LONGEST_RETRY_AFTER = 300.0
_TOO_LONG = re.compile(
    r"context[ _](?:length|size|window)|maximum context|too many tokens|prompt is too long"
    r"|exceed\w* .*(?:context|tokens)",
    re.IGNORECASE,
)
_SDK_PREFIX = re.compile(r"^Error code: \d+ - ")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")

T = TypeVar("T")


class EndpointUnreachable(UserError):
    """There is no endpoint, or it went away."""


class EndpointRefuses(UserError):
    """The endpoint does not take our requests at all: wrong key, model or address."""


class Waiting:
    """How long one has waited for a server, and for what."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._silent = 0

    async def for_load(self, host: str, reason: str) -> None:
        """Wait a little for a server that turns requests away.

        Raises:
            EndpointUnreachable: it has done so for `LOADING_SECONDS`.
        """
        waited = time.monotonic() - self._since
        if waited > LOADING_SECONDS:
            raise EndpointUnreachable(
                f"{host} is busy or still loading ({reason}); run again later"
            )
        await asyncio.sleep(min(max(waited / 4, 0.1), 5.0))

    async def for_sign_of_life(self, host: str, reason: str) -> None:
        """Wait a little for a server that did not answer.

        Raises:
            EndpointUnreachable: it did not `SILENT_TRIES` times.
        """
        self._silent += 1
        if self._silent >= SILENT_TRIES:
            raise EndpointUnreachable(
                f"{host} does not answer as it should ({reason}); run again later"
            )
        await asyncio.sleep(0.2 * self._silent)


class Failure(Exception):
    """A request that brought no answer; its text is a short reason for the ledger."""


class Busy(Failure):
    """The server turned the request away because of its load (429, 503)."""

    def __init__(self, reason: str, retry_after: float | None) -> None:
        """Take the seconds that the server asks to wait, if it does."""
        super().__init__(reason)
        self.retry_after = retry_after


class NoConnection(Failure):
    """The connection was refused, reset or closed without an answer."""


class TimedOut(Failure):
    """No answer in the time allowed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer in {seconds:.0f} s")
        self.seconds = seconds


class ServerFailed(Failure):
    """The server failed at this request (5xx)."""

    is_told = False
    """Whether it said so in a response that is otherwise a success."""


class ErrorInside(ServerFailed):
    """An error in the body of a response whose status is 200."""

    is_told = True


class TooLong(Failure):
    """The request does not fit the model's context."""


class Declined(Failure):
    """The server declined this content (a 4xx that is about these posts)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    content: str
    finish_reason: str | None
    refusal: str | None
    thoughts: str
    """What the model thought aloud, where the server keeps it apart; never an answer."""
    model: str | None
    """The model that answered, as the server says."""
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    fingerprint: str | None
    latency_seconds: float
    tokens: tuple[Token, ...] = ()
    """How likely what it wrote was, where that was asked and the server says it."""

    @property
    def cut_off(self) -> bool:
        """Whether the server stopped before the model did."""
        return self.finish_reason == "length"

    @property
    def shows_thoughts(self) -> bool:
        """Whether the model thought before it answered, or instead."""
        return bool(
            self.thoughts
            or has_thoughts(self.content)
            or (self.cut_off and not self.content.strip())
        )


@dataclass(frozen=True, slots=True)
class Service:
    """Where an endpoint is, and the variables that say so."""

    url: str
    api_key: SecretStr
    address: str
    """The variable that says where it is."""
    key: str
    """The variable of its key."""
    models: str
    """The variable that names its models."""
    how_to_start: str

    @classmethod
    def of_labels(cls, settings: Settings) -> Service:
        """The endpoint that labels posts."""
        how = (
            "start one with `ollama pull {model}` and `ollama serve`, or with "
            "`bsky-assets llm serve --gguf FILE`, or set BSKY_LLM_BASE_URL"
        )
        return cls(
            settings.llm_base_url,
            settings.llm_api_key,
            "BSKY_LLM_BASE_URL",
            "BSKY_LLM_API_KEY",
            "BSKY_LLM_MODELS",
            how,
        )

    @classmethod
    def of_embeddings(cls, settings: Settings) -> Service:
        """The endpoint that makes vectors of texts."""
        return cls(
            settings.embeddings_base_url or "",
            settings.embeddings_api_key,
            "BSKY_EMBEDDINGS_BASE_URL",
            "BSKY_EMBEDDINGS_API_KEY",
            "BSKY_EMBEDDINGS_MODEL",
            "start one with `ollama pull {model}` and `ollama serve`, or set "
            "BSKY_EMBEDDINGS_BASE_URL",
        )


@cache
def _tls(file: str | None, folder: str | None) -> ssl.SSLContext:
    """The certificates that are trusted, read once for each place where they may be."""
    return httpx2.create_ssl_context()


class Endpoint:
    """An endpoint; use it as an async context manager."""

    def __init__(self, service: Service, connections: int) -> None:
        """Look at the endpoint of `service`; up to `connections` requests can be in flight."""
        from openai import AsyncOpenAI, DefaultAioHttpClient

        self.service = service
        self.url, self._headers = without_credentials(service.url)
        self.host = host_of(self.url)
        # One session for the SDK and the few requests that it does not know.
        self.http = DefaultAioHttpClient(
            limits=httpx2.Limits(
                max_connections=connections + 4, max_keepalive_connections=connections + 4
            ),
            verify=_tls(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
        )
        self.client = AsyncOpenAI(
            base_url=self.url,
            default_headers=self._headers,
            api_key=service.api_key.get_secret_value() or "not-needed",
            max_retries=0,
            http_client=self.http,
        )

    async def __aenter__(self) -> Endpoint:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def ask(self, request: Mapping[str, Any], deadline: asyncio.Timeout) -> Reply:
        """The reply to `request`, the keyword arguments of a chat completion.

        `deadline` (from `asyncio.timeout`, not entered yet) may be moved meanwhile.

        Raises:
            Failure: there is none; its kind says what can be done about that.
            EndpointRefuses: it takes no such request at all.
        """
        started = time.monotonic()
        completion = await self._sent(
            self.client.chat.completions.create(**request, timeout=_UNTIL_DEADLINE), deadline
        )
        return _reply(completion, time.monotonic() - started)

    async def embed(
        self, model: str, texts: Sequence[str], deadline: asyncio.Timeout
    ) -> list[list[float]]:
        """A vector for each of `texts`, by `model`.

        Raises:
            Failure: there are none; its kind says what can be done about that.
            EndpointRefuses: it takes no such request at all.
        """
        made = await self._sent(
            self.client.embeddings.create(
                model=model, input=list(texts), encoding_format="float", timeout=_UNTIL_DEADLINE
            ),
            deadline,
        )
        try:
            vectors = {one.index: [float(number) for number in one.embedding] for one in made.data}
            return [vectors[place] for place in range(len(texts))]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ServerFailed("unreadable response: no vector for each text") from None

    async def _sent(self, request: Coroutine[Any, Any, T], deadline: asyncio.Timeout) -> T:
        """What comes of `request`, one of the SDK's, until `deadline`."""
        import openai

        started = time.monotonic()
        try:
            async with deadline:
                return await request
        except TimeoutError:
            raise TimedOut(time.monotonic() - started) from None
        except openai.APIStatusError as error:
            raise self._failure(error) from None
        except openai.APIConnectionError as error:
            raise NoConnection(_cause(error)) from None
        except openai.APIError as error:
            raise ServerFailed(f"unreadable response: {type(error).__name__}") from None
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise ServerFailed("unreadable response: not JSON") from None

    async def get_json(self, url: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON at `url` on this server, or None where there is none; `body` is posted.

        That a server does not answer for the moment does not mean that there is none: it is waited
        for, since it may be loading a model.

        Raises:
            EndpointUnreachable: it does not answer in the end.
        """
        headers = {**self.client.auth_headers, **self._headers}
        waiting = Waiting()
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    response = await self.http.request(
                        "POST" if body else "GET", url, headers=headers, json=body
                    )
                if response.status_code not in TURNED_AWAY:
                    return response.json() if response.is_success else None
                await waiting.for_load(self.host, str(response.status_code))
            except ValueError:
                return None
            except (TimeoutError, httpx2.HTTPError) as error:
                await waiting.for_sign_of_life(self.host, _cause(error))

    def _failure(self, error: openai.APIStatusError) -> Exception:
        status = error.status_code
        said = _SDK_PREFIX.sub("", error.message).replace(self.client.api_key, "***")
        said = shorten(said)
        if error.code == "insufficient_quota":
            return EndpointRefuses(f"{self.host}: the account's quota is used up; {said}")
        if status in TURNED_AWAY:
            return Busy(f"{status}: {said}", _retry_after(error.response.headers))
        if status == 408 or status >= 500:
            return TooLong(said) if _TOO_LONG.search(said) else ServerFailed(f"{status}: {said}")
        if status in (401, 403):
            return EndpointRefuses(
                f"{self.host} refuses the key ({status}); set {self.service.key} to one "
                "that it knows"
            )
        if status in (404, 405):
            return EndpointRefuses(
                f"{self.host} does not serve this ({status}: {said}); check "
                f"{self.service.address} (it usually ends in /v1) and {self.service.models}"
            )
        if status == 413 or _TOO_LONG.search(said):
            return TooLong(f"{status}: {said}")
        return Declined(f"{status}: {said}")


def shorten(text: str, characters: int = 200) -> str:
    """`text`, which a server wrote, fit for a log: one line of plain ASCII, and short."""
    return _UNPRINTABLE.sub(" ", text)[:characters].strip()


def _reply(completion: ChatCompletion, latency: float) -> Reply:
    from openai.types.chat import ChatCompletion

    if not isinstance(completion, ChatCompletion):
        raise ServerFailed("unreadable response: no completion")
    if error := (completion.model_extra or {}).get("error"):
        raise _error_inside(error)
    if not completion.choices or not completion.choices[0].message:
        raise ServerFailed("unreadable response: no choices")
    choice, usage = completion.choices[0], completion.usage
    message = choice.message
    details = usage.prompt_tokens_details if usage else None
    more = message.model_extra or {}
    return Reply(
        content=_text(message.content),
        finish_reason=choice.finish_reason,
        refusal=message.refusal,
        thoughts=_text(more.get("reasoning_content") or more.get("reasoning")),
        model=shorten(completion.model) if isinstance(completion.model, str) else None,
        # No server reads nothing: where it says so, it does not know.
        prompt_tokens=(usage.prompt_tokens or None) if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        cached_tokens=details.cached_tokens if details else None,
        fingerprint=completion.system_fingerprint,
        latency_seconds=latency,
        tokens=tokens_of(choice.logprobs),
    )


def _text(content: Any) -> str:
    """The text of a message, which some servers give in chunks."""
    if isinstance(content, str):
        return content
    chunks = content if isinstance(content, list) else []
    texts = (chunk.get("text") if isinstance(chunk, dict) else chunk for chunk in chunks)
    return "".join(text for text in texts if isinstance(text, str))


def _error_inside(error: Any) -> Failure:
    """The failure that a response tells of in spite of its status."""
    told = error if isinstance(error, dict) else {"message": error}
    said = shorten(f"200 with an error inside: {told.get('message')}")
    if told.get("code") in TURNED_AWAY or _TURNED_AWAY.search(said):
        return Busy(said, None)
    return ErrorInside(said)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return shorten(f"{type(error).__name__}: {error}")
