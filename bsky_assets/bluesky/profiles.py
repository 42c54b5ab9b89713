"""How many followers accounts have, as an AppView says.

Source: lexicon app.bsky.actor.getProfiles.
"""

from collections.abc import Iterable

from bsky_assets.bluesky.syntax import is_did
from bsky_assets.bluesky.xrpc import XrpcHost
from bsky_assets.settings import Settings

METHOD = "app.bsky.actor.getProfiles"
ACTORS_A_REQUEST = 25


def followers(settings: Settings, dids: Iterable[str]) -> dict[str, int]:
    """How many followers each of the accounts `dids` has; those that it does not show are left out.

    Raises:
        Refused: the AppView does not allow the question.
        Unanswered: it cannot be reached, or answers with nothing that can be read.
    """
    wanted = list(filter(is_did, dids))
    found: dict[str, int] = {}
    with XrpcHost(settings.appview_url, "BSKY_APPVIEW_URL") as host:
        for start in range(0, len(wanted), ACTORS_A_REQUEST):
            asked = wanted[start : start + ACTORS_A_REQUEST]
            answer = host.query(METHOD, {"actors": asked}, holding="profiles")
            for profile in answer["profiles"]:
                did, count = _read(profile)
                if did in asked and count is not None:
                    found[did] = count
    return found


def _read(profile: object) -> tuple[str | None, int | None]:
    if not isinstance(profile, dict):
        return None, None
    did, count = profile.get("did"), profile.get("followersCount")
    return (did if is_did(did) else None), (count if type(count) is int else None)
