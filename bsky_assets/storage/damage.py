"""What is stored and cannot be read: telling it from other errors, and saying which file it is.

Damage costs what is damaged and nothing else: whoever works on something else passes over it.
What does not belong here: finding all of it, which `examination` does.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pyarrow as pa

from bsky_assets.errors import UserError

_ERRNOS = (None, errno.ENOENT, errno.EISDIR, errno.ENOTDIR)
"""Of a file that is not there or is none; Arrow has no number for what it cannot make out."""


class Damaged(UserError):
    """A file of a partition is missing or cannot be read."""

    def __init__(self, dataset: str, day: date, path: object, reason: str) -> None:
        super().__init__(
            f"{dataset} on {day} cannot be read: {path} is damaged ({reason}); "
            "`bsky-assets doctor` says what it can be made again from"
        )
        self.dataset, self.day, self.path, self.reason = dataset, day, path, reason


def is_damage(error: Exception) -> bool:
    """Whether reading a file raised `error` because of what it holds, or because it is not there.

    A disk that fails or a folder that may not be read is another matter, and so is memory.
    """
    if isinstance(error, OSError):
        return error.errno in _ERRNOS
    return isinstance(error, ValueError | KeyError | IndexError | TypeError | pa.ArrowException)


def reason_of(error: Exception) -> str:
    """In a few words, what is wrong with a file."""
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


@contextmanager
def damage_named(dataset: str, day: date, path: object) -> Iterator[None]:
    """Let damage that is met in the block say which partition it is of.

    Raises:
        Damaged: the file cannot be read.
    """
    try:
        yield
    except Damaged:
        raise
    except Exception as error:
        if not is_damage(error) or isinstance(error, UserError):
            raise
        raise Damaged(dataset, day, path, reason_of(error)) from None
