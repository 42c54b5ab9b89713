"""Collecting: the firehose and the labels, up to limits or until somebody says stop.

For whoever orchestrates:
- `sync_firehose(settings, limits)` and `sync_labels(settings, limits)` read up to limits;
- `collect(settings)` reads both until SIGINT or SIGTERM.

What does not belong here: how a stream is read, and what becomes of its segments.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

from bsky_assets.bluesky.collected import firehose_segments, label_segments
from bsky_assets.bluesky.jetstream import Jetstream
from bsky_assets.bluesky.labels_stream import LabelStream
from bsky_assets.bluesky.relay import Relay
from bsky_assets.bluesky.streaming import (
    IDLE_SECONDS,
    Limits,
    Reading,
    Source,
    StreamReport,
)
from bsky_assets.contracts.progress import Reporter
from bsky_assets.settings import Settings
from bsky_assets.storage import network
from bsky_assets.storage.segments import Segments

_SANDBOX_IDLE_SECONDS = 0.3


def sync_firehose(
    settings: Settings,
    limits: Limits | None = None,
    *,
    progress: Reporter | None = None,
    stop: threading.Event | None = None,
    idle_seconds: float | None = None,
) -> StreamReport:
    """Read the firehose into segments, up to `limits` (those of the settings by default).

    It goes on where the last segment ends; with none it begins with what happens now. It ends
    early where the relay has nothing more to say.

    Args:
        settings: where from and where to.
        limits: when to end.
        progress: told how far it is, a few times a second, on the event loop.
        stop: ends it when set; what came is committed.
        idle_seconds: silence after which the relay is asked whether it is there, and over a new
            connection for more; of the sandbox, which answers when it has sent everything, less
            is waited for.

    Raises:
        StreamInUse: another process collects the firehose into this data directory.
        OtherNetwork: this data directory is of another network.
        Unreachable, NoEvents: the relay cannot be reached, refuses or is silent.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    limits = limits or Limits(
        settings.sync_max_posts, settings.sync_max_events, settings.sync_max_seconds
    )
    return _sync(
        settings,
        firehose_segments(settings),
        _firehose(settings),
        limits,
        progress,
        stop,
        idle_seconds,
    )


def sync_labels(
    settings: Settings,
    limits: Limits | None = None,
    *,
    progress: Reporter | None = None,
    stop: threading.Event | None = None,
    idle_seconds: float | None = None,
) -> StreamReport:
    """Read the labeler's stream into segments, up to `limits`; as `sync_firehose`."""
    limits = limits or Limits(None, settings.sync_max_events, settings.sync_max_seconds)
    source = LabelStream(settings.labeler_url)
    return _sync(settings, label_segments(settings), source, limits, progress, stop, idle_seconds)


def _sync(
    settings: Settings,
    segments: Segments,
    source: Source,
    limits: Limits,
    progress: Reporter | None,
    stop: threading.Event | None,
    idle_seconds: float | None,
) -> StreamReport:
    network.keep(settings)
    usual = _SANDBOX_IDLE_SECONDS if settings.sandbox else IDLE_SECONDS
    with segments.collecting() as writer:
        reading = Reading(
            source,
            writer,
            settings.timezone,
            limits=limits,
            idle_seconds=usual if idle_seconds is None else idle_seconds,
            progress=progress,
            stop=stop,
        )
        return asyncio.run(reading.run())


def collect(
    settings: Settings, *, progress: Reporter | None = None, dids: Sequence[str] = ()
) -> list[StreamReport]:
    """Read the firehose and the labels until SIGINT or SIGTERM; returns what each brought.

    If there are `dids`, of the firehose only what is of these accounts is kept.

    The first signal ends both with their last segments committed; a second one ends the
    process at once. Hosts that cannot be reached are tried for ever.

    Raises:
        StreamInUse: another process collects into this data directory.
        OtherNetwork: it is of another network.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    network.keep(settings)
    with stop_on_signals() as stop, ExitStack() as locks:
        writers = [
            locks.enter_context(segments.collecting())
            for segments in (firehose_segments(settings), label_segments(settings))
        ]
        sources: list[Source] = [_firehose(settings), LabelStream(settings.labeler_url)]
        kept_to = (frozenset(dids) or None, None)
        readings = [
            Reading(source, writer, settings.timezone, stop=stop, progress=progress, kept_to=kept)
            for source, writer, kept in zip(sources, writers, kept_to, strict=True)
        ]
        return asyncio.run(_run(readings, stop))


async def _run(readings: list[Reading], stop: threading.Event) -> list[StreamReport]:
    """Run all; when one fails, the others end in good order first."""
    tasks = [asyncio.create_task(reading.run()) for reading in readings]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    stop.set()
    await asyncio.wait(tasks)
    return [task.result() for task in tasks]


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT or SIGTERM sets; a second signal ends the process at once."""
    stop = threading.Event()

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _firehose(settings: Settings) -> Source:
    return (
        Jetstream(settings.jetstream_url) if settings.jetstream_url else Relay(settings.relay_url)
    )
