"""The author's old feed posts, exported from MongoDB as JSON, a document a line.

What belongs here: how a line is read. What does not: how the strings in it are understood
(`legacy_record`) and how rows get into the lake (`landing`).
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Self

import duckdb
import orjson
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, model_validator

from bsky_assets.bluesky.shapes import Count, Did, Instant, what_is_wrong
from bsky_assets.contracts import RawFeedPost, Row
from bsky_assets.errors import UserError
from bsky_assets.migrations import landing, legacy_record
from bsky_assets.migrations.landing import Batch, Migrated, Progress
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake

BATCH_LINES = 20_000


class NotAnExport(UserError):
    """The file cannot be read."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Author(_Document):
    did: Did
    handle: StrictStr | None = None
    display_name: StrictStr | None = None
    avatar: StrictStr | None = None


class _Metadata(_Document):
    synctimestamp: StrictStr
    source_feed: Annotated[StrictStr, Field(min_length=1)]
    url: StrictStr | None = None


class _Post(_Document):
    uri: Annotated[StrictStr, Field(pattern=legacy_record.POST_URI)]
    cid: Annotated[StrictStr, Field(min_length=1)]
    author: _Author
    metadata: _Metadata
    record: dict[Any, Any]
    indexed_at: Instant
    like_count: Count | None = None
    reply_count: Count | None = None
    repost_count: Count | None = None

    @model_validator(mode="after")
    def _strings(self) -> Self:
        """Take up every string of the record that we know, lists joined as they once were."""
        self.record = {name: _as_string(self.record.get(name)) for name in legacy_record.COLUMNS}
        return self


_BATCH = pa.schema(
    [
        ("ordinal", pa.int64()),
        ("uri", pa.string()),
        ("cid", pa.string()),
        ("author", pa.struct([(name, pa.string()) for name in _Author.model_fields])),
        ("metadata", pa.struct([(name, pa.string()) for name in _Metadata.model_fields])),
        ("indexed_at", pa.timestamp("us", tz="UTC")),
        ("like_count", pa.int64()),
        ("reply_count", pa.int64()),
        ("repost_count", pa.int64()),
        *((name, pa.string()) for name in legacy_record.COLUMNS),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


def migrate(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    file: Path,
    settings: Settings,
    progress: Progress | None = None,
) -> Migrated:
    """Bring the exported feed posts in `file` into `raw_feed_posts`, by sync day.

    A post's position is that of its line. Killed, it goes on where it was when it is run again.

    Raises:
        NotAnExport: the file cannot be read.
        CountsDisagree: a line is neither in the lake nor in quarantine.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    return landing.migrate(con, lake, ExportedPosts(file), settings, progress)


class ExportedPosts:
    """The lines of the export; a `landing.Source`. Empty lines are no rows."""

    kind = "legacy_mongo"
    row: type[Row] = RawFeedPost

    def __init__(self, file: Path) -> None:
        """Look at `file`."""
        if not file.is_file():
            raise NotAnExport(f"there is no file {file}")
        self.file = file

    def total(self) -> int:
        """How many lines there are."""
        return sum(1 for _ in self._lines())

    def batches(self, after: int | None) -> Iterator[Batch]:
        """The lines in their order."""
        lines = ((number, line) for number, line in self._lines() if number > (after or 0))
        while part := list(islice(lines, BATCH_LINES)):
            rows = [{"ordinal": number, **_read(line)} for number, line in part]
            yield Batch(last=part[-1][0], rows=pa.Table.from_pylist(rows, schema=_BATCH))

    def shaped(self, rows: str) -> str:
        """SQL for `rows` as rows of `RawFeedPost`."""
        return f"""
            SELECT ordinal, uri, cid, author,
                CASE WHEN fault IS NULL THEN {legacy_record.record()} END AS record,
                metadata, indexed_at, like_count, reply_count, repost_count,
                CAST(NULL AS BIGINT) AS quote_count,
                {_NO_LABELS} AS post_labels,
                {_NO_LABELS} AS author_labels,
                ordinal - 1 AS position,
                {legacy_record.instant("metadata.synctimestamp")} AS received_at,
                fault
            FROM (
                SELECT *, coalesce(
                    CASE WHEN reason IS NOT NULL THEN {{'reason': reason, 'detail': detail}} END,
                    {legacy_record.first_fault(legacy_record.FAULTS)}
                ) AS fault
                FROM ({legacy_record.parsed(rows)})
            )
        """

    def contents(self, ordinals: Sequence[int]) -> Iterator[bytes]:
        """The lines with these numbers, rising."""
        wanted = iter(ordinals)
        sought = next(wanted, None)
        for number, line in self._lines():
            if number == sought:
                yield line
                sought = next(wanted, None)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            with self.file.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    if stripped := line.strip():
                        yield number, stripped
        except OSError as error:
            raise NotAnExport(f"cannot read {self.file}: {error.strerror}") from error


_NO_LABELS = (
    "CAST([] AS STRUCT(src VARCHAR, uri VARCHAR, val VARCHAR, neg BOOLEAN, "
    "cts TIMESTAMPTZ, exp TIMESTAMPTZ)[])"
)


def _read(line: bytes) -> dict[str, Any]:
    """The values of a line, or the reason why there are none."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {"reason": "not_json", "detail": "the line is not a JSON document"}
    try:
        post = _Post.model_validate(_plain(document))
    except ValidationError as error:
        reason, detail = what_is_wrong(error)
        return {"reason": reason, "detail": detail, **_day_of(document)}
    return {**post.model_dump(exclude={"record"}), **post.record}


def _day_of(document: Any) -> dict[str, Any]:
    """The synctimestamp of a document that is otherwise odd, so that it has its day."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    stamp = metadata.get("synctimestamp") if isinstance(metadata, dict) else None
    return {"metadata": {"synctimestamp": stamp}} if isinstance(stamp, str) else {}


def _plain(value: Any) -> Any:
    """`value` without MongoDB's wrapping of numbers and dates (Extended JSON)."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if name in ("$numberInt", "$numberLong") and isinstance(inner, str):
            return int(inner) if inner.lstrip("-").isdecimal() else value
        if name == "$date" and isinstance(inner, str):
            return inner
    return {name: _plain(inner) for name, inner in value.items()}


def _as_string(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ";".join(value)
    return orjson.dumps(value).decode()
