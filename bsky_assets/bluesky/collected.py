"""Where what is collected lands, and whether somebody collects.

Apart from the collector, so that whoever only looks need not load what speaks to hosts.
"""

from bsky_assets.contracts.arrival import FIREHOSE, LABELS
from bsky_assets.settings import Settings
from bsky_assets.storage.segments import Segments


def firehose_segments(settings: Settings) -> Segments:
    """Where the firehose lands."""
    return Segments(settings.data_dir / "segments", FIREHOSE, settings.sync_timezone)


def label_segments(settings: Settings) -> Segments:
    """Where the labels of the labeler's stream land."""
    return Segments(settings.data_dir / "segments", LABELS, settings.sync_timezone)


def is_collecting(settings: Settings) -> bool:
    """Whether some process is collecting the firehose into the data directory."""
    return firehose_segments(settings).is_being_collected()
