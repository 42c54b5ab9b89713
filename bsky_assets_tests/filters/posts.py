"""Consolidated posts and labels for the tests of the filters, and a lake that holds them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from bsky_assets.contracts import ConsolidatedPost, RawModerationLabel
from bsky_assets.filters.config import BUILT_IN_LANGUAGE_MODEL
from bsky_assets.filters.judge import make_filter
from bsky_assets.filters.registry import Sources, declaration
from bsky_assets.filters.verdicts import Filter
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import read_parquet
from testbed.rows import post_uri, record, table

DAY = date(2026, 3, 8)
START = datetime(2026, 3, 8, 12, tzinfo=UTC)
LABELER = "did:plc:labeler"


def post(
    text: str, author: str = "did:plc:someone", number: int = 0, **fields: Any
) -> dict[str, Any]:
    """A consolidated post; fields of the record go into `record`."""
    at = fields.pop("at", START + timedelta(minutes=13 * number))
    return {
        "uri": post_uri(author, f"k{number}"),
        "cid": f"bafy{number}",
        "indexed_at": at,
        "author": {"did": author, "handle": fields.pop("handle", None)},
        "metadata": {
            "synctimestamp": "2026-03-08-12:00:00",
            "source": "firehose",
            "source_feeds": ["firehose"],
            "processed_timestamp": at,
        },
        "record": record(text, **fields.pop("record", {})),
        "applied_labels": fields.pop("applied_labels", []),
        **fields,
    }


def label(uri: str, val: str, src: str = LABELER, **fields: Any) -> dict[str, Any]:
    return {
        "src": src,
        "uri": uri,
        "val": val,
        "neg": False,
        "cts": START,
        "origin": "labeler.test",
        "received_at": START,
        **fields,
    }


def applied(uri: str, val: str, src: str = LABELER, **fields: Any) -> dict[str, Any]:
    return {"src": src, "uri": uri, "val": val, "neg": False, "cts": START, **fields}


def lake_with(
    folder: Path,
    posts: Iterable[Mapping[str, Any]],
    labels: Iterable[Mapping[str, Any]] = (),
    earlier: Mapping[date, Iterable[Mapping[str, Any]]] | None = None,
) -> Lake:
    lake = Lake(folder / "lake")
    lake.write(ConsolidatedPost, DAY, table(ConsolidatedPost, posts))
    lake.write(RawModerationLabel, DAY, table(RawModerationLabel, labels))
    for day, rows in (earlier or {}).items():
        lake.write(ConsolidatedPost, day, table(ConsolidatedPost, rows))
    return lake


def built_in(name: str) -> Filter:
    """A filter without anything that a user trained."""
    one = declaration(name)
    assert one is not None
    return make_filter(one, Sources(BUILT_IN_LANGUAGE_MODEL, {}))


@cache
def shipped(name: str) -> Filter:
    """The same, read once for all tests that change no list of it."""
    return built_in(name)


def settings_in(folder: Path, **fields: Any) -> Settings:
    return Settings(data_dir=folder, trusted_labelers=(LABELER,), **fields)


def rows_of(path: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as con:
        return con.sql(f"SELECT * FROM {read_parquet([path])}").to_arrow_table().to_pylist()
