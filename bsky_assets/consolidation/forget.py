"""Forgetting an account, or a post, in all that is stored of it: rows, mentions, and words.

Rows by it and about it go. Where others name it, the name goes and their row stays. What belongs
here: partitions, quarantine, segments and what they say of themselves; the ledger's files have the
same form. What does not: reports, and what Dagster keeps of runs.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bsky_assets.contracts import (
    ConsolidatedPost,
    FilteredPost,
    Quarantined,
    RawFeedPost,
    RawFirehosePost,
    Row,
    arrow_schema,
)
from bsky_assets.contracts.details import Details
from bsky_assets.storage.files import staged
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.locks import exclusive
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.partition_sql import contract_in, select_rows
from bsky_assets.storage.segments import Segment, Segments
from bsky_assets.storage.sql import identifier

MARK = "[forgotten]"
"""Stands where others named what is forgotten."""
PIECE = 20
"""Characters: so much of a text is as good as the text."""
_WITH_WORDS: tuple[type[Row], ...] = (
    RawFirehosePost, RawFeedPost, ConsolidatedPost, FilteredPost,
)  # fmt: skip


@dataclass
class Subject:
    """Who or what is to be forgotten, and what tells of it."""

    name: str
    """The DID or AT URI."""
    handles: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    """What it wrote, wherever that stands in a record."""

    @property
    def names(self) -> list[str]:
        """What others may call it, the longest first."""
        return sorted({self.name, *self.handles}, key=len, reverse=True)

    def pieces(self) -> set[str]:
        """Every stretch of 20 characters of its words."""
        return {text[at : at + PIECE] for text in self.words for at in range(len(text) - PIECE + 1)}

    def is_of(self, value: Any) -> bool:
        """Whether a DID or address is the subject's own."""
        if isinstance(value, dict):
            value = value.get("did")
        return value == self.name or (
            isinstance(value, str) and value.startswith(f"at://{self.name}/")
        )

    def without(self, value: Any) -> Any:
        """`value`, however nested, with a mark for each name of the subject."""
        if isinstance(value, dict):
            return {self.without(key): self.without(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.without(part) for part in value]
        if isinstance(value, str):
            value = _as_wholes(*self.names).sub(MARK, value)
        return value


@cache
def _as_wholes(*names: str) -> re.Pattern[str]:
    """Names that are no part of another one, as `ann.test` is of `joann.test` and `ann.test.au`."""
    before = r"(?:(?<![A-Za-z0-9.\-])|(?<=%[0-9A-Fa-f]{2}))"
    after = r"(?![A-Za-z0-9\-]|(?:[.:]|%3A)[A-Za-z0-9])"
    return re.compile(f"{before}(?:{'|'.join(map(re.escape, names))}){after}")


_OWN = ("uri", "author", "did")
"""Columns that say whose a row is."""


def subject_of(con: duckdb.DuckDBPyConnection, lake: Lake, name: str) -> Subject:
    """The subject called `name`, with the handles and words of it that are stored."""
    subject = Subject(name)
    lake.attach(con)
    for row in _WITH_WORDS:
        for partition in lake.partitions(row):
            for post in _naming(con, subject, select_rows(row, [partition])):
                if any(subject.is_of(post.get(column)) for column in _OWN):
                    _learn(subject, post)
    return subject


def _learn(subject: Subject, post: dict[str, Any]) -> None:
    author = post["author"]
    if isinstance(author, dict) and subject.is_of(author):
        subject.handles |= {author["handle"]} - {None}
        subject.words |= {author["display_name"] or ""}
    subject.words |= {*_texts([post["record"], post.get("earlier_versions")])}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str) and " " in value:  # no address, hash, tag of a language or instant
        yield value


def _naming(
    con: duckdb.DuckDBPyConnection, subject: Subject, rows: str
) -> Iterator[dict[str, Any]]:
    """The rows of the SQL `rows` in which any name of the subject stands, with their `place`."""
    con.register("names_to_forget", pa.table({"name": subject.names}))
    found = con.sql(
        f"""
        SELECT * FROM (SELECT *, row_number() OVER () - 1 AS place FROM ({rows})) AS told
        WHERE EXISTS (
            SELECT 1 FROM names_to_forget WHERE contains(CAST(told AS VARCHAR), name)
        )
        """
    )
    yield from found.to_arrow_table().to_pylist()


def _left(
    con: duckdb.DuckDBPyConnection, subject: Subject, table: pa.Table, drop: bool
) -> pa.Table | None:
    """`table` without the subject; None where it has nothing of it.

    With `drop` every row that names it goes; otherwise only its own do.
    """
    con.register("forgetting_rows", table)
    found = {row.pop("place"): row for row in _naming(con, subject, "FROM forgetting_rows")}
    con.unregister("forgetting_rows")
    if not found:
        return None
    own = {
        place
        for place, row in found.items()
        if drop or any(subject.is_of(row.get(column)) for column in _OWN)
    }
    silent = {at: subject.without(row) for at, row in found.items() if at not in own}
    named = [at for at in sorted(silent) if silent[at] != found[at]]
    if not own and not named:
        return None
    changed = pa.Table.from_pylist([silent[at] for at in named], table.schema)
    order = np.arange(table.num_rows)
    order[named] = table.num_rows + np.arange(len(named))
    return pa.concat_tables([table, changed]).take(np.delete(order, sorted(own)))


def forget_in_lake(con: duckdb.DuckDBPyConnection, lake: Lake, subject: Subject) -> int:
    """Take the subject out of every partition; the number of those that were written anew.

    Raises:
        UnusableDataDirectory: a partition cannot be replaced; those before it are.
    """
    written = 0
    lake.attach(con)
    for row in lake.tables:
        if not lake.partitions(row):
            continue
        with exclusive(lake.root / row.asset):
            for partition in lake.partitions(row):  # none that has been written anew meanwhile
                contract = contract_in(row, partition)
                written += _forget_in(con, lake, subject, contract, partition)
    return written


def _forget_in(
    con: duckdb.DuckDBPyConnection, lake: Lake, subject: Subject, row: type[Row], found: Partition
) -> bool:
    table = con.sql(select_rows(row, [found])).to_arrow_table().cast(arrow_schema(row))
    left = _left(con, subject, table, drop=row is Quarantined)
    details = subject.without(dict(found.details))
    if left is None and details == dict(found.details):
        return False
    left = table if left is None else left
    if row is Quarantined:
        source = found.dataset.removeprefix(f"{Quarantined.asset}/")
        lake.write_quarantine(source, found.day, left)
        return True
    told = Details.model_validate(details)
    con.register("left_of_partition", left)
    names = ", ".join(identifier(name) for name in arrow_schema(row).names)
    lake.write_query(
        con, row, found.day, f"SELECT {names} FROM left_of_partition", told, kept_from=found
    )
    con.unregister("left_of_partition")
    return True


def forget_in_segments(con: duckdb.DuckDBPyConnection, segments: Segments, subject: Subject) -> int:
    """Take the subject out of the segments of a stream; how many were written anew.

    Raises:
        UnusableDataDirectory: a segment cannot be replaced; those before it are.
    """
    with segments.replacing() as folder:
        return sum(
            _forget_in_segment(con, segment, subject, folder)
            for day in segments.days()
            for segment in segments.of_day(day)
        )


def _forget_in_segment(
    con: duckdb.DuckDBPyConnection, segment: Segment, subject: Subject, folder: Path
) -> bool:
    footer = segment.footer().to_json()
    kept = orjson.dumps(subject.without(orjson.loads(footer)))
    groups = [*segment.groups()]
    changed = [_without_rows(con, group, subject) for group in groups]
    if kept == footer and not any(after is not None for after in changed):
        return False
    left = [group if after is None else after for group, after in zip(groups, changed, strict=True)]
    segment.replace(left, folder, kept)
    return True


def _without_rows(
    con: duckdb.DuckDBPyConnection, group: pa.Table, subject: Subject
) -> pa.Table | None:
    """A row group in which the subject's rows are null, so that the others keep their places."""
    con.register("forgetting_rows", group)
    found = {row.pop("place"): row for row in _naming(con, subject, "FROM forgetting_rows")}
    con.unregister("forgetting_rows")
    if not found:
        return None
    rows = group.to_pylist()
    for place, row in found.items():
        rows[place] = {name: _kept(subject, name, part) for name, part in row.items()}
    return pa.Table.from_pylist(rows, schema=group.schema)


def _kept(subject: Subject, column: str, part: dict[str, Any] | None) -> dict[str, Any] | None:
    if part is None or column == "quarantined":
        return None
    is_own = any(subject.is_of(part.get(name)) for name in _OWN)
    return None if is_own else subject.without(part)


def forget_in_files(files: Sequence[Path], subject: Subject) -> int:
    """Take the subject, and what repeats its words, out of Parquet files of any form."""
    pieces, changed = subject.pieces(), 0
    for path in files:
        table = pq.ParquetFile(path).read()
        rows = table.to_pylist()
        left = [{name: silent(subject, pieces, part) for name, part in row.items()} for row in rows]
        if left != rows:
            changed += 1
            with staged(path) as fresh:
                pq.write_table(pa.Table.from_pylist(left, table.schema), fresh, compression="zstd")
    return changed


def forget_in_json(files: Sequence[Path], subject: Subject) -> int:
    """Take the subject, and its words, out of files of JSON or of lines of it.

    Different posts keep different names, so that what counts them stays true.
    """
    pieces, changed = subject.pieces(), 0
    for path in files:
        content = path.read_bytes()
        parts = content.splitlines() if path.suffix == ".jsonl" else [content]
        read = [orjson.loads(part) for part in parts]
        left = [_silent_json(subject, pieces, subject.without(value)) for value in read]
        if left != read:
            changed += 1
            with staged(path) as fresh:
                fresh.write_bytes(b"".join(orjson.dumps(value) + b"\n" for value in left))
    return changed


def silent(subject: Subject, pieces: set[str], value: Any) -> Any:
    """`value` without the subject: of JSON each text by itself, so that the rest can be read."""
    if not isinstance(value, str):
        return value
    if value[:1] in ("{", "["):
        try:
            parsed = orjson.loads(value)
        except orjson.JSONDecodeError:
            return _text(subject, pieces, value)
        left = _silent_json(subject, pieces, parsed)
        return value if left == parsed else orjson.dumps(left).decode()
    return _text(subject, pieces, value)


def _silent_json(subject: Subject, pieces: set[str], value: Any) -> Any:
    if isinstance(value, dict):
        return {
            _text(subject, pieces, key): _silent_json(subject, pieces, part)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [_silent_json(subject, pieces, part) for part in value]
    return silent(subject, pieces, value)


def _text(subject: Subject, pieces: set[str], text: str) -> str:
    """Line by line: of a table in Markdown only the rows that tell of the subject go."""
    lines = text.split("\n")
    return "\n".join(
        MARK if has_piece(line, pieces) or any(name in line for name in subject.names) else line
        for line in lines
    )


def has_piece(text: str, pieces: set[str]) -> bool:
    """Whether a stretch of 20 characters of `text` is one of `pieces`."""
    return any(text[at : at + PIECE] in pieces for at in range(len(text) - PIECE + 1))
