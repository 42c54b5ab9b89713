"""Pseudonyms: of a DID or AT URI the same in every export, and nobody's without the key.

HMAC-SHA256 under a key that stays in the data directory. Whoever has it and a DID can find the
account's rows, so that no export holds it.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import duckdb

from bsky_assets.errors import UserError
from bsky_assets.storage.files import make_folder, sync, unfinished, unusable

KEY = "pseudonyms.key"
"""In the data directory, readable by its owner alone."""

_BYTES = 32
_BLOCK = 64
"""Of SHA-256, in bytes."""


class UnusableKey(UserError):
    """The key of pseudonyms is there and is none."""


def pseudonym_key(data_dir: Path) -> bytes:
    """The key of `data_dir`, which is made if there is none.

    Raises:
        UnusableKey: the file that should hold it does not.
        UnusableDataDirectory: it cannot be made.
    """
    path = data_dir / KEY
    if not path.exists():
        _make(path)
    key = path.read_bytes()
    if len(key) != _BYTES:
        raise UnusableKey(
            f"{path} does not hold {_BYTES} bytes: put its backup there or, to go on with new "
            "pseudonyms, take it away"
        )
    return key


def _make(path: Path) -> None:
    make_folder(path.parent)
    fresh = unfinished(path)
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
        sync(fresh)
        path.hardlink_to(fresh)
        sync(path.parent)
    except FileExistsError:
        pass  # another has made it at the same moment, and theirs stands
    except OSError as error:
        raise unusable(path.parent, error) from error
    finally:
        fresh.unlink(missing_ok=True)


def pseudonym(key: bytes, subject: str) -> str:
    """What stands for `subject`, in hex."""
    return hmac.new(key, subject.encode(), hashlib.sha256).hexdigest()


def register_pseudonyms(con: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Make the SQL function `pseudonym`, which gives what `pseudonym` does, or null for null.

    Source: RFC 2104, which puts HMAC together from a hash.
    """
    padded = key.ljust(_BLOCK, b"\0")
    for name, mask in (("inner", 0x36), ("outer", 0x5C)):
        pad = bytes(byte ^ mask for byte in padded)
        con.execute(f"SET VARIABLE pseudonym_{name} = $pad", {"pad": pad})
    con.execute(
        """
        CREATE OR REPLACE TEMP MACRO pseudonym(subject) AS sha256(
            getvariable('pseudonym_outer')
            || unhex(sha256(getvariable('pseudonym_inner') || encode(subject)))
        )
        """
    )
