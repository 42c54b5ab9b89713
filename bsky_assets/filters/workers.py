"""Judging batches in worker processes, in order and with few of them under way.

fastText holds Python's lock, so that threads would not help. Workers are spawned, import nothing
but the filters, and get and give Arrow IPC.
"""

import sys
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from importlib.abc import MetaPathFinder
from multiprocessing import get_context

import pyarrow as pa

from bsky_assets.filters.judge import Judge
from bsky_assets.filters.registry import Sources

_IN_PROCESS_ROWS = 10_000
"""So many posts are judged sooner than workers are started."""
_AHEAD = 2
"""Batches that wait for each worker."""

_judge: Judge | None = None


class _WithoutPandas(MetaPathFinder):
    """Hides pandas: Arrow looks for it, and a worker has no use for what costs it a second."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Nothing to find.

        Raises:
            ModuleNotFoundError: it is pandas that is looked for.
        """
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def judged(
    batches: Iterable[pa.RecordBatch], rows: int, sources: Sources, workers: int
) -> Generator[pa.RecordBatch, None, None]:
    """The verdicts on each of `batches`, in their order, by so many worker processes.

    There are `rows` posts in all; few are judged here, without any.

    Raises:
        FilterFailed: a filter cannot be made or raised an error.
        concurrent.futures.process.BrokenProcessPool: a worker died.
    """
    if rows <= _IN_PROCESS_ROWS:
        yield from map(Judge(sources), batches)
        return
    waiting: deque[Future[bytes]] = deque()
    with ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=_start,
        initargs=(sources,),
    ) as pool:
        try:
            for batch in batches:
                waiting.append(pool.submit(_work, _packed(batch)))
                if len(waiting) > _AHEAD * workers:
                    yield _unpacked(waiting.popleft().result())
            while waiting:
                yield _unpacked(waiting.popleft().result())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start(sources: Sources) -> None:
    global _judge
    sys.meta_path.insert(0, _WithoutPandas())
    pa.set_cpu_count(1)
    _judge = Judge(sources)


def _work(packed: bytes) -> bytes:
    assert _judge is not None
    return _packed(_judge(_unpacked(packed)))


def _packed(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _unpacked(packed: bytes) -> pa.RecordBatch:
    return pa.ipc.open_stream(packed).read_next_batch()
