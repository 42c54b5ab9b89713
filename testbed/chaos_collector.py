"""The collector that `chaos` kills: a process of its own, started from a warm one."""

from bsky_assets.bluesky import collector, spool, streaming
from bsky_assets.bluesky.labels_stream import LabelStream
from bsky_assets.bluesky.relay import Relay
from bsky_assets.settings import Settings


def hurry() -> None:
    """Wait for nothing as long as one would in earnest."""
    streaming.FIRST_WAIT, streaming.JITTER, streaming.LONGEST_WAIT = 0.01, 0.02, 0.2
    spool.COMMIT_SECONDS = 0.1
    Relay.patience = LabelStream.patience = 0.5


def collect(settings: Settings) -> None:
    """A collector's process."""
    hurry()
    collector.collect(settings)
