"""XRPC over HTTP as the sandbox's servers speak it: error bodies, parameters, rate limits.

What does not belong here: any particular method.
Source: the HTTP API and rate limit pages of the AT Protocol's and Bluesky's documentation.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from bsky_sandbox.http_faults import FaultInjector, HttpFaults, Refused

Method = Callable[[web.Request], Awaitable[object]]
"""Answers a request with the body's JSON value, or with a file."""

_FAULTS = {
    429: ("RateLimitExceeded", "Rate Limit Exceeded"),
    500: ("InternalServerError", "Internal Server Error"),
    503: ("UpstreamFailure", "Upstream service unreachable"),
}


class XrpcError(Exception):
    """An error that goes to the client as `{error, message}`."""

    def __init__(
        self, status: int, error: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Take the HTTP status, the error's name in the lexicon, and a sentence."""
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message
        self.headers = headers or {}

    @classmethod
    def invalid_request(cls, message: str) -> "XrpcError":
        """The request does not keep to the lexicon."""
        return cls(400, "InvalidRequest", message)


@dataclass
class RateLimit:
    """So many requests of one client in a fixed window, told in RateLimit-* headers."""

    requests: int = 3000
    seconds: int = 300
    _windows: dict[str, tuple[float, int]] = field(default_factory=dict)

    def take(self, client: str) -> dict[str, str]:
        """Count a request of `client`; the headers for its answer.

        Raises:
            XrpcError: 429, with the headers and Retry-After, when it had its share.
        """
        start, used = self._windows.get(client, (time.time(), 0))
        if time.time() >= start + self.seconds:
            start, used = time.time(), 0
        used += 1
        self._windows[client] = (start, used)
        headers = {
            "RateLimit-Limit": str(self.requests),
            "RateLimit-Remaining": str(max(0, self.requests - used)),
            "RateLimit-Reset": str(int(start + self.seconds)),
            "RateLimit-Policy": f"{self.requests};w={self.seconds}",
        }
        if used > self.requests:
            wait = max(1, int(start + self.seconds - time.time()))
            headers["Retry-After"] = str(wait)
            raise XrpcError(429, "RateLimitExceeded", "Rate Limit Exceeded", headers)
        return headers


class XrpcServer:
    """Serves methods under `/xrpc/`. `injector.faults` can be replaced while it runs."""

    def __init__(self, faults: HttpFaults | None = None, limit: RateLimit | None = None) -> None:
        self.injector = FaultInjector(faults or HttpFaults())
        self.limit = limit or RateLimit()
        self._methods: dict[tuple[str, str], Method] = {}

    def query(self, nsid: str, method: Method) -> None:
        """Serve a query, which is a GET."""
        self._methods[nsid, "GET"] = method

    def procedure(self, nsid: str, method: Method) -> None:
        """Serve a procedure, which is a POST."""
        self._methods[nsid, "POST"] = method

    def app(self) -> web.Application:
        """The server as an application, to be run where the caller pleases."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/xrpc/_health", _health),
                *self.injector.routes(),
                web.route("*", "/xrpc/{nsid}", self._handle),
            ]
        )
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers: dict[str, str] = {}
        try:
            method = self._method(request)
            headers = self.limit.take(request.remote or "")
            await self.injector.meet(request)
            answer = await method(request)
        except XrpcError as error:
            return _error(error, headers)
        except Refused as refused:
            name, message = _FAULTS[refused.status]
            return _error(XrpcError(refused.status, name, message, refused.headers), headers)
        if isinstance(answer, web.StreamResponse):
            return answer
        body = orjson.dumps(answer)
        if self.injector.strikes(self.injector.faults.p_malformed):
            body = body[: len(body) // 2]
        return web.Response(body=body, headers=headers, content_type="application/json")

    def _method(self, request: web.Request) -> Method:
        nsid, verb = request.match_info["nsid"], request.method
        if method := self._methods.get((nsid, verb)):
            return method
        for other in ("GET", "POST"):
            if (nsid, other) in self._methods:
                message = f"Incorrect HTTP method ({verb}) expected {other}"
                raise XrpcError(405, "InvalidRequest", message)
        raise XrpcError(501, "MethodNotImplemented", "Method Not Implemented")


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"version": "bsky-assets sandbox"})


def _error(error: XrpcError, headers: Mapping[str, str]) -> web.Response:
    return web.json_response(
        {"error": error.error, "message": error.message},
        status=error.status,
        headers={**headers, **error.headers},
    )


def required(request: web.Request, name: str) -> str:
    """A parameter that the lexicon requires.

    Raises:
        XrpcError: it is missing or empty.
    """
    if value := request.query.get(name):
        return value
    raise XrpcError.invalid_request(f'Error: Params must have the property "{name}"')


def bounded(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    """An integer parameter, both bounds inclusive.

    Raises:
        XrpcError: it is no integer or out of bounds.
    """
    text = request.query.get(name, str(default))
    if not text.lstrip("-").isdecimal() or not text.isascii():
        raise XrpcError.invalid_request(f"Error: {name} must be an integer")
    value = int(text[:10])
    if value < least:
        raise XrpcError.invalid_request(f"Error: {name} can not be less than {least}")
    if value > most:
        raise XrpcError.invalid_request(f"Error: {name} can not be greater than {most}")
    return value


async def body_strings(request: web.Request, *names: str) -> tuple[str, ...]:
    """String properties that the lexicon requires of the body.

    Raises:
        XrpcError: the body is no JSON object, or lacks one.
    """
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise XrpcError.invalid_request("Unable to parse request body as JSON") from None
    if not isinstance(body, dict):
        raise XrpcError.invalid_request("Error: Input must be an object")
    for name in names:
        if name not in body:
            raise XrpcError.invalid_request(f'Error: Input must have the property "{name}"')
        if not isinstance(body[name], str):
            raise XrpcError.invalid_request(f"Error: Input/{name} must be a string")
    return tuple(body[name] for name in names)
