"""A session of the account that reads feeds which are not open to everyone.

It is kept in the data directory, readable by its owner alone, so that a run does not sign in
anew each time: hosts allow few sign-ins a day. Neither it nor the password is ever logged.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import stamina

from bsky_assets.errors import UserError
from bsky_assets.settings import Settings, host_of, without_credentials
from bsky_assets.storage.files import staged

if TYPE_CHECKING:
    # The SDK takes seconds to import, and few read feeds as an account.
    from atproto import Client, Session

_ENTRYWAY = "https://bsky.social"
"""Where accounts of the network's own AppViews sign in; those take no passwords themselves."""

_OPEN_APPVIEWS = {"public.api.bsky.app", "api.bsky.app"}
_TIMEOUT_SECONDS = 30.0


class SignInFailed(UserError):
    """There is no session to be had with what the settings say."""


@dataclass(frozen=True)
class SignedIn:
    """Where to ask as the account, and how to show that it is the account."""

    host: str
    headers: Mapping[str, str]


def sign_in(settings: Settings) -> SignedIn | None:
    """A session of the account that the settings name; None where they name none.

    Raises:
        SignInFailed: half of handle and password is missing, or the host refuses them.
        UnusableDataDirectory: the session cannot be kept.
    """
    if settings.handle is None and settings.app_password is None:
        return None
    if settings.handle is None or settings.app_password is None:
        missing = "BSKY_HANDLE" if settings.handle is None else "BSKY_APP_PASSWORD"
        raise SignInFailed(f"{missing} is not set: a session needs BSKY_HANDLE and its password")
    host = _sign_in_host(settings.appview_url)
    kept = _Kept(settings.data_dir / "session", host, settings.handle)
    session = _resume(host, kept) or _start(
        host, kept, settings.handle, settings.app_password.get_secret_value()
    )
    endpoint = (session.pds_endpoint or host).removesuffix("/xrpc")
    return SignedIn(endpoint, {"Authorization": f"Bearer {session.access_jwt}"})


def _sign_in_host(appview_url: str) -> str:
    if host_of(appview_url) in _OPEN_APPVIEWS:
        return _ENTRYWAY
    address, _ = without_credentials(appview_url)  # a session has an Authorization of its own
    return address


@dataclass(frozen=True)
class _Kept:
    """The file that keeps the session of one handle at one host."""

    path: Path
    host: str
    handle: str

    def read(self) -> str | None:
        try:
            stored = orjson.loads(self.path.read_bytes())
            return (
                str(stored["session"])
                if (stored["host"], stored["handle"]) == (self.host, self.handle)
                else None
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, session: Session) -> None:
        content = {"host": self.host, "handle": self.handle, "session": session.export()}
        with staged(self.path) as path:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(orjson.dumps(content))


def _client(host: str, sessions: list[Session], kept: _Kept) -> Client:
    from atproto import Client, Request

    client = Client(host, request=Request(timeout=_TIMEOUT_SECONDS))

    def keep(_: object, session: Session) -> None:
        sessions.append(session)
        kept.write(session)

    client.on_session_change(keep)
    return client


def _resume(host: str, kept: _Kept) -> Session | None:
    """The kept session, refreshed where it is about to end; None where it is no good any more."""
    from atproto.exceptions import AtProtocolError

    if (stored := kept.read()) is None:
        return None
    sessions: list[Session] = []
    client = _client(host, sessions, kept)
    try:
        client.login(session_string=stored, fetch_bsky_profile=False)
        client.com.atproto.server.get_session()
    except (AtProtocolError, ValueError):
        return None
    return sessions[-1]


def _start(host: str, kept: _Kept, handle: str, password: str) -> Session:
    from atproto.exceptions import (
        AtProtocolError,
        BadRequestError,
        NetworkError,
        RateLimitExceededError,
        UnauthorizedError,
    )

    sessions: list[Session] = []
    client = _client(host, sessions, kept)
    try:
        for attempt in stamina.retry_context(on=NetworkError, attempts=4, wait_jitter=0.2):
            with attempt:
                client.login(handle, password, fetch_bsky_profile=False)
    except (UnauthorizedError, BadRequestError):
        raise SignInFailed(
            f"{host} refuses BSKY_HANDLE with BSKY_APP_PASSWORD: check both, or make a new app "
            "password in the app under Settings, Privacy and Security"
        ) from None
    except RateLimitExceededError:
        raise SignInFailed(f"{host} allows no more sign-ins for now; try again later") from None
    except AtProtocolError as error:
        raise SignInFailed(
            f"cannot sign in at {host} ({type(error).__name__}); try again later, or check "
            "BSKY_APPVIEW_URL"
        ) from None
    return sessions[-1]
