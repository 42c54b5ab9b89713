"""Sessions of the sandbox's accounts: com.atproto.server.createSession and its kin.

Tokens are JWTs signed with a key of this process, so that they look and expire as real ones
and are worth nothing anywhere else.
What does not belong here: HTTP routes and what a session lets one see.
"""

import base64
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from bsky_sandbox.xrpc import RateLimit, XrpcError, body_strings

APP_PASSWORD = "sand-box1-only-here"  # noqa: S105 -- opens nothing but the sandbox's accounts
"""What every account of the sandbox logs in with."""

_ACCESS, _REFRESH = "com.atproto.appPass", "com.atproto.refresh"
_TYPES = {_ACCESS: "at+jwt", _REFRESH: "refresh+jwt"}
_REFRESH_SECONDS = 90 * 24 * 3600


class Sessions:
    """Creates, checks and renews sessions."""

    def __init__(self, handles: Mapping[str, str], *, seconds: float = 7200) -> None:
        """Let the accounts of `handles` (handle by DID) log in, each time for `seconds`."""
        self.logins = 0
        """How many sessions were created by password."""
        self.now: Callable[[], float] = time.time
        """The clock by which sessions are issued and expire."""
        self._handles = handles
        self._dids = {handle: did for did, handle in handles.items()}
        self._seconds = seconds
        self._key = secrets.token_bytes(32)
        self._used: set[str] = set()
        self._limit = RateLimit(requests=30, seconds=300)

    async def create(self, request: web.Request) -> dict[str, Any]:
        """createSession.

        Raises:
            XrpcError: no such account or another password, or more than 30 tries in 5 minutes.
        """
        identifier, password = await body_strings(request, "identifier", "password")
        self._limit.take(identifier)
        name = identifier.removeprefix("@").lower()
        did = self._dids.get(name, name)
        known = did in self._handles
        if not known or not hmac.compare_digest(password.encode(), APP_PASSWORD.encode()):
            raise XrpcError(401, "AuthenticationRequired", "Invalid identifier or password")
        self.logins += 1
        return {**self._describe(did, request), **self._tokens(did)}

    async def refresh(self, request: web.Request) -> dict[str, Any]:
        """refreshSession: a new pair of tokens for a refresh token, which is then used up.

        Raises:
            XrpcError: the refresh token is missing, not one, expired or used up.
        """
        claims = self._claims(request, _REFRESH)
        if claims["jti"] in self._used:
            raise XrpcError(400, "ExpiredToken", "Token has been revoked")
        self._used.add(claims["jti"])
        return {**self._describe(claims["sub"], request), **self._tokens(claims["sub"])}

    async def get(self, request: web.Request) -> dict[str, Any]:
        """getSession.

        Raises:
            XrpcError: the access token is missing, not one or expired.
        """
        return self._describe(self.require(request), request)

    def viewer(self, request: web.Request) -> str | None:
        """The DID whose session the request is made in; None without one.

        Raises:
            XrpcError: it carries a token that is not one or expired.
        """
        is_session = request.headers.get("Authorization", "").startswith("Bearer ")
        return self.require(request) if is_session else None

    def require(self, request: web.Request) -> str:
        """The DID whose session the request is made in.

        Raises:
            XrpcError: the access token is missing, not one or expired.
        """
        return str(self._claims(request, _ACCESS)["sub"])

    def _describe(self, did: str, request: web.Request) -> dict[str, Any]:
        service = {
            "id": "#atproto_pds",
            "type": "AtprotoPersonalDataServer",
            "serviceEndpoint": str(request.url.origin()),
        }
        handle = self._handles[did]
        document = {
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": did,
            "alsoKnownAs": [f"at://{handle}"],
            "service": [service],
        }
        return {"did": did, "handle": handle, "active": True, "didDoc": document}

    def _tokens(self, did: str) -> dict[str, str]:
        return {
            "accessJwt": self._sign(_ACCESS, did, self._seconds),
            "refreshJwt": self._sign(_REFRESH, did, _REFRESH_SECONDS),
        }

    def _sign(self, scope: str, did: str, seconds: float) -> str:
        issued = int(self.now())
        claims = {
            "scope": scope,
            "sub": did,
            "iat": issued,
            "exp": int(issued + seconds),
            "aud": "did:web:sandbox.invalid",
            "jti": secrets.token_urlsafe(16),
        }
        parts = _encode({"typ": _TYPES[scope], "alg": "HS256"}), _encode(claims)
        return ".".join((*parts, self._signature(".".join(parts))))

    def _signature(self, signed: str) -> str:
        return _base64(hmac.digest(self._key, signed.encode(), "sha256"))

    def _claims(self, request: web.Request, scope: str) -> dict[str, Any]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise XrpcError(401, "AuthMissing", "Authentication Required")
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            raise XrpcError(400, "InvalidToken", "Token could not be verified")
        payload = signed.partition(".")[2]
        claims: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + "=="))
        if claims["scope"] != scope:
            raise XrpcError(400, "InvalidToken", "Bad token scope")
        if claims["exp"] <= self.now():
            raise XrpcError(400, "ExpiredToken", "Token has expired")
        return claims


def _encode(part: dict[str, Any]) -> str:
    return _base64(orjson.dumps(part))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
