"""Frames in segments as a collector leaves them."""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from bsky_assets.bluesky.accounting import Account
from bsky_assets.bluesky.firehose import FirehoseReader
from bsky_assets.contracts.arrival import FIREHOSE
from bsky_assets.storage.segments import (
    COLUMN_OF,
    Footer,
    Segments,
)
from testbed.rows import NOON

DAY = date(2026, 3, 8)


HOST = "relay.test"


class Collected:
    """Frames put into segments as a collector would, without a connection."""

    def __init__(self, root: Path, host: str = HOST) -> None:
        self.segments = Segments(root / "segments", FIREHOSE)
        self.host = host

    def land(self, *frames: bytes, day: date = DAY, at: datetime = NOON) -> Footer:
        reader = FirehoseReader(self.host)
        for frame in frames:
            reader.read(frame, int(at.timestamp() * 1e6))
        with self.segments.collecting() as writer:
            account = Account(FIREHOSE, self.host, writer.resumed, without_holes=True)
            account.add(reader.take_events(), at)
            rows = reader.rows.take()
            counts = {COLUMN_OF[row]: count for row, count in rows.counts().items()}
            reasons = dict(Counter(row["reason"] for row in rows.quarantined))
            footer = replace(account.close((at, at)), rows=counts, quarantined=reasons)
            writer.write(day, rows.tables(), footer)
        return footer
