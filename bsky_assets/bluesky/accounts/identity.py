"""An account's DID document: where its repository is, and by which key it is signed.

A document is the word of a stranger. No host is asked that it names unless it is a public one, by
name and over TLS; but a directory on this machine may name others on it.
What does not belong here: asking for the repository.

Source: https://atproto.com/specs/did, https://web.plc.directory/spec/v0.1/did-plc.
"""

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from atproto_core.did_doc import DidDocument
from pydantic import ValidationError

from bsky_assets.bluesky.syntax import is_did, is_handle
from bsky_assets.bluesky.xrpc import Refused, Unanswered, XrpcHost
from bsky_assets.errors import UserError
from bsky_assets.settings import Settings

VARIABLE = "BSKY_PLC_URL"
_MOST_BYTES = 2**20
_NOT_PUBLIC = ("localhost", "local", "internal", "test", "example", "invalid", "onion", "arpa")
"""Last labels of names that are nobody's on the public network."""
_WEB = "did:web:"


class NoRepository(UserError):
    """An account's repository cannot be had, or is not believed; the message says why."""


@dataclass(frozen=True)
class Identity:
    """What an account's document says."""

    did: str
    pds: str
    """URL of the host of its repository."""
    key: str
    """Its signing key, as a did:key."""


class Directory:
    """The PLC directory of the settings, and did:web; safe to use from several threads."""

    def __init__(self, url: str) -> None:
        """Ask the directory at `url`."""
        self._host = XrpcHost(url, VARIABLE)
        self._is_local = not is_public(url)
        self._is_down = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The one of the settings."""
        return cls(settings.plc_url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._host.__exit__()

    def identity(self, did: str) -> Identity:
        """What the document of `did` says.

        Raises:
            NoRepository: there is none, or it names no host that may be asked, or no key.
        """
        if not is_did(did):
            raise NoRepository("it is no DID")
        told = self._document(did)
        try:
            document = DidDocument.from_dict(told)
            pds, key = document.get_pds_endpoint(), document.get_did_key()
        except (ValidationError, ValueError, TypeError):
            raise NoRepository("its DID document cannot be read") from None
        if document.id != did or not pds or not key:
            raise NoRepository("its DID document does not name its host and its key")
        if not (self._is_local or is_public(pds)):
            raise NoRepository("its DID document names a host that is not public")
        return Identity(did, pds, key)

    def _document(self, did: str) -> dict[str, object]:
        try:
            if did.startswith(_WEB):
                return _of_web(did.removeprefix(_WEB))
            return self._registered(did)
        except (Refused, Unanswered):
            raise NoRepository("its DID document cannot be had") from None

    def _registered(self, did: str) -> dict[str, object]:
        """The directory's document; one that does not answer is not waited for again."""
        if self._is_down:
            raise NoRepository("the directory of accounts does not answer")
        try:
            return self._host.document(f"/{did}", most=_MOST_BYTES)
        except Unanswered:
            self._is_down = True
            raise


def _of_web(name: str) -> dict[str, object]:
    url = f"https://{name}"
    if not is_handle(name) or not is_public(url):
        raise NoRepository("its did:web is of a host that is not public")
    with XrpcHost(url, VARIABLE, follow_redirects=False) as host:
        return host.document("/.well-known/did.json", most=_MOST_BYTES)


def is_public(url: str) -> bool:
    """Whether `url` is of a host on the public network, by its name and over TLS."""
    try:
        parts = urlsplit(url)
        name = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    if parts.scheme != "https" or "." not in name or name.rpartition(".")[2] in _NOT_PUBLIC:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return not name.rpartition(".")[2].isdecimal()
    return False
