"""A list of accounts, as a person writes it: a DID a line.

What does not belong here: what is read of them.
"""

from pathlib import Path

from bsky_assets.bluesky.syntax import is_did
from bsky_assets.contracts.progress import Log
from bsky_assets.errors import UserError

_SHOWN = 80
"""Characters of a bad line that are shown."""


class UnusableList(UserError):
    """A list of accounts cannot be read, or names none."""


def read_list(path: Path, log: Log) -> list[str]:
    """The DIDs in a file, one a line, each once; `log` is told of each line that is none.

    Empty lines, and what follows a #, are passed over.

    Raises:
        UnusableList: it cannot be read, or has no DID.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UnusableList(f"cannot read {path}: {error.strerror}; name another file") from None
    found: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        text = line.decode("utf-8", "replace").partition("#")[0].strip("\ufeff \t")
        if is_did(text):
            found[text] = None
        elif text:
            log(f"{path}, line {number}: {text[:_SHOWN]!r} is no DID; it is left out")
    if not found:
        raise UnusableList(f"{path} has no DID: write one a line, such as did:plc:…")
    return [*found]
