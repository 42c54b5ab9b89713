"""What arrives that no contract knows: counted by path, and compared with earlier days.

A record's fields that `PostRecord` has no column for are kept in `record.unknown_fields`, as JSON;
those of what is around it, and of events and labels, in `unknown_fields`. So is what could not be
read. A lexicon that changes shows there first.
What does not belong here: telling anyone, which a check and the report do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from bsky_assets.contracts import Row, arrow_schema
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import literal

TRAILING_DAYS = 14
"""What came up in as many days before is not new."""

_MOST_PATHS = 1_000
"""Of a day; authors can make up as many as they like."""

_IN_LEXICON = frozenset(
    (
        "feedContext",
        "opThreadPostCount",
        "opThreadPostIndex",
        "post.author.associated",
        "post.author.pronouns",
        "post.author.status",
        "reqId",
    )
)
"""What AppViews show beside what `RawFeedPost` has columns for: kept, counted, and no news."""

EMBED_KIND = "embed of kind "
_PATH_CHARACTERS = 120


@dataclass(frozen=True)
class UnknownField:
    """A field that no contract knows or that could not be read, or a kind of embed like that."""

    path: str
    """Dotted, `[]` for any place in a list; or `EMBED_KIND` and the embed's $type."""
    rows: int
    example: str
    """AT URI, or DID, of what one of these rows is about."""


def unknown_fields(
    con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row], days: Sequence[date]
) -> list[UnknownField]:
    """What no contract knows in the rows of `row` on `days`, the most frequent first."""
    odd = " UNION ALL ".join(_odd(row))
    if not odd:
        return []
    lake.relation(con, row, days).create_view("rows_with_unknown", replace=True)
    found = con.sql(
        rf"""
        WITH odd AS ({odd}),
        named AS (
            SELECT uri, regexp_replace(substr(tree.fullkey, 3), '\[[0-9]+\]', '[]', 'g') AS path
            FROM odd, json_tree(odd.fields) AS tree WHERE tree.fullkey <> '$'
            UNION ALL
            SELECT uri, {literal(EMBED_KIND)} || kind FROM odd
            WHERE kind IS NOT NULL AND json_exists(fields, '$.embed')
        )
        SELECT path[:{_PATH_CHARACTERS}] AS path, count(DISTINCT uri) AS rows, min(uri)
        FROM named GROUP BY ALL ORDER BY rows DESC, path LIMIT {_MOST_PATHS}
        """
    ).fetchall()
    return [UnknownField(*line) for line in found]


def _odd(row: type[Row]) -> Iterator[str]:
    """SQL for what is unknown in a row: what it is about, the embed's kind, and the fields."""
    names = arrow_schema(row).names
    if "record" in names:
        yield """
            SELECT uri, record.embed.kind AS kind, record.unknown_fields::JSON AS fields
            FROM rows_with_unknown WHERE record.unknown_fields IS NOT NULL
        """
    if "unknown_fields" in names:
        about = "coalesce(uri, did)" if "did" in names else "uri"
        yield f"""
            SELECT {about} AS uri, NULL AS kind, unknown_fields::JSON AS fields
            FROM rows_with_unknown WHERE unknown_fields IS NOT NULL
        """


def new_fields(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    row: type[Row],
    day: date,
    present: Sequence[UnknownField],
) -> list[UnknownField]:
    """Those of `present`, the unknown fields of `day`, that did not come up on the days before.

    Of a field that is new with all that is in it only the field itself is given.
    """
    before = [day - timedelta(days=back) for back in range(1, TRAILING_DAYS + 1)]
    seen = {field.path for field in unknown_fields(con, lake, row, before)} if present else set()
    new = [field for field in present if field.path not in seen | _IN_LEXICON]
    paths = {field.path for field in new} | _IN_LEXICON
    return [field for field in new if not _is_in_any(field.path, paths)]


def _is_in_any(path: str, outer: set[str]) -> bool:
    """Whether one of `outer` is a part, from the beginning, of the dotted `path`."""
    if path.startswith(EMBED_KIND):
        return False
    ends = (place for place, char in enumerate(path) if char in ".[" and place)
    return any(path[:end] in outer for end in ends)
