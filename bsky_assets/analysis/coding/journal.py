"""What coders said, a line a key, on disk before the room says that it is saved.

Lines are only ever added. A writer that is killed leaves a last line that may be torn: it is cut
off by who opens the journal next, since nobody was told that it was saved.
What does not belong here: who codes what; see `room`.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from filelock import FileLock, Timeout

from bsky_assets.errors import UserError
from bsky_assets.storage.files import make_folder, sync, unusable
from bsky_assets.sync_day import now

ANSWER, DECISION, UNDO, MEMO = "answer", "decision", "undo", "memo"
"""A decision is an adjudicator's answer about what coders disagree on."""

_CLOSED = -1


class RoomIsOpen(UserError):
    """Another process has the room open."""


class RoomIsClosed(UserError):
    """The room was closed before the answer came."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of one coder."""

    coder: str
    item: int
    did: str
    """ANSWER, DECISION, UNDO or MEMO."""
    value: str
    at: str
    """In UTC, ISO 8601."""


@dataclass
class Said:
    """What one coder's entries come to."""

    answers: dict[int, Entry] = field(default_factory=dict)
    memos: dict[int, str] = field(default_factory=dict)
    is_adjudicator: bool = False
    _before: list[tuple[int, Entry | None]] = field(default_factory=list)

    def take(self, entry: Entry) -> None:
        """Add an entry that came after the others."""
        if entry.did == MEMO:
            self.memos[entry.item] = entry.value
        elif entry.did in (ANSWER, DECISION):
            self.is_adjudicator = entry.did == DECISION
            self._before.append((entry.item, self.answers.get(entry.item)))
            self.answers[entry.item] = entry
        elif self._before:
            item, before = self._before.pop()
            if before is None:
                self.answers.pop(item, None)
            else:
                self.answers[item] = before

    @property
    def last(self) -> int | None:
        """The item that an undo would be about."""
        return self._before[-1][0] if self._before else None


def read_journal(path: Path) -> Iterator[Entry]:
    """The entries, in order; a torn last line is left out."""
    if path.exists():
        lines = path.read_bytes().split(b"\n")[:-1]
        yield from (Entry(**orjson.loads(line)) for line in lines)


def said_in(path: Path) -> dict[str, Said]:
    """What each coder said, by name."""
    found: dict[str, Said] = {}
    for entry in read_journal(path):
        found.setdefault(entry.coder, Said()).take(entry)
    return found


class Journal:
    """The one writer of a journal; `said` is what was read and written, by coder."""

    def __init__(self, path: Path) -> None:
        """Open it; it is made when there is none.

        Raises:
            RoomIsOpen: another process writes it.
            UnusableDataDirectory: it cannot be written.
        """
        make_folder(path.parent)
        self._path = path
        self._lock = FileLock(path.with_suffix(".lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RoomIsOpen(
                f"the room in {path.parent} is open in another process; end that one first"
            ) from None
        self._turn = threading.Lock()
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        whole = path.read_bytes().rfind(b"\n") + 1
        os.ftruncate(self._handle, whole)
        sync(path.parent)
        self.said = said_in(path)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        with self._turn:
            os.close(self._handle)
            self._handle = _CLOSED
        self._lock.release()

    def of(self, coder: str) -> Said:
        return self.said.setdefault(coder, Said())

    def add(self, coder: str, item: int, did: str, value: str = "", at: str | None = None) -> None:
        """Write one entry; when this returns it is on disk.

        Raises:
            UnusableDataDirectory: it cannot be written; then nothing of it stays.
        """
        entry = Entry(coder, item, did, value, at or now().isoformat())
        with self._turn:
            if self._handle == _CLOSED:
                raise RoomIsClosed("the room has been closed; open it again")
            end = os.fstat(self._handle).st_size
            try:
                self._write(orjson.dumps(entry) + b"\n")
            except OSError as error:
                os.ftruncate(self._handle, end)
                raise unusable(self._path.parent, error) from error
            self.of(coder).take(entry)

    def add_all(self, coder: str, answers: Mapping[int, str]) -> None:
        """Write an answer for each item."""
        for item, answer in answers.items():
            self.add(coder, item, ANSWER, answer)

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        while left:
            left = left[os.write(self._handle, left) :]
        os.fsync(self._handle)
