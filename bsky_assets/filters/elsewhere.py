"""Judging parts of a day elsewhere, as tasks of the engine that runs its job.

A task is asked with the rows of a file that it is to judge and what only the whole day can tell
of them. It reads them itself, and answers with verdicts or with an error, which fails the day.
A part that no node works on when it is needed, or that a task was lost with, is judged by the job
itself: so a day is done however full the cluster is, and whatever becomes of its nodes.
What does not belong here: how an engine starts a task, which is the business of `launching`.
"""

import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.contracts import ConsolidatedPost
from bsky_assets.errors import UserError
from bsky_assets.filters import canaries
from bsky_assets.filters.config import config_version
from bsky_assets.filters.day import Facts
from bsky_assets.filters.judge import VERDICTS
from bsky_assets.filters.parts import BATCH_ROWS, Judged, Part, judged_here, parts
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake, Partition
from bsky_assets.storage.places import batches

UNDER_WAY = 8
"""Tasks that are started ahead: more would wait for the job, which writes all that they judge."""

_FACTS = pa.schema({"filter": pa.string(), "row": pa.int64(), "reason": pa.string()})
_ASKED, _VERSION, _ERROR = b"asked", b"filter_version", b"error"


class PartFailed(UserError):
    """A task told of an error, or its answer cannot be used; the message says which."""


class Task(Protocol):
    """A task that was started."""

    def answer(self) -> bytes | None:
        """What it answers, once it does; None if no node works on it, or it was lost."""


@dataclass(frozen=True)
class Elsewhere:
    """Where else the parts of a day are judged."""

    start: Callable[[bytes], Task]
    """Starts a task, which is to give `answer` to what it is asked."""
    posts: int
    """So many at least are a task's."""
    tell: Callable[[str], None]
    """Told in a line who judged what."""


def judged_in_parts(
    partition: Partition, facts: Facts, settings: Settings, elsewhere: Elsewhere
) -> Judged:
    """The posts of `partition` with the verdicts on them; by tasks, as far as nodes are free.

    Raises:
        PartFailed: a task failed.
        FilterFailed: a filter cannot be made or raised an error here.
    """
    version = config_version(settings)
    # The first is needed at once, before a node could have begun with it.
    first, *others = parts(partition.path, elsewhere.posts) or [Part(None, 0, 0)]
    ahead: deque[tuple[Part, Task]] = deque()

    def start_some() -> None:
        for part in islice(waiting, UNDER_WAY - len(ahead)):
            ahead.append((part, elsewhere.start(_question(partition, part, facts))))

    waiting, answered = iter(others), 0
    start_some()
    yield from judged_here(_posts(partition, first), first, facts, settings)
    while ahead:
        part, task = ahead.popleft()
        start_some()
        posts = _posts(partition, part)
        if (found := task.answer()) is None:
            yield from judged_here(posts, part, facts, settings)
        else:
            yield from _paired(posts, _verdicts(found, partition, part, version))
            answered += 1
    if others:
        elsewhere.tell(f"{answered} of {1 + len(others)} parts of the day were judged by tasks")


def _posts(partition: Partition, part: Part) -> Iterator[pa.RecordBatch]:
    return partition.batches(BATCH_ROWS, part.groups)


def _paired(posts: Iterable[pa.RecordBatch], verdicts: pa.RecordBatch) -> Judged:
    start = 0
    for batch in posts:
        yield batch, verdicts.slice(start, batch.num_rows)
        start += batch.num_rows


def _question(partition: Partition, part: Part, facts: Facts) -> bytes:
    """What a task is asked: the facts on the posts of `part`, and where these are."""
    assert part.groups is not None
    asked = {
        "day": partition.day,
        "file": partition.path.name,
        "groups": [part.groups.start, part.groups.stop],
        "first": part.first,
        "rows": part.rows,
    }
    columns: list[pa.Table] = [_FACTS.empty_table()]
    for name, (rows, reasons) in facts.items():
        begin, end = np.searchsorted(rows, [part.first, part.first + part.rows])
        names = pa.repeat(pa.scalar(name, pa.string()), end - begin)
        columns.append(
            pa.table([names, rows[begin:end], reasons.slice(begin, end - begin)], schema=_FACTS)
        )
    return _packed(pa.concat_tables(columns), {_ASKED: orjson.dumps(asked)})


def answer(question: bytes) -> bytes:
    """What a task answers: the verdicts and their version, or in a line why there are none."""
    try:
        # A task has what it was given to itself.
        return _judged(question, get_settings().model_copy(update={"concurrent_days": 1}))
    except UserError as error:
        line = str(error)
    except Exception as error:
        traceback.print_exc()
        line = f"{type(error).__name__}: {error}"
    return _packed(VERDICTS.empty_table(), {_ERROR: " ".join(line.split()).encode()})


def _judged(question: bytes, settings: Settings) -> bytes:
    facts = pa.ipc.open_stream(question).read_all()
    asked = orjson.loads(facts.schema.metadata[_ASKED])
    canaries.require(settings)  # of this node's libraries
    day = date.fromisoformat(asked["day"])
    path = Lake.of(settings).file(ConsolidatedPost, day, asked["file"])
    part = Part(range(*asked["groups"]), asked["first"], asked["rows"])
    posts = batches(path, BATCH_ROWS, part.groups)
    verdicts = [verdict for _, verdict in judged_here(posts, part, _by_filter(facts), settings)]
    version = config_version(settings).encode()
    return _packed(pa.Table.from_batches(verdicts, VERDICTS), {_VERSION: version})


def _by_filter(facts: pa.Table) -> Facts:
    found = {}
    for name in facts["filter"].unique().to_pylist():
        its = facts.filter(pc.equal(facts["filter"], name))
        found[name] = its["row"].to_numpy(), its["reason"].combine_chunks()
    return found


def _verdicts(found: bytes, partition: Partition, part: Part, version: str) -> pa.RecordBatch:
    """The verdicts that a task answered with, as one batch.

    Raises:
        PartFailed: it told of an error, is of another version, or answered for fewer posts.
    """
    verdicts = pa.ipc.open_stream(found).read_all()
    told: Mapping[bytes, bytes] = verdicts.schema.metadata or {}
    judge = told.get(_VERSION, b"none").decode()
    problem = ""
    if _ERROR in told:
        problem = told[_ERROR].decode()
    elif judge != version:
        problem = (
            f"they were judged with filter_version {judge}, and here it is {version}: the code "
            "and the trained models of BSKY_DATA_DIR must be the same on all nodes"
        )
    elif verdicts.num_rows != part.rows:
        problem = f"there are verdicts on {verdicts.num_rows:,} of them"
    if problem:
        last = part.first + part.rows
        where = f"posts {part.first + 1:,} to {last:,} of {partition.day}, judged by a task"
        raise PartFailed(f"{where}: {problem}")
    return verdicts.combine_chunks().to_batches()[0]


def _packed(table: pa.Table, metadata: Mapping[bytes, bytes]) -> bytes:
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata(metadata)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
