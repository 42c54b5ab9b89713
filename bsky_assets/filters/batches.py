"""The posts of a day, batch by batch, and judging them with the cores of this machine."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

import pyarrow as pa

from bsky_assets.filters.facts.gathering import Facts, fact_columns
from bsky_assets.filters.judge import sources
from bsky_assets.filters.posts import INPUTS, inputs
from bsky_assets.filters.workers import judged
from bsky_assets.settings import Settings
from bsky_assets.storage.budget import share
from bsky_assets.storage.row_groups import ROW_GROUP_ROWS

BATCH_ROWS = ROW_GROUP_ROWS // 2
"""Arrow compiles each pattern anew for every batch, which takes milliseconds where it is large."""


def judged_batches(
    posts: Iterable[pa.RecordBatch], rows: int, facts: Facts, settings: Settings
) -> Generator[tuple[pa.RecordBatch, pa.RecordBatch], None, None]:
    """Batches of consolidated posts in the order of the file, each with the verdicts on it.

    `rows` is how many posts there are in all; `facts` are those of the day.

    Raises:
        FilterFailed: a filter cannot be made or raised an error.
        concurrent.futures.process.BrokenProcessPool: a worker died.
    """
    waiting: deque[pa.RecordBatch] = deque()

    def cut_down() -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in posts:
            waiting.append(batch)
            yield _with_facts(inputs(batch), facts, start)
            start += batch.num_rows

    workers = share(settings).workers
    with closing(judged(cut_down(), rows, sources(settings), workers)) as verdicts:
        for verdict in verdicts:
            yield waiting.popleft(), verdict


def _with_facts(batch: pa.RecordBatch, facts: Facts, start: int) -> pa.RecordBatch:
    columns = fact_columns(facts, start, batch.num_rows)
    schema = pa.schema([*INPUTS, *((name, pa.string()) for name in columns)])
    return pa.RecordBatch.from_arrays([*batch.columns, *columns.values()], schema=schema)
