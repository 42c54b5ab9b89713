"""A served archive of a small world, and settings that point at it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from bsky_assets.settings import Settings
from bsky_assets_tests.support.serving import served
from bsky_sandbox.archive import Archive
from bsky_sandbox.server import history_of
from bsky_sandbox.world import World

DAY = date(2026, 3, 8)
SMALL = {"events_a_block": 64, "blocks_a_segment": 8, "plan_entries": 7}


def world_of(events: int = 3_000, seed: int = 6) -> World:
    return World.generate(seed, day=DAY, events=events)


def archive_of(world: World, **options: Any) -> Archive:
    return Archive(lambda: history_of(world).rows(), **{**SMALL, **options})


@contextmanager
def reachable(archive: Archive, folder: Path, **fields: Any) -> Iterator[Settings]:
    with served(archive.app()) as url:
        given = {"archive_url": url, "sync_timezone": "UTC", **fields}
        yield Settings(_env_file=None, data_dir=folder, **given)
