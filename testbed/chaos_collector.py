"""The collector that `chaos` kills: a process of its own, started from a warm one."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from bsky_assets.bluesky import collector, spool, streaming
from bsky_assets.bluesky.labels_stream import LabelStream
from bsky_assets.bluesky.relay import Relay
from bsky_assets.settings import Settings


@contextmanager
def hurried() -> Iterator[None]:
    """Wait for nothing as long as one would in earnest."""
    with (
        patch.multiple(streaming, FIRST_WAIT=0.01, JITTER=0.02, LONGEST_WAIT=0.2),
        patch.object(spool, "COMMIT_SECONDS", 0.1),
        patch.object(Relay, "patience", 0.5),
        patch.object(LabelStream, "patience", 0.5),
    ):
        yield


def collect(settings: Settings) -> None:
    """A collector's process."""
    with hurried():
        collector.collect(settings)
