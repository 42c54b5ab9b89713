"""Rows of one contract, as many as a test wants."""

from datetime import UTC, date, datetime

import pyarrow as pa

from bsky_assets.contracts import RawPostDeletion, arrow_schema

DAY = date(2026, 3, 8)


def deletions(count: int) -> pa.Table:
    instant = datetime(2026, 3, 8, 12, tzinfo=UTC)
    return pa.Table.from_pylist(
        [
            {
                "kind": "post",
                "uri": f"at://did:plc:a/app.bsky.feed.post/{number}",
                "did": "did:plc:a",
                "status": "deleted",
                "relay": "relay.test",
                "seq": number,
                "received_at": instant,
            }
            for number in range(count)
        ],
        schema=arrow_schema(RawPostDeletion),
    )
