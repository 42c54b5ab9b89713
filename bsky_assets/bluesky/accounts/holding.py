"""Asking for the repositories of many accounts, each of the host that its document names.

What does not belong here: what becomes of their records.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bsky_assets.bluesky.accounts.identity import VARIABLE, Directory, NoRepository
from bsky_assets.bluesky.accounts.repository import Repository, read_repository
from bsky_assets.bluesky.archive.fetching import Budget
from bsky_assets.bluesky.records import POST
from bsky_assets.bluesky.xrpc import Refused, Unanswered, XrpcHost
from bsky_assets.settings import host_of

METHOD = "com.atproto.sync.getRepo"
AT_ONCE = 4
MOST_BYTES = 256 * 2**20
"""Of one repository; a larger one is not read."""
_GONE = {
    "RepoNotFound": "its host has no such repository",
    "RepoTakendown": "the account is taken down",
    "RepoSuspended": "the account is suspended",
    "RepoDeactivated": "the account is deactivated",
}
"""By error of the lexicon."""


@dataclass(frozen=True)
class Answer:
    """What came of asking for an account's repository."""

    did: str
    host: str | None
    """None where its document does not name one."""
    repository: Repository | None
    reason: str | None = None
    """Why there is none."""


def repositories(directory: Directory, dids: Sequence[str], budget: Budget) -> Iterator[Answer]:
    """The posts' repositories of `dids`, in order, each when it is there.

    Raises:
        ArchiveBudget: more would be fetched than may be.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            yield from pool.map(lambda did: _ask(directory, did, budget), dids)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _ask(directory: Directory, did: str, budget: Budget) -> Answer:
    name = None
    try:
        identity = directory.identity(did)
        name = host_of(identity.pds)
        with XrpcHost(identity.pds, VARIABLE, follow_redirects=False) as host:
            content = host.file(METHOD, {"did": did}, {}, most=MOST_BYTES).content
        budget.spend(len(content))
        return Answer(did, name, read_repository(content, identity, POST))
    except NoRepository as problem:
        return Answer(did, name, None, str(problem))
    except Refused as refusal:
        reason = _GONE.get(refusal.code, f"its host refuses with {refusal.status}")
        return Answer(did, name, None, reason)
    except Unanswered:
        return Answer(did, name, None, "its host does not send its repository")
