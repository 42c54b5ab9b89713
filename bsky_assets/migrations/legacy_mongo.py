"""The author's old feed posts, exported from MongoDB as JSON: a document a line, or one array.

What belongs here: how a line is read. What does not: how the strings in it are understood
(`legacy_record`) and how rows get into the lake (`loading`).
"""

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Self

import duckdb
import orjson
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, model_validator

from bsky_assets.bluesky.shapes import Count, Did, Instant, what_is_wrong
from bsky_assets.contracts import RawFeedPost, Row, arrow_schema
from bsky_assets.contracts.progress import Reporter, silent
from bsky_assets.errors import UserError
from bsky_assets.migrations import legacy_record, loading
from bsky_assets.migrations.loading import Batch, Migrated
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.upcasts import sql_type

_BATCH_LINES = 20_000
_CHUNK = 1 << 20
_LONGEST = 1 << 26
"""Characters of a document; MongoDB's own limit is 16 MiB of BSON."""
_BETWEEN = " \t\r\n,"


class NotAnExport(UserError):
    """The file cannot be read."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Label(_Document):
    src: StrictStr
    uri: StrictStr
    val: StrictStr
    neg: bool | None = None
    cts: Instant | None = None
    exp: Instant | None = None


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
    quote_count: Count | None = None

    @model_validator(mode="after")
    def _strings(self) -> Self:
        """Take up every string of the record that we know, lists joined as they once were."""
        self.record = {name: _as_string(self.record.get(name)) for name in legacy_record.COLUMNS}
        return self


_NUMBERS = ("$numberInt", "$numberLong", "$numberDouble", "$numberDecimal")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LABELS = arrow_schema(RawFeedPost).field("post_labels").type
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
        ("quote_count", pa.int64()),
        ("post_labels", _LABELS),
        ("author_labels", _LABELS),
        ("not_known", pa.string()),
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
    progress: Reporter = silent,
) -> Migrated:
    """Bring the exported feed posts in `file` into `raw_feed_posts`, by sync day.

    A post's position is that of its line. Killed, it goes on where it was when it is run again.

    Raises:
        NotAnExport: the file cannot be read.
        CountsDisagree: a line is neither in the lake nor in quarantine.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    return loading.migrate(con, lake, ExportedPosts(file), settings, progress)


class ExportedPosts:
    """The lines of the export; a `loading.Source`. Empty lines are no rows."""

    kind = "legacy_mongo"
    row: type[Row] = RawFeedPost

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise NotAnExport(f"there is no file {file}")
        self.file = file

    def total(self) -> int:
        """How many lines there are."""
        return sum(1 for _ in self._lines())

    def batches(self, after: int | None) -> Iterator[Batch]:
        """The lines in their order."""
        lines = ((number, line) for number, line in self._lines() if number > (after or 0))
        while part := list(islice(lines, _BATCH_LINES)):
            rows = [{"ordinal": number, **_read(line)} for number, line in part]
            yield Batch(last=part[-1][0], rows=pa.Table.from_pylist(rows, schema=_BATCH))

    def shaped(self, rows: str) -> str:
        """SQL for `rows` as rows of `RawFeedPost`."""
        return f"""
            SELECT ordinal, uri, cid, CAST(author AS {_sql_type("author")}) AS author,
                CASE WHEN fault IS NULL THEN {legacy_record.record("not_known")} END AS record,
                metadata, indexed_at, like_count, reply_count, repost_count, quote_count,
                post_labels, author_labels,
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
        """The documents with their numbers: of their lines, or of their places in the array."""
        try:
            with self.file.open("rb") as file:
                begin = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
                file.seek(begin)
                first = next((line.lstrip() for line in file if line.strip()), b"")
                file.seek(begin)
                if first.startswith(b"["):
                    yield from enumerate(_elements(file, self.file), start=1)
                    return
                for number, line in enumerate(file, start=1):
                    if stripped := line.strip():
                        yield number, stripped
        except OSError as error:
            raise NotAnExport(f"cannot read {self.file}: {error.strerror}") from error


def _sql_type(column: str) -> str:
    return sql_type(arrow_schema(RawFeedPost).field(column).type)


def _elements(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """The elements of the JSON array in `file`, as they stand; little of it is in memory."""
    reader = TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
    text = reader.read(_CHUNK)
    at = text.index("[") + 1
    decoder = json.JSONDecoder()
    found = 0
    while True:
        while at < len(text) and text[at] in _BETWEEN:
            at += 1
        if text.startswith("]", at):
            return
        try:
            end = decoder.raw_decode(text, at)[1]
        except (ValueError, RecursionError):
            more = reader.read(_CHUNK)
            if not more or len(text) - at > _LONGEST:
                raise NotAnExport(
                    f"{path} is a JSON array that cannot be read on after document {found}; "
                    "export it again, without --jsonArray"
                ) from None
            text, at = text[at:] + more, 0
            continue
        found += 1
        yield text[at:end].encode("utf-8", "surrogateescape")
        at = end


def _read(line: bytes) -> dict[str, Any]:
    """The values of a line, or the reason why there are none."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {"reason": "not_json", "detail": "the line is not a JSON document"}
    try:
        document = _plain(document)
        post = _Post.model_validate(document)
    except ValidationError as error:
        reason, detail = what_is_wrong(error)
        return {"reason": reason, "detail": detail, **_day_of(document)}
    return {
        **post.model_dump(exclude={"record"}),
        **post.record,
        **_labels(document),
        "not_known": _not_known(document),
    }


def _labels(document: dict[str, Any]) -> dict[str, Any]:
    """The labels on the post and on its author, as the AppView showed them."""
    shown = {"post_labels": document, "author_labels": document["author"]}
    return {
        name: [
            {"neg": False, **label.model_dump(exclude_none=True)}
            for found in _listed(holder.get("labels"))
            if (label := _label(found))
        ]
        for name, holder in shown.items()
    }


def _label(value: Any) -> _Label | None:
    try:
        return _Label.model_validate(value)
    except ValidationError:
        return None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _not_known(document: dict[str, Any]) -> str | None:
    """What no column takes up, as a JSON object, so that it is kept and counted."""
    record = {
        name: value
        for name, value in document["record"].items()
        if name not in legacy_record.COLUMNS and value is not None
    }
    parts = {
        "document": _left(document, _Post, {"_id"}),
        "author": _left(document["author"], _Author, {"py_type"}),
        "metadata": _left(document["metadata"], _Metadata, set()),
    }
    left = {**record, **{name: values for name, values in parts.items() if values}}
    return orjson.dumps(left).decode() if left else None


def _left(values: dict[str, Any], model: type[BaseModel], ours: set[str]) -> dict[str, Any]:
    left = {
        name: value
        for name, value in values.items()
        if name not in model.model_fields and name not in ours and value not in (None, [])
    }
    if all(_label(found) for found in _listed(left.get("labels"))):
        left.pop("labels", None)
    return left


def _day_of(document: Any) -> dict[str, Any]:
    """The synctimestamp of a document that is otherwise odd, so that it has its day."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    stamp = metadata.get("synctimestamp") if isinstance(metadata, dict) else None
    return {"metadata": {"synctimestamp": stamp}} if isinstance(stamp, str) else {}


def _plain(value: Any) -> Any:
    """`value` without MongoDB's wrapping of numbers and dates (Extended JSON)."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return _whole(value)
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if name in _NUMBERS and isinstance(inner, str):
            return _number(inner)
        if name == "$date":
            return _date(_plain(inner))
    return {name: _plain(inner) for name, inner in value.items()}


def _number(text: str) -> int | float | str:
    """The number in `text`; a double that is whole is an integer, as counts are."""
    try:
        value = float(text)
        return int(text) if text.lstrip("-").isdecimal() else _whole(value)
    except (ValueError, OverflowError):
        return text


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def _date(value: Any) -> Any:
    """ISO 8601 of a date that is one already, or milliseconds since 1970."""
    if isinstance(value, int):
        try:
            return (_EPOCH + timedelta(milliseconds=value)).isoformat()
        except OverflowError:
            return value
    return value


def _as_string(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ";".join(value)
    return orjson.dumps(value).decode()
