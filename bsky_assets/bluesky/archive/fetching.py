"""Fetching what a plan names, several parts at a time, so that nothing is fetched twice.

Every block that came stays on disk until what is in it has been taken in; a run that ends in the
middle, by a quota or a kill, goes on after what it has. A file is fetched in parts, and goes on
where it was cut off as long as the host has the same version.
What does not belong here: what is asked for, and what is in it.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import rmtree
from threading import Lock
from typing import TypeVar

import pyarrow as pa

from bsky_assets.bluesky.archive.blocks import UnreadableArchive
from bsky_assets.bluesky.archive.host import ArchiveHost, Listed, Unit
from bsky_assets.bluesky.archive.sealed import read_frames
from bsky_assets.errors import UserError
from bsky_assets.storage.files import make_folder, staged

AT_ONCE = 4
_EVENTS_A_BLOCK = 4_096
"""As the server packs them by default, to estimate with."""
_ATTEMPTS = 3
"""Of a block or segment that comes damaged."""

Block = TypeVar("Block")
Blocks = Iterator[tuple[int, Block]]
Reader = Callable[[bytes, str], Block]
"""Reads the frame of a block that is called so in an error; may raise `UnreadableArchive`."""
Result = TypeVar("Result")


class ArchiveBudget(UserError):
    """More of the archive would be fetched than BSKY_ARCHIVE_MAX_BYTES allows."""


@dataclass
class Budget:
    """Bytes that may be fetched, and that were."""

    most: int
    spent: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def hold(self, estimate: int, what: str) -> None:
        """See that about `estimate` bytes more may be fetched.

        Raises:
            ArchiveBudget: they may not.
        """
        if self.spent + estimate > self.most:
            raise ArchiveBudget(
                f"{what} needs about {self.spent + estimate:,} bytes of the archive, and "
                f"BSKY_ARCHIVE_MAX_BYTES is {self.most:,}: set it higher, or ask for less"
            )

    def spend(self, size: int) -> None:
        """Count bytes that were fetched.

        Raises:
            ArchiveBudget: they are more than may be; they are counted all the same.
        """
        with self._lock:
            self.spent += size
        if self.spent > self.most:
            raise ArchiveBudget(
                f"BSKY_ARCHIVE_MAX_BYTES ({self.most:,}) is used up: set it higher and run it "
                "again; it goes on after what was fetched"
            )


def estimated(units: Sequence[Unit], listed: Sequence[Listed]) -> int:
    """About how many bytes `units` are."""
    known = {one.name: one for one in listed}
    total = 0
    for unit in units:
        if one := known.get(unit.segment):
            blocks = max(1, -(-one.event_count // _EVENTS_A_BLOCK))
            share = 1.0 if unit.blocks is None else min(1.0, len(unit.blocks) / blocks)
            total += round(one.size_bytes * share)
    return total


class Spool:
    """The folder of blocks that were fetched and not taken in yet."""

    def __init__(self, folder: Path, host: ArchiveHost, budget: Budget) -> None:
        """Fetch from `host` into `folder`."""
        self._folder = folder
        self._host = host
        self._budget = budget

    def fetch(self, units: Sequence[Unit], tell: Callable[[int], None] | None = None) -> None:
        """Have all blocks of `units` on disk; `tell` is told the bytes that were fetched so far.

        Raises:
            ArchiveBudget: more would be fetched than may be.
            Rewritten: the host has another version of a segment by now.
            NoArchive, Refused, Unanswered, UnreadableArchive: it does not send them.
        """
        tasks = [task for unit in units for task in self._tasks(unit)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            running = [pool.submit(task) for task in tasks]
            try:
                for one in running:
                    one.result()
                    if tell:
                        tell(self._budget.spent)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def read(
        self, unit: Unit, read: Reader[Block], use: Callable[[Blocks[Block]], Result]
    ) -> Result:
        """Have `use` take each block of a unit, as `read` reads it, with its number, in order.

        What is not here is fetched, and so is again what came damaged; of a whole segment `use`
        begins anew then. After some attempts it stays `UnreadableArchive`.

        Raises:
            ArchiveBudget, Rewritten, NoArchive, Refused, Unanswered, UnreadableArchive: as `fetch`.
        """
        for _ in range(_ATTEMPTS - 1 if unit.blocks is None else 0):
            with suppress(UnreadableArchive):
                return self._read_once(unit, read, use)
        return self._read_once(unit, read, use)

    def clear(self, unit: Unit) -> None:
        """Remove what was fetched of a unit."""
        rmtree(self._folder_of(unit), ignore_errors=True)

    def _read_once(
        self, unit: Unit, read: Reader[Block], use: Callable[[Blocks[Block]], Result]
    ) -> Result:
        self.fetch([unit])
        return use(self._blocks(unit, read))

    def _blocks(self, unit: Unit, read: Reader[Block]) -> Blocks[Block]:
        if unit.blocks is None:
            yield from self._blocks_of_file(unit, read)
        for number in unit.blocks or ():
            yield number, self._block(unit, number, read)

    def _block(self, unit: Unit, number: int, read: Reader[Block]) -> Block:
        for _ in range(_ATTEMPTS - 1):
            with suppress(UnreadableArchive):
                return self._block_once(unit, number, read)
        return self._block_once(unit, number, read)

    def _block_once(self, unit: Unit, number: int, read: Reader[Block]) -> Block:
        path = self._block_path(unit, number)
        if not path.exists():
            self._fetch_block(unit, number)
        with _removed_if_damaged(path):
            return read(path.read_bytes(), _name(unit, number))

    def _blocks_of_file(self, unit: Unit, read: Reader[Block]) -> Blocks[Block]:
        path = self._file_path(unit)
        with _removed_if_damaged(path), pa.memory_map(str(path)) as file:
            segment = memoryview(file.read_buffer())
            for number, frame in enumerate(read_frames(segment, unit.segment)):
                yield number, read(frame, _name(unit, number))

    def _tasks(self, unit: Unit) -> Iterator[Callable[[], None]]:
        make_folder(self._folder_of(unit))
        if unit.blocks is None:
            yield partial(self._fetch_file, unit)
            return
        for block in unit.blocks:
            if not self._block_path(unit, block).exists():
                yield partial(self._fetch_block, unit, block)

    def _fetch_block(self, unit: Unit, block: int) -> None:
        frame = self._host.block(unit.segment, unit.checksum, block)
        self._budget.spend(len(frame))
        with staged(self._block_path(unit, block)) as path:
            path.write_bytes(frame)

    def _fetch_file(self, unit: Unit) -> None:
        target = self._file_path(unit)
        if not target.exists():
            part = target.with_suffix(".part")
            self._fetch_parts(unit, part)
            part.rename(target)

    def _fetch_parts(self, unit: Unit, part: Path) -> None:
        is_last = False
        with part.open("ab") as file:
            while not is_last:
                content, is_last = self._host.part(unit.segment, unit.checksum, file.tell())
                file.write(content)
                file.flush()
                self._budget.spend(len(content))
                is_last = is_last or not content

    def _folder_of(self, unit: Unit) -> Path:
        return self._folder / f"{unit.segment}.{unit.checksum}"

    def _block_path(self, unit: Unit, block: int) -> Path:
        return self._folder_of(unit) / f"{block}.zst"

    def _file_path(self, unit: Unit) -> Path:
        return self._folder_of(unit) / "whole.jss"


def _name(unit: Unit, block: int) -> str:
    return f"block {block} of {unit.segment}"


@contextmanager
def _removed_if_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except UnreadableArchive:
        path.unlink()
        raise
