"""The timezone of sync days belongs to what is stored: it is kept beside it and never changes.

What was stored before it was kept takes on that of the settings with its next file.
"""

import orjson

from bsky_assets.errors import UserError
from bsky_assets.storage.places import Place

FILE = "timezone.json"
_NAME = "sync_timezone"


class OtherTimezone(UserError):
    """What is stored has sync days of another timezone than the settings say."""


def stored(place: Place) -> str | None:
    """The timezone that is kept in `place`; None where there is none, or it cannot be read."""
    try:
        found = orjson.loads(place.read(FILE))
    except (FileNotFoundError, NotADirectoryError, orjson.JSONDecodeError):
        return None
    name = found.get(_NAME) if isinstance(found, dict) else None
    return name if isinstance(name, str) else None


def check(place: Place, timezone: str) -> None:
    """Make sure that what is stored in `place`, if anything, has sync days of `timezone`.

    Raises:
        OtherTimezone: it has those of another.
    """
    kept = stored(place)
    if kept not in (None, timezone):
        raise OtherTimezone(
            f"BSKY_SYNC_TIMEZONE is {timezone}, and the sync days stored are of {kept} "
            f"({place.path(FILE)}); set BSKY_SYNC_TIMEZONE={kept}, or BSKY_DATA_DIR (and "
            "BSKY_LAKE_URL) to another place"
        )


def keep(place: Place, timezone: str) -> None:
    """Make `timezone` that of what is stored in `place` from now on, unless it has one.

    Raises:
        OtherTimezone: it has another.
        UnusableDataDirectory: the folder cannot be written to.
    """
    check(place, timezone)
    if stored(place) is None:
        place.write(FILE, orjson.dumps({_NAME: timezone}))
