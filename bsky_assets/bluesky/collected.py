"""Where what is collected lands, and whether somebody collects.

Apart from the collector, so that whoever only looks need not load what speaks to hosts.
"""

from bsky_assets.contracts.arrival import ARCHIVE, FIREHOSE, LABELS
from bsky_assets.settings import Settings
from bsky_assets.storage.segments import Segments


def firehose_segments(settings: Settings) -> Segments:
    """Where the firehose lands."""
    return Segments(settings.data_dir / "segments", FIREHOSE, settings.sync_timezone)


def label_segments(settings: Settings) -> Segments:
    """Where the labels of the labeler's stream land."""
    return Segments(settings.data_dir / "segments", LABELS, settings.sync_timezone)


def archive_segments(settings: Settings) -> Segments:
    """Where what is fetched of an archive lands."""
    return Segments(settings.data_dir / "segments", ARCHIVE, settings.sync_timezone)


def all_segments(settings: Settings) -> tuple[Segments, ...]:
    """Where anything lands."""
    return firehose_segments(settings), label_segments(settings), archive_segments(settings)


def is_collecting(settings: Settings) -> bool:
    """Whether some process is collecting the firehose into the data directory."""
    return firehose_segments(settings).is_being_collected()
