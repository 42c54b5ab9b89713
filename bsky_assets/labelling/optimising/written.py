"""What a model wrote while better words were searched for, kept so that it is not asked again.

A model writes with posts in sight, and may repeat them, also where what it wrote was thrown away
for that. So each text is kept with the hashes of these posts, and goes when one of them does.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import orjson

from bsky_assets.labelling.asking.questions import text_hash
from bsky_assets.storage.files import make_folder, staged

FILE = "written.jsonl"
"""In the folder of a search."""


class Written:
    """What was written, by what was asked: the first time, the second time, and so on."""

    def __init__(self, file: Path) -> None:
        """Read `file`; it is created by the first `add`."""
        self._file = file
        self._texts: dict[str, list[str]] = {}
        self._times: Counter[str] = Counter()
        for told in _lines(file):
            self._texts.setdefault(told["asked"], []).append(told["written"])

    def next_of(self, key: str) -> str | None:
        """What was written the next time that this was asked; None if it was not."""
        texts, number = self._texts.get(key, []), self._times[key]
        self._times[key] += 1
        return texts[number] if number < len(texts) else None

    def add(self, key: str, text: str, in_sight: Iterable[str]) -> None:
        """Keep what was written with the posts of these texts in sight.

        Raises:
            UnusableDataDirectory: the folder cannot be made.
        """
        make_folder(self._file.parent)
        told = {"asked": key, "written": text, "in_sight": sorted(map(text_hash, in_sight))}
        with self._file.open("ab") as out:
            out.write(b"\n" + orjson.dumps(told))
            out.flush()
            os.fsync(out.fileno())


def forget_written(optimising: Path, hashes: Collection[str]) -> int:
    """Remove from all searches what was written with a text of these hashes in sight.

    Returns how many texts went. A line that does not say what was in sight goes, too.

    Raises:
        UnusableDataDirectory: a file cannot be replaced; those before it are.
    """
    gone, removed = frozenset(hashes), 0
    for file in sorted(optimising.glob(f"*/{FILE}")):
        lines = [*_lines(file)]
        left = [line for line in lines if not gone.intersection(line.get("in_sight", gone))]
        if len(left) < len(lines):
            removed += len(lines) - len(left)
            with staged(file) as path:
                path.write_bytes(b"".join(b"\n" + orjson.dumps(line) for line in left))
    return removed


def _lines(file: Path) -> Iterable[dict[str, Any]]:
    for line in file.read_bytes().splitlines() if file.is_file() else ():
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            continue  # empty, or torn by a kill
