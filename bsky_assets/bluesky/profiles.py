"""Which accounts an AppView shows, and how many followers they have.

Source: lexicon app.bsky.actor.getProfiles.
"""

from collections.abc import Sequence

from bsky_assets.bluesky.syntax import is_did
from bsky_assets.bluesky.xrpc import XrpcHost

METHOD = "app.bsky.actor.getProfiles"
_ACTORS_A_REQUEST = 25


def followers(host: XrpcHost, dids: Sequence[str]) -> dict[str, int]:
    """How many followers each of the accounts `dids` has, 0 where it is not said.

    Those that the AppView does not show, because they are gone, are left out.

    Raises:
        Refused: the AppView does not allow the question.
        Unanswered: it cannot be reached, or answers with nothing that can be read.
    """
    wanted = [did for did in dids if is_did(did)]
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _ACTORS_A_REQUEST):
        asked = wanted[start : start + _ACTORS_A_REQUEST]
        answer = host.query(METHOD, {"actors": asked}, holding="profiles")
        shown = [profile for profile in answer["profiles"] if isinstance(profile, dict)]
        for profile in shown:
            if profile.get("did") in asked:
                count = profile.get("followersCount")
                found[profile["did"]] = count if type(count) is int else 0
    return found
