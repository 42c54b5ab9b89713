"""Which network the stored posts are of: Bluesky itself, or the sandbox and its made-up posts.

It is kept beside them from the first reading on, and never changes, so that the two cannot mix.
What does not belong here: reading either.
"""

import orjson

from bsky_assets.errors import UserError
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.places import Folder, Place

FILE = "network.json"
LIVE, SANDBOX = "live", "sandbox"
_NAME = "network"
_CALLED = {LIVE: "posts of the live network", SANDBOX: "made-up posts of the sandbox"}


class OtherNetwork(UserError):
    """The data directory has posts of the sandbox and these hosts are live, or the reverse."""


def stored(place: Place) -> str | None:
    """Which network the posts in `place` are of; None where nothing was read into it."""
    try:
        found = orjson.loads(place.read(FILE))
    except (FileNotFoundError, NotADirectoryError, orjson.JSONDecodeError):
        return None
    name = found.get(_NAME) if isinstance(found, dict) else None
    return name if name in _CALLED else None


def keep(settings: Settings) -> None:
    """Make the network of the settings that of the data directory, and of the lake elsewhere.

    Whoever is about to bring in posts or labels calls it first.

    Raises:
        OtherNetwork: it has those of the other one.
        UnusableDataDirectory: it cannot be written to.
    """
    network = SANDBOX if settings.sandbox else LIVE
    places: list[Place] = [Folder(settings.data_dir)]
    if settings.lake_url:
        places.append(Lake.of(settings).place)
    for place in places:
        kept = stored(place)
        if kept not in (None, network):
            raise OtherNetwork(_problem(place, kept, network))
    for place in places:
        if stored(place) is None:
            place.write(FILE, orjson.dumps({_NAME: network}))


def _problem(place: Place, kept: str, network: str) -> str:
    return (
        f"{place.path(FILE)}: what is stored are {_CALLED[kept]}, and these would be "
        f"{_CALLED[network]}; leave BSKY_DATA_DIR (and BSKY_LAKE_URL) unset, or set it to another "
        f"folder than that of the {kept} data"
    )
