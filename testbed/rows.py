"""Rows of the contracts, with everything a test does not care about filled in."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from bsky_assets.contracts import Row, arrow_schema
from bsky_assets.sync_day import synctimestamp

NOON = datetime(2026, 3, 8, 18, tzinfo=UTC)
"""An instant in the middle of the sync day 2026-03-08 in Chicago."""


_TID_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"


def tid(instant: datetime) -> str:
    """The TID of an instant, as repositories number their revisions."""
    number = int(instant.timestamp() * 1_000_000) << 10
    return "".join(_TID_DIGITS[(number >> 5 * place) & 31] for place in range(12, -1, -1))


def _rev(seq: int) -> str:
    return tid(NOON + timedelta(milliseconds=min(seq, 100_000)))


def table(row: type[Row], rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(row))


def record(text: str = "a post", **fields: Any) -> dict[str, Any]:
    return {
        "created_at": "2026-03-08T17:59:00.000Z",
        "text": text,
        "langs": ["en"],
        "py_type": "app.bsky.feed.post",
        **fields,
    }


def post_uri(author: str, rkey: str) -> str:
    return f"at://{author}/app.bsky.feed.post/{rkey}"


def firehose_post(author: str, rkey: str, seq: int = 1, **fields: Any) -> dict[str, Any]:
    received_at = fields.get("received_at", NOON)
    return {
        "uri": post_uri(author, rkey),
        "cid": f"bafy{rkey}",
        "author": author,
        "record": record(),
        "metadata": {"synctimestamp": synctimestamp(received_at), "source_feed": "firehose"},
        "relay": "relay.test",
        "seq": seq,
        "rev": _rev(seq),
        "commit_time": received_at,
        "received_at": received_at,
        **fields,
    }


def feed_post(author: str, rkey: str, feed: str = "today", **fields: Any) -> dict[str, Any]:
    received_at = fields.get("received_at", NOON)
    return {
        "uri": post_uri(author, rkey),
        "cid": f"bafy{rkey}",
        "author": {"did": author, "handle": "someone.test"},
        "record": record(),
        "metadata": {
            "synctimestamp": synctimestamp(received_at),
            "source_feed": feed,
            "url": f"https://bsky.app/profile/{author}/post/{rkey}",
        },
        "indexed_at": NOON,
        "like_count": 5,
        "post_labels": [],
        "author_labels": [],
        "position": 0,
        "received_at": received_at,
        **fields,
    }


def filtered_post(number: int, text: str, **fields: Any) -> dict[str, Any]:
    author = f"did:plc:author{number}"
    return {
        "uri": post_uri(author, f"3k{number}"),
        "cid": f"bafy{number}",
        "indexed_at": NOON,
        "author": {"did": author},
        "metadata": {
            "synctimestamp": "2026-03-08-18:00:00",
            "source": "firehose",
            "source_feeds": ["firehose"],
            "processed_timestamp": NOON,
        },
        "record": record(text),
        "applied_labels": [],
        "passed_filters": True,
        "filtered_at": NOON,
        "filter_version": "1",
        "synctimestamp": "2026-03-08-18:00:00",
        "preprocessing_timestamp": "2026-03-08-18:00:00",
        **fields,
    }


def post_deletion(author: str, rkey: str, seq: int, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "post",
        "uri": post_uri(author, rkey),
        "did": author,
        "status": "deleted",
        "rev": _rev(seq),
        "relay": "relay.test",
        "seq": seq,
        "received_at": NOON,
        **fields,
    }


def account_status(did: str, status: str, seq: int, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "account",
        "uri": None,
        "did": did,
        "status": status,
        "relay": "relay.test",
        "seq": seq,
        "received_at": NOON,
        **fields,
    }


def moderation_label(uri: str, **fields: Any) -> dict[str, Any]:
    return {
        "src": "did:plc:labeler",
        "uri": uri,
        "cid": None,
        "val": "spam",
        "neg": False,
        "cts": NOON,
        "exp": None,
        "origin": "labeler.test",
        "seq": 1,
        "received_at": NOON,
        **fields,
    }
