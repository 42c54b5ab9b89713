"""Asking an XRPC host over HTTP, with patience: what is worth retrying, and how long to wait.

Answers are parsed as JSON and nothing more, so that one odd value cannot cost a whole answer.
What does not belong here: what any method's answer means.

Source: https://atproto.com/specs/xrpc (errors, rate limits).
"""

import json
import math
import os
import ssl
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Self, TypeVar

import httpx
import orjson
import stamina

from bsky_assets.bluesky.json_text import deep_json
from bsky_assets.errors import UserError
from bsky_assets.settings import host_of, without_credentials

Params = Mapping[str, str | int | list[str]]
Answer = TypeVar("Answer")

_TIMEOUT = httpx.Timeout(30, connect=10)
ATTEMPTS = 6
LONGEST_WAIT = 330.0
"""Seconds; rate limits are counted over windows of five minutes."""

_SIGN_IN_CODES = {"AuthMissing", "AuthenticationRequired", "AuthRequired", "ExpiredToken"}


class Unanswered(UserError):
    """The host cannot be reached, or keeps answering with nothing that can be read."""


class Refused(UserError):
    """The host says no, and asking again would not help."""

    def __init__(self, message: str, status: int, code: str) -> None:
        """Keep the HTTP status and the XRPC error name beside the message."""
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def needs_session(self) -> bool:
        """Whether it was refused for want of a valid session."""
        return self.status in (401, 403) or self.code in _SIGN_IN_CODES


class _Passing(Exception):
    """Something that may be over in a moment; `wait` is what the host asks for, in seconds."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


@cache
def _tls(file: str | None, folder: str | None) -> ssl.SSLContext:
    """The certificates that are trusted, read once for each place where they may be."""
    return httpx.create_ssl_context()


class XrpcHost:
    """One host and the headers that it is asked with; safe to use from several threads."""

    def __init__(
        self,
        url: str,
        variable: str,
        headers: Mapping[str, str] | None = None,
        *,
        follow_redirects: bool = True,
    ) -> None:
        """Ask `url`; `variable` is the setting that a person would change to ask another."""
        address, credentials = without_credentials(url)
        self.url = address.rstrip("/")
        self._variable = variable
        sent = {**credentials, **(headers or {})}
        tls = _tls(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        self._client = httpx.Client(
            headers=sent, timeout=_TIMEOUT, follow_redirects=follow_redirects, verify=tls
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def name(self) -> str:
        """Host and port, as rows name where they came from."""
        return host_of(self.url)

    def query(self, method: str, params: Params, *, holding: str) -> dict[str, Any]:
        """The JSON object, with a list `holding` in it, that the host answers `method` with.

        Raises:
            Refused: the host answers with a 4xx error.
            Unanswered: after several attempts there is still no such object.
        """
        asked = self._client.build_request("GET", self._address(method), params=dict(params))
        return self._patiently(method, lambda: _listing(self._send(method, asked), holding))

    def procedure(self, method: str, body: Mapping[str, Any], *, holding: str) -> dict[str, Any]:
        """The same of a procedure, whose input is `body` as JSON; it must be harmless twice.

        Raises:
            Refused, Unanswered: as of `query`.
        """
        asked = self._client.build_request("POST", self._address(method), json=dict(body))
        return self._patiently(method, lambda: _listing(self._send(method, asked), holding))

    def file(
        self, method: str, params: Params, headers: Mapping[str, str], *, most: int
    ) -> httpx.Response:
        """The answer to a query for a file, or a part of one, of at most `most` bytes.

        Raises:
            Refused, Unanswered: as of `query`; an answer that is cut off or too long is none.
        """
        asked = self._client.build_request(
            "GET", self._address(method), params=dict(params), headers=dict(headers)
        )
        return self._patiently(method, lambda: self._send(method, asked, most))

    def document(self, path: str, *, most: int) -> dict[str, Any]:
        """The JSON object of at most `most` bytes at a path of the host that is no method.

        Raises:
            Refused, Unanswered: as of `query`.
        """
        asked = self._client.build_request("GET", f"{self.url}{path}")

        def ask() -> dict[str, Any]:
            content = parse_json(self._send(path, asked, most).content)
            if not isinstance(content, dict):
                raise _Passing("answers with something that is no JSON object")
            return content

        return self._patiently(path, ask)

    def _address(self, method: str) -> str:
        return f"{self.url}/xrpc/{method}"

    def _patiently(self, method: str, ask: Callable[[], Answer]) -> Answer:
        """What `ask` returns once it raises nothing passing any more."""
        attempts = 0
        try:
            for attempt in stamina.retry_context(
                on=_how_long_to_wait,
                attempts=ATTEMPTS,
                timeout=3 * LONGEST_WAIT,
                wait_initial=0.2,
                wait_jitter=0.2,
            ):
                attempts = attempt.num
                with attempt:
                    return ask()
        except _Passing as failure:
            raise Unanswered(
                f"{method} at {self.url}: {failure} (attempt {attempts}); "
                f"try again later, or check {self._variable}"
            ) from None
        raise AssertionError("a retry context returns or raises")

    def _send(self, method: str, request: httpx.Request, most: int | None = None) -> httpx.Response:
        """The answer, read whole, if it is not an error."""
        try:
            response = self._client.send(request, stream=True)
            try:
                _read(response, most)
            finally:
                response.close()
        except httpx.TransportError as error:
            raise _Passing(_one_line(str(error)) or type(error).__name__) from error
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise _Passing("answers that there were too many requests", _requested_wait(response))
        if response.is_server_error:
            raise _Passing(_answer(response), _requested_wait(response))
        if not response.is_success:
            code, _ = _error(response)
            raise Refused(f"{method} at {self.url} {_answer(response)}", response.status_code, code)
        return response


def _read(response: httpx.Response, most: int | None) -> None:
    """Read the body; one of more than `most` bytes is not read to its end."""
    if most is None:
        response.read()
        return
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > most:
            raise _Passing(f"answers with more than {most:,} bytes")
    response._content = bytes(content)  # where `read` puts it, too


def _listing(response: httpx.Response, holding: str) -> dict[str, Any]:
    content = parse_json(response.content)
    if not isinstance(content, dict) or not isinstance(content.get(holding), list):
        raise _Passing(f"answers with something that is not JSON with a list `{holding}`")
    return content


def parse_json(content: bytes) -> Any:
    """The value that `content` holds, or None where it holds no JSON.

    Bytes that are not UTF-8 and escaped lone surrogates cost nothing but the strings they
    stand in: those come out with surrogates in them, and do not encode.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            return json.loads(content.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError):
            return None


def as_bytes(value: Any) -> bytes:
    """`value`, parsed by `parse_json`, as JSON again, bytes that are not UTF-8 included."""
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return json.dumps(value).encode()
    except RecursionError:
        return deep_json(value).encode()


def _how_long_to_wait(error: Exception) -> bool | float:
    if not isinstance(error, _Passing):
        return False
    if error.wait is None:
        return True
    return error.wait if error.wait <= LONGEST_WAIT else False


def _requested_wait(response: httpx.Response) -> float | None:
    """Seconds that the host asks for, in Retry-After or, being over a limit, RateLimit-Reset."""
    readers = {"retry-after": _seconds_after}
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        readers["ratelimit-reset"] = _seconds_to
    for header, seconds_of in readers.items():
        try:
            seconds = seconds_of(response.headers[header])
        except (KeyError, ValueError, OverflowError):
            continue
        if math.isfinite(seconds):
            return max(seconds, 0.0)
    return None


def _seconds_after(value: str) -> float:
    """Retry-After: seconds, or a date."""
    try:
        return float(value)
    except ValueError:
        return parsedate_to_datetime(value).timestamp() - time.time()


def _seconds_to(value: str) -> float:
    """RateLimit-Reset: seconds since the epoch."""
    return float(value) - time.time()


def _error(response: httpx.Response) -> tuple[str, str]:
    """The XRPC error name and message of an answer; empty where it has none."""
    content = parse_json(response.content)
    if not isinstance(content, dict):
        return "", ""
    return _one_line(str(content.get("error", ""))), _one_line(str(content.get("message", "")))


def _answer(response: httpx.Response) -> str:
    code, message = _error(response)
    return f"answers {response.status_code}" + "".join(f" {part}" for part in (code, message))


def _one_line(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:200]
