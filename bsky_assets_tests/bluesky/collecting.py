"""A bounded sync of a relay on loopback, and the footers that it left."""

from pathlib import Path
from typing import Any

from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits, StreamReport
from bsky_assets.settings import Settings
from bsky_assets.storage.segments import Footer

ENDLESS = Limits(max_seconds=200)
"""It ends as soon as the host says that it has no more."""
IDLE_SECONDS = 0.02
"""However short: the host is asked whether it has more, and answers when all is sent."""


def settings_for(folder: Path, url: str, **fields: Any) -> Settings:
    return Settings(data_dir=folder, relay_url=url, labeler_url=url.replace("ws", "http"), **fields)


def sync(folder: Path, url: str, limits: Limits = ENDLESS, **options: Any) -> StreamReport:
    return sync_firehose(settings_for(folder, url), limits, idle_seconds=IDLE_SECONDS, **options)


def footers(folder: Path) -> list[Footer]:
    segments = firehose_segments(settings_for(folder, "ws://relay.test"))
    return [s.footer() for day in segments.days() for s in segments.of_day(day)]
