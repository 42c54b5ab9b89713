"""What is killed in the middle is gone on with."""

from pathlib import Path

from bsky_assets.bluesky.archive.fetching import Budget, Spool
from bsky_assets.bluesky.archive.host import ArchiveHost, Unit
from bsky_assets_tests.bluesky.archive.serving import archive_of, world_of
from bsky_assets_tests.support.serving import served


def test_a_file_that_was_whole_when_its_run_was_killed_is_not_fetched_again(
    tmp_path: Path,
) -> None:
    archive = archive_of(world_of(300))
    with served(archive.app()) as url, ArchiveHost(url) as host:
        segment = host.segments()[0]
        unit = Unit(segment.name, segment.checksum, None)
        spool = Spool(tmp_path, host, Budget(10**9))
        spool.fetch([unit])
        frames, fetched = list(spool.frames(unit)), archive.served
        (whole,) = tmp_path.rglob("whole.jss")
        whole.rename(whole.with_suffix(".part"))
        spool.fetch([unit])
        assert list(spool.frames(unit)) == frames
        assert archive.served == fetched
