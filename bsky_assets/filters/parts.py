"""The posts of a day, whole or in parts, and judging them on this machine.

A part is some row groups of the file of consolidated posts that lie together, so that whoever is
to judge it reads nothing else.
What does not belong here: judging a part on another machine, which `elsewhere` has done.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from bsky_assets.filters.day import Facts, fact_columns
from bsky_assets.filters.judge import sources
from bsky_assets.filters.posts import INPUTS, inputs
from bsky_assets.filters.workers import judged
from bsky_assets.settings import Settings
from bsky_assets.storage.budget import share
from bsky_assets.storage.lake import ROW_GROUP_ROWS
from bsky_assets.storage.places import StoredPath, row_groups

BATCH_ROWS = ROW_GROUP_ROWS // 4

Judged = Generator[tuple[pa.RecordBatch, pa.RecordBatch], None, None]
"""Batches of consolidated posts in the order of the file, each with the verdicts on it."""


@dataclass(frozen=True)
class Part:
    """Posts of a file that lie together."""

    groups: range | None
    """Their row groups; None for all of the file."""
    first: int
    """The row that the first of them is in the file."""
    rows: int
    """How many they are."""


def parts(path: StoredPath, posts: int) -> list[Part]:
    """The file at `path` in parts of at least `posts` posts; the last may have fewer."""
    found: list[Part] = []
    begun = first = rows = 0
    counts = row_groups(path)
    for end, count in enumerate(counts, 1):
        rows += count
        if rows >= posts or end == len(counts):
            found.append(Part(range(begun, end), first, rows))
            begun, first, rows = end, first + rows, 0
    return found


def judged_here(
    posts: Iterable[pa.RecordBatch], part: Part, facts: Facts, settings: Settings
) -> Judged:
    """The posts of `part` with the verdicts on them, by worker processes of this machine.

    `facts` are those of the day, or at least of the part.

    Raises:
        FilterFailed: a filter cannot be made or raised an error.
        concurrent.futures.process.BrokenProcessPool: a worker died.
    """
    waiting: deque[pa.RecordBatch] = deque()

    def cut_down() -> Iterator[pa.RecordBatch]:
        start = part.first
        for batch in posts:
            waiting.append(batch)
            yield _with_facts(inputs(batch), facts, start)
            start += batch.num_rows

    workers = share(settings).workers
    with closing(judged(cut_down(), part.rows, sources(settings), workers)) as verdicts:
        for verdict in verdicts:
            yield waiting.popleft(), verdict


def _with_facts(batch: pa.RecordBatch, facts: Facts, start: int) -> pa.RecordBatch:
    columns = fact_columns(facts, start, batch.num_rows)
    schema = pa.schema([*INPUTS, *((name, pa.string()) for name in columns)])
    return pa.RecordBatch.from_arrays([*batch.columns, *columns.values()], schema=schema)
